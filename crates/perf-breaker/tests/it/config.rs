//! Settings that cannot work are errors at build.

use crate::support::SECOND;
use perf_breaker::{BreakerBuilder, CircuitBreaker};
use std::time::Duration;

fn problem(change: impl FnOnce(BreakerBuilder) -> BreakerBuilder) -> String {
    let error = change(CircuitBreaker::builder("test")).build().unwrap_err();
    assert!(!error.is_transient());
    error.to_string()
}

#[test]
fn every_setting_of_the_rules_is_checked() {
    let cases = [
        (
            problem(|b| b.failure_rate(0.0)),
            "failure rate is 0, must be above 0 and at most 1",
        ),
        (
            problem(|b| b.failure_rate(1.01)),
            "failure rate is 1.01, must be above 0 and at most 1",
        ),
        (
            problem(|b| b.failure_rate(f64::NAN)),
            "failure rate is NaN, must be above 0 and at most 1",
        ),
        (
            problem(|b| b.slow_calls(SECOND, 2.0)),
            "slow call rate is 2, must be above 0 and at most 1",
        ),
        (
            problem(|b| b.count_window(0)),
            "window of calls is 0, must be 1 to 1000000",
        ),
        (
            problem(|b| b.count_window(1_000_001)),
            "window of calls is 1000001, must be 1 to 1000000",
        ),
        (
            problem(|b| b.time_window(Duration::ZERO, 10)),
            "window is 0ns, must be 10ms to 31536000s",
        ),
        (
            problem(|b| b.time_window(SECOND, 0)),
            "number of buckets is 0, must be 1 to 255",
        ),
        (
            problem(|b| b.count_window(10).min_calls(11)),
            "minimum of calls is 11, must be 1 to 10",
        ),
    ];
    for (problem, expected) in cases {
        assert_eq!(problem, expected);
    }
}

#[test]
fn every_setting_of_the_open_time_and_the_probes_is_checked() {
    let cases = [
        (
            problem(|b| b.open_for(Duration::ZERO)),
            "open time is 0ns, must be 1ms to 31536000s",
        ),
        (
            problem(|b| b.open_for(Duration::MAX)),
            "open time is 18446744073709551615.999999999s, must be 1ms to 31536000s",
        ),
        (
            problem(|b| b.open_jitter(-0.1)),
            "open time jitter is -0.1, must be above 0 and at most 1",
        ),
        (
            problem(|b| b.probes(0)),
            "number of probes is 0, must be 1 to 1023",
        ),
        (
            problem(|b| b.probe_successes(4)),
            "needed probe successes is 4, must be 1 to 3",
        ),
        (
            problem(|b| b.probe_lease(Duration::ZERO)),
            "probe lease is 0ns, must be 1ms to 31536000s",
        ),
        (
            problem(|b| b.timeout(Duration::ZERO)),
            "call time-out is 0ns, must be 1ns to 31536000s",
        ),
        (
            problem(|b| b.without_failure_rate().consecutive_failures(0)),
            "no rule is set that could open the breaker",
        ),
    ];
    for (problem, expected) in cases {
        assert_eq!(problem, expected);
    }
}

#[test]
fn a_window_below_the_default_minimum_lowers_it() {
    let breaker = CircuitBreaker::builder("test")
        .count_window(4)
        .consecutive_failures(0)
        .build()
        .unwrap();
    assert_eq!(crate::support::failures_until_open(&breaker), 4);
}
