//! The breaker's and the limiters' examples, run as they were built together with this test.

use perf_testkit::RedisServer;
use std::process::Command;

fn example(name: &str) -> Command {
    let test = std::env::current_exe().expect("a running program has a path");
    let target = test
        .ancestors()
        .nth(2)
        .expect("tests lie in target/<profile>/deps");
    Command::new(target.join("examples").join(name))
}

#[test]
fn flaky_upstream_opens_and_closes_again() {
    let output = example("breaker_flaky_upstream").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<_> = stdout.lines().collect();
    assert_eq!(
        lines[0],
        "flaky: 12 quotes from 15 calls, 3 of them retries"
    );
    assert_eq!(
        lines[1],
        "down: 997 of 1000 answered with yesterday's quote, 9 calls reached the upstream"
    );
    assert_eq!(lines[2], "back: closed again");
}

#[test]
fn limits_per_client_needs_nothing() {
    let output = example("breaker_limits_per_client").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        stdout.contains(r#"429  ratelimit: "5/minute burst 3";r=0;t=12"#),
        "{stdout}"
    );
}

#[test]
fn fleet_limiter_runs_on_redis_and_says_that_it_needs_it() {
    let server = RedisServer::shared().unwrap();
    let output = example("breaker_fleet_limiter")
        .env("REDIS_URL", server.url())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let output = example("breaker_fleet_limiter")
        .env_remove("REDIS_URL")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        stderr.contains("set REDIS_URL to a Redis server"),
        "{stderr}"
    );
}
