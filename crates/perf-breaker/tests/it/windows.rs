//! When a closed breaker opens.

use crate::support::{
    MS, OPEN_TIME, SECOND, builder, due, fail, failures_until_open, late_clock, succeed,
};
use perf_breaker::{CircuitBreaker, Outcome, State};
use perf_core::ManualClock;
use std::time::Duration;

fn hundred() -> CircuitBreaker {
    builder(&ManualClock::new())
        .count_window(100)
        .min_calls(100)
        .failure_rate(0.5)
        .consecutive_failures(0)
        .build()
        .unwrap()
}

#[test]
fn it_opens_on_the_hundredth_failure_of_none_and_on_the_fiftieth_of_many() {
    assert_eq!(failures_until_open(&hundred()), 100);
    let breaker = hundred();
    for _ in 0..10_000 {
        succeed(&breaker);
    }
    assert_eq!(failures_until_open(&breaker), 50);
}

#[test]
fn the_call_that_reaches_the_minimum_is_judged_though_it_succeeds() {
    for builder in [
        builder(&ManualClock::new()).count_window(100),
        builder(&ManualClock::new()).time_window(SECOND, 10),
    ] {
        let breaker = builder
            .min_calls(10)
            .consecutive_failures(0)
            .build()
            .unwrap();
        for _ in 0..9 {
            fail(&breaker);
        }
        assert_eq!(breaker.state(), State::Closed);
        succeed(&breaker);
        assert_eq!(breaker.state(), State::Open);
    }
}

#[test]
fn a_time_window_forgets_failures_as_they_age() {
    let clock = ManualClock::new();
    let breaker = builder(&clock)
        .time_window(10 * SECOND, 10)
        .min_calls(4)
        .consecutive_failures(0)
        .build()
        .unwrap();
    for _ in 0..3 {
        fail(&breaker);
    }
    clock.advance(9 * SECOND);
    assert_eq!(breaker.snapshot().failures, 3);
    clock.advance(SECOND);
    assert_eq!(breaker.snapshot().calls, 0);
    for _ in 0..3 {
        fail(&breaker);
    }
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(failures_until_open(&breaker), 1);
}

#[test]
fn slow_calls_open_it_though_they_succeed() {
    let clock = ManualClock::new();
    let breaker = builder(&clock)
        .slow_calls(100 * MS, 0.9)
        .min_calls(10)
        .build()
        .unwrap();
    for call in 0..10 {
        assert_eq!(breaker.state(), State::Closed);
        let permit = breaker.admit().unwrap();
        clock.advance(if call == 0 { 99 * MS } else { 100 * MS });
        permit.success();
    }
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_success_ends_a_row_of_failures() {
    let breaker = builder(&ManualClock::new())
        .consecutive_failures(3)
        .build()
        .unwrap();
    for _ in 0..6 {
        fail(&breaker);
        fail(&breaker);
        succeed(&breaker);
    }
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(failures_until_open(&breaker), 2); // 18 calls so far: the 20th is judged by its rate
}

#[test]
fn without_a_rate_only_the_row_counts_at_any_number_of_calls() {
    let breaker = builder(&ManualClock::new())
        .without_failure_rate()
        .consecutive_failures(4)
        .build()
        .unwrap();
    for _ in 0..1_000 {
        fail(&breaker);
        succeed(&breaker);
    }
    assert_eq!(failures_until_open(&breaker), 4);
}

#[test]
fn an_ignored_call_was_never_made() {
    let breaker = builder(&ManualClock::new())
        .consecutive_failures(2)
        .build()
        .unwrap();
    fail(&breaker);
    breaker.admit().unwrap().record(Outcome::Ignore);
    assert_eq!(breaker.snapshot().calls, 1);
    fail(&breaker);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_result_can_say_for_how_long_to_open() {
    let clock = ManualClock::new();
    let breaker = builder(&clock).build().unwrap();
    breaker
        .admit()
        .unwrap()
        .record(Outcome::OpenFor(Duration::from_secs(42)));
    let left = breaker.admit().unwrap_err().retry_after;
    assert!(
        left >= 42 * SECOND && left < 42 * SECOND + 2 * MS,
        "{left:?}"
    );
}

#[test]
fn no_result_opens_it_for_longer_than_the_longest_open_time() {
    let clock = ManualClock::new();
    let breaker = builder(&clock).max_open(60 * SECOND).build().unwrap();
    for _ in 0..3 {
        let forever = Outcome::OpenFor(Duration::MAX);
        breaker.admit().unwrap().record(forever);
        let left = breaker.admit().unwrap_err().retry_after;
        assert!(left <= 60 * SECOND + 2 * MS, "{left:?}");
        clock.advance(left); // the next is a probe
    }
}

#[test]
fn counts_equal_the_window_once_threads_have_come_to_rest() {
    for builder in [
        builder(&ManualClock::new()).count_window(64),
        builder(&ManualClock::new()).time_window(SECOND, 4),
    ] {
        let breaker = builder
            .min_calls(1)
            .failure_rate(1.0)
            .consecutive_failures(0)
            .build()
            .unwrap();
        succeed(&breaker);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let breaker = &breaker;
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(thread);
                    for _ in 0..5_000 {
                        // A success among every two failures: the rate of 100 % is out of reach.
                        if random.u8(..3) == 0 {
                            fail(breaker)
                        } else {
                            succeed(breaker)
                        }
                    }
                });
            }
        });
        let before = breaker.snapshot();
        assert!(before.failures <= before.calls);
        for _ in 0..64 {
            succeed(&breaker);
        }
        let after = breaker.snapshot();
        if before.calls == 64 {
            assert_eq!((after.calls, after.failures), (64, 0));
        } else {
            assert_eq!((after.calls, after.failures), (20_065, before.failures));
        }
    }
}

#[test]
fn a_clock_that_counts_from_1970_serves_as_well() {
    let clock = late_clock();
    let breaker = due(&clock, builder(&clock).timeout(SECOND).probes(1));
    succeed(&breaker);
    fail(&breaker);
    let left = breaker.admit().unwrap_err().retry_after;
    assert!(left >= OPEN_TIME && left < OPEN_TIME + 2 * MS, "{left:?}");
    assert!(breaker.snapshot().rejected > 0);
}

/// Long after, in the very bucket whose tag says the same.
#[test]
fn a_time_window_forgets_for_good() {
    let clock = ManualClock::new();
    let breaker = builder(&clock)
        .time_window(8 * MS, 8)
        .min_calls(10)
        .consecutive_failures(0)
        .build()
        .unwrap();
    for _ in 0..9 {
        fail(&breaker);
    }
    clock.advance((1 << 24) * MS);
    fail(&breaker);
    assert_eq!(
        (breaker.state(), breaker.snapshot().failures),
        (State::Closed, 1)
    );
}
