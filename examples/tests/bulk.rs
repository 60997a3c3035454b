//! Each example about bulk work runs and comes to what it says.

use std::process::Command;

/// What the example of this name prints.
fn run(name: &str) -> String {
    let test = std::env::current_exe().expect("a running program has a path");
    let target = test
        .ancestors()
        .nth(2)
        .expect("tests lie in target/<profile>/deps");
    let output = Command::new(target.join("examples").join(name))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn two_thousand_requests_are_few_calls() {
    let printed = run("bulk_slow_api");
    assert!(
        printed.contains("article 666: no such article, after"),
        "{printed}"
    );
    let (_, calls) = printed
        .split_once("1999 requests were answered by ")
        .unwrap();
    let calls: u32 = calls.split(' ').next().unwrap().parse().unwrap();
    assert!(calls < 200, "{printed}");
    assert!(printed.contains("kept for later: article 666"), "{printed}");
}

#[test]
fn a_thousand_look_ups_are_two_queries() {
    let printed = run("bulk_n_plus_one");
    assert!(printed.contains("one by one: "), "{printed}");
    assert!(printed.contains("seats, 1000 queries"), "{printed}");
    assert!(printed.ends_with("seats, 2 queries\n"), "{printed}");
}

#[test]
fn a_killed_worker_loses_no_booking_and_makes_none_twice() {
    let printed = run("bulk_two_processes");
    assert!(printed.contains("60 bookings of 60 seats"), "{printed}");
}
