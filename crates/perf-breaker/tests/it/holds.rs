//! What an operator can force, what is seen from outside, and how calls are let back in.

use crate::support::{MS, SECOND, builder, due, fail, figures, succeed};
use perf_breaker::{Hold, State};
use perf_core::{Health, Inspect, ManualClock, Registry};

#[test]
fn each_hold_admits_and_counts_as_it_says() {
    for (hold, admits, calls) in [
        (Hold::Open, false, 0),
        (Hold::Closed, true, 9),
        (Hold::MetricsOnly, true, 4), // opens in its mind on the fifth, and counts afresh
        (Hold::Disabled, true, 0),
    ] {
        let breaker = builder(&ManualClock::new()).build().unwrap();
        breaker.hold(hold);
        for _ in 0..9 {
            if let Ok(permit) = breaker.admit() {
                permit.failure();
            }
        }
        assert_eq!(breaker.admit().is_ok(), admits, "{hold:?}");
        assert_eq!(breaker.snapshot().calls, calls, "{hold:?}");
        assert_eq!(breaker.state(), State::Held(hold));
        breaker.reset();
        assert_eq!(
            (breaker.state(), breaker.snapshot().calls),
            (State::Closed, 0)
        );
    }
}

#[test]
fn a_breaker_held_open_says_when_to_ask_again() {
    let breaker = builder(&ManualClock::new()).build().unwrap();
    breaker.hold(Hold::Open);
    assert_eq!(breaker.admit().unwrap_err().retry_after, 5 * SECOND);
}

#[test]
fn calls_under_way_have_no_say_once_it_is_held() {
    let breaker = builder(&ManualClock::new())
        .consecutive_failures(1)
        .build()
        .unwrap();
    let permit = breaker.admit().unwrap();
    breaker.hold(Hold::Closed);
    permit.failure();
    assert_eq!(
        (breaker.state(), breaker.snapshot().calls),
        (State::Held(Hold::Closed), 0)
    );
}

#[test]
fn calls_come_back_by_degrees() {
    let clock = ManualClock::new();
    let breaker = due(&clock, builder(&clock).probes(1).readmit_over(10 * SECOND));
    succeed(&breaker);
    let share = || (0..10_000).filter(|_| breaker.admit().is_ok()).count();
    let first = share();
    assert!((500..1_500).contains(&first), "{first}");
    clock.advance(5 * SECOND);
    let middle = share();
    assert!((5_000..6_000).contains(&middle), "{middle}");
    clock.advance(5 * SECOND + 2 * MS);
    assert_eq!(share(), 10_000);
}

#[test]
fn an_inspection_shows_state_and_figures() {
    let clock = ManualClock::new();
    let registry = Registry::new();
    let breaker = due(&clock, builder(&clock).probes(1));
    breaker.register(&registry);
    assert_eq!(breaker.health(), Health::Degraded("due for a probe".into()));
    let probe = breaker.admit().unwrap();
    assert_eq!(breaker.health(), Health::Degraded("probing".into()));
    probe.success();
    fail(&breaker);
    let parts = registry.inspect();
    assert_eq!(
        (parts[0].kind, &*parts[0].name),
        ("circuit_breaker", "test")
    );
    assert_eq!(
        figures(&parts[0].samples),
        [
            "window_calls 0",
            "window_failures 0",
            "window_slow_calls 0",
            "rejected 1",
            "opened 2"
        ]
    );
    drop(breaker);
    assert!(registry.inspect().is_empty());
}

/// A readiness check that sends no calls to what is unhealthy must not keep it so for ever.
#[test]
fn an_open_breaker_is_unhealthy_until_a_probe_is_due() {
    let clock = ManualClock::new();
    let breaker = builder(&clock).consecutive_failures(1).build().unwrap();
    assert_eq!(breaker.health(), Health::Healthy);
    fail(&breaker);
    assert_eq!(breaker.health(), Health::Unhealthy("open".into()));
    clock.advance(breaker.admit().unwrap_err().retry_after);
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.health(), Health::Degraded("due for a probe".into()));
}
