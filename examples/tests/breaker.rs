//! The breaker's and the limiters' examples, run as they were built together with this test.

use perf_testkit::RedisServer;
use perfkit_examples::{example, printed_by};

#[test]
fn flaky_upstream_opens_and_closes_again() {
    let stdout = printed_by("breaker_flaky_upstream");
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
    let stdout = printed_by("breaker_limits_per_client");
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
