//! What share of calls a throttle refuses.

use crate::support::{MS, SECOND, figures};
use perf_breaker::{Outcome, OverloadCause, Throttle, ThrottleBuilder};
use perf_core::ManualClock;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::time::Duration;

fn builder(clock: &ManualClock) -> ThrottleBuilder<ManualClock> {
    Throttle::builder("test").clock(clock.clone())
}

#[tokio::test]
async fn a_healthy_callee_is_never_spared() {
    let throttle = builder(&ManualClock::new()).build().unwrap();
    for call in 0..10_000 {
        // Half of the calls may be refused before K = 2 has anything to say.
        let reply = throttle
            .call(async { if call % 2 == 0 { Ok(()) } else { Err(()) } })
            .await;
        assert!(!matches!(reply, Err(error) if error.is_rejection()));
    }
}

#[tokio::test]
async fn what_the_classifier_ignores_does_not_count() {
    let throttle = builder(&ManualClock::new()).build().unwrap();
    let ignore = |_: &Result<(), ()>| Outcome::Ignore;
    for _ in 0..1_000 {
        assert!(
            throttle
                .call_judged(async { Err(()) }, &ignore)
                .await
                .is_err()
        );
    }
    assert!(throttle.refusal_probability() <= 0.0);
}

/// A callee that takes 100 calls a second and is asked for 1,000.
#[test]
fn an_overloaded_callee_gets_about_twice_what_it_accepts() {
    let clock = ManualClock::new();
    let throttle = builder(&clock).window(10 * SECOND).build().unwrap();
    let mut random = fastrand::Rng::with_seed(9);
    let mut reached_in_last_minute = 0;
    for second in 0..120 {
        let mut accepted = 0;
        for _ in 0..1_000 {
            if let Ok(allowance) = throttle.admit_if(random.f64()) {
                reached_in_last_minute += u32::from(second >= 60);
                if accepted < 100 {
                    accepted += 1;
                    allowance.accepted();
                } else {
                    allowance.not_accepted();
                }
            }
            clock.advance(MS);
        }
    }
    let a_second = reached_in_last_minute / 60;
    assert!((180..=230).contains(&a_second), "{a_second}");
    // It recovers: all is accepted again, and soon nothing is refused.
    for _ in 0..30_000 {
        if let Ok(allowance) = throttle.admit_if(random.f64()) {
            allowance.accepted();
        }
        clock.advance(MS);
    }
    assert!(throttle.refusal_probability() <= 0.0);
}

#[test]
fn a_dropped_call_counts_once_patience_is_over_and_a_panic_at_once() {
    let clock = ManualClock::new();
    let throttle = builder(&clock).min_calls(1).build().unwrap();
    let early = throttle.admit().unwrap();
    clock.advance(999 * MS);
    drop(early);
    assert!(throttle.refusal_probability() <= 0.0);
    let late = throttle.admit().unwrap();
    clock.advance(SECOND);
    drop(late);
    assert!((throttle.refusal_probability() - 0.5).abs() < 1e-9);
    let panics = || {
        let _allowance = throttle.admit_if(1.0).unwrap();
        panic!("boom");
    };
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
    assert!((throttle.refusal_probability() - 2.0 / 3.0).abs() < 1e-9);
    let refused = throttle.admit_if(0.0).unwrap_err();
    assert_eq!(
        (refused.cause, refused.retry_after),
        (OverloadCause::Throttled, 5 * SECOND)
    );
}

#[test]
fn settings_are_checked_and_figures_shown() {
    for multiplier in [0.9, 101.0, f64::NAN] {
        assert!(
            Throttle::builder("test")
                .multiplier(multiplier)
                .build()
                .is_err()
        );
    }
    assert!(
        Throttle::builder("test")
            .window(Duration::ZERO)
            .build()
            .is_err()
    );
    let throttle = Throttle::builder("test").build().unwrap();
    let registry = perf_core::Registry::new();
    throttle.register(&registry);
    let shown = &registry.inspect()[0];
    assert_eq!((&*shown.name, shown.kind), ("test", "throttle"));
    assert_eq!(figures(&shown.samples), ["refusal_share 0", "refused 0"]);
}

proptest! {
    /// Against a list of all calls.
    #[test]
    fn it_follows_the_formula(
        calls in prop::collection::vec((0.0..1.0_f64, any::<bool>(), 0..40_u64), 1..300),
        quarters in 4..12_u32,
    ) {
        let clock = ManualClock::new();
        let multiplier = f64::from(quarters) / 4.0;
        let throttle = builder(&clock)
            .window(240 * MS)
            .multiplier(multiplier)
            .min_calls(3)
            .build()
            .unwrap();
        // When, in buckets of 10 ms, and whether it was accepted.
        let mut all: VecDeque<(u64, bool)> = VecDeque::new();
        let mut millis = 0;
        for (random, accepted, wait) in calls {
            let bucket = millis / 10;
            all.retain(|(at, _)| at + 24 > bucket);
            let (requests, accepts) = (all.len() as f64, all.iter().filter(|call| call.1).count() as f64);
            let probability = if requests < 3.0 {
                0.0
            } else {
                ((requests - multiplier * accepts) / (requests + 1.0)).max(0.0)
            };
            prop_assert!((throttle.refusal_probability() - probability).abs() < 1e-12);
            match throttle.admit_if(random) {
                Ok(allowance) => {
                    prop_assert!(random >= probability);
                    if accepted { allowance.accepted() } else { allowance.not_accepted() }
                    all.push_back((bucket, accepted));
                }
                Err(_) => {
                    prop_assert!(random < probability);
                    all.push_back((bucket, false));
                }
            }
            clock.advance(Duration::from_millis(wait));
            millis += wait;
        }
    }
}
