//! Settings that change while a breaker lives.

use crate::support::{OPEN_TIME, SECOND, builder, fail, failures_until_open, succeed};
use perf_breaker::{BreakerBuilder, ConfigError, State};
use perf_core::ManualClock;
use std::time::Duration;

#[test]
fn the_window_keeps_what_it_holds() {
    let clock = ManualClock::new();
    let breaker = builder(&clock).consecutive_failures(0).build().unwrap();
    for _ in 0..6 {
        fail(&breaker);
        succeed(&breaker);
    }
    assert_eq!(breaker.state(), State::Closed);
    breaker
        .reconfigure(&builder(&clock).min_calls(13).failure_rate(0.53))
        .unwrap();
    fail(&breaker);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn an_open_time_holds_and_the_next_one_is_new() {
    let clock = ManualClock::new();
    let breaker = builder(&clock).consecutive_failures(1).build().unwrap();
    fail(&breaker);
    breaker
        .reconfigure(
            &builder(&clock)
                .open_for(SECOND)
                .probes(1)
                .max_open(60 * SECOND),
        )
        .unwrap();
    let left = breaker.admit().unwrap_err().retry_after;
    assert!(left >= OPEN_TIME);
    clock.advance(left);
    let probe = breaker.admit().unwrap();
    assert!(breaker.admit().is_err(), "one probe from now on");
    probe.failure();
    let left = breaker.admit().unwrap_err().retry_after;
    assert!(left >= 2 * SECOND && left < 3 * SECOND, "{left:?}");
}

#[test]
fn calls_under_way_are_judged_by_the_new_limits() {
    let clock = ManualClock::new();
    let breaker = builder(&clock).slow_calls(SECOND, 0.9).build().unwrap();
    let permit = breaker.admit().unwrap();
    breaker
        .reconfigure(&builder(&clock).slow_calls(3 * SECOND, 0.9))
        .unwrap();
    clock.advance(2 * SECOND);
    permit.success();
    assert_eq!(breaker.snapshot().slow, 0);
}

#[test]
fn failures_in_a_row_reach_back_as_far_as_a_time_window() {
    let clock = ManualClock::new();
    let breaker = builder(&clock).consecutive_failures(3).build().unwrap();
    for _ in 0..10 {
        fail(&breaker);
        clock.advance(6 * SECOND);
    }
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(failures_until_open(&breaker), 2);
}

#[test]
fn what_cannot_work_changes_nothing() {
    let clock = ManualClock::new();
    let usual = || builder(&clock).consecutive_failures(2);
    let breaker = usual().build().unwrap();
    let changes: [fn(BreakerBuilder) -> BreakerBuilder; 4] = [
        |settings| settings.consecutive_failures(1).count_window(10),
        |settings| settings.consecutive_failures(1).time_window(10 * SECOND, 5),
        |settings| settings.consecutive_failures(1).probes(0),
        |settings| settings.consecutive_failures(1).timeout(Duration::ZERO),
    ];
    for change in changes {
        breaker.reconfigure(&change(usual())).unwrap_err();
        assert_eq!(failures_until_open(&breaker), 2);
        breaker.reset();
    }
    let error = breaker.reconfigure(&usual().count_window(5)).unwrap_err();
    assert_eq!(error, ConfigError::Fixed { setting: "window" });
    assert_eq!(
        error.to_string(),
        "window cannot change while the part lives"
    );
}
