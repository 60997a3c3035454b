//! A registry forgets what it need not remember, and nothing else.

use crate::support::{OPEN_TIME, SECOND, builder, fail, figures, succeed};
use perf_breaker::{
    BreakerBuilder, BreakerRegistry, CircuitBreaker, ConfigError, GuardError, Hold, State,
};
use perf_core::{Health, ManualClock};
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const WINDOW: Duration = Duration::from_secs(10);

fn registry(clock: &ManualClock, capacity: usize) -> BreakerRegistry {
    BreakerRegistry::new(builder(clock).consecutive_failures(3), capacity).unwrap()
}

/// Asks for so many keys that all room is needed.
fn flood(registry: &BreakerRegistry) {
    for key in 0..200 {
        drop(registry.get(format!("flood {key}").as_str()));
    }
}

#[test]
fn a_key_has_one_breaker_named_after_it() {
    let registry = registry(&ManualClock::new(), 10);
    fail(&registry.get("a"));
    assert_eq!(registry.get("a").snapshot().failures, 1);
    assert_eq!(registry.clone().get("b").snapshot().failures, 0);
    (0..2).for_each(|_| fail(&registry.get("a")));
    let rejection = registry.get("a").admit().unwrap_err();
    assert_eq!(&*rejection.name, "a");
}

#[test]
fn fresh_breakers_make_room_and_the_bound_holds() {
    for capacity in [1, 7, 100] {
        let registry = registry(&ManualClock::new(), capacity);
        flood(&registry);
        assert_eq!(registry.len(), capacity);
        assert_eq!(registry.snapshots().len(), capacity);
    }
    let large = registry(&ManualClock::new(), 2_000);
    let keys: Vec<_> = (0..10_000)
        .map(|key| large.get(&format!("{key}")))
        .collect();
    assert!(large.len() <= 2_000);
    drop(keys);
    assert_eq!(large.evict_fresh(), large.len() + 2_000);
    assert!(large.is_empty());
}

/// Everything that makes a breaker differ from a new one keeps it.
#[test]
fn what_matters_is_never_dropped() {
    type Prepare = fn(&CircuitBreaker, &ManualClock);
    let cases: [(&str, Prepare); 6] = [
        ("open", |breaker, _| (0..3).for_each(|_| fail(breaker))),
        ("half-open", |breaker, clock| {
            (0..3).for_each(|_| fail(breaker));
            clock.advance(2 * OPEN_TIME);
            succeed(breaker);
            assert_eq!(breaker.state(), State::HalfOpen);
        }),
        ("held open", |breaker, _| breaker.hold(Hold::Open)),
        ("disabled", |breaker, _| breaker.hold(Hold::Disabled)),
        ("a failure in its window", |breaker, _| fail(breaker)),
        ("a success in its window", |breaker, _| succeed(breaker)),
    ];
    for (what, prepare) in cases {
        let clock = ManualClock::new();
        let registry = registry(&clock, 2);
        prepare(&registry.get("kept"), &clock);
        let before = registry.get("kept").snapshot();
        flood(&registry);
        assert_eq!(registry.get("kept").snapshot(), before, "{what}");
    }
}

#[test]
fn what_somebody_holds_is_never_dropped() {
    let clock = ManualClock::new();
    let registry = registry(&clock, 2);
    let handle = registry.get("handle");
    flood(&registry);
    fail(&handle);
    assert_eq!(registry.get("handle").snapshot().failures, 1);
    drop(handle);
    clock.advance(2 * WINDOW);

    let permit = registry.get("permit").admit_owned().unwrap();
    flood(&registry);
    permit.failure();
    assert_eq!(registry.get("permit").snapshot().failures, 1);
    clock.advance(2 * WINDOW);

    let call = registry.call("call", async { Err::<(), _>("down") });
    flood(&registry);
    assert!(
        futures_util::FutureExt::now_or_never(call)
            .unwrap()
            .is_err()
    );
    assert_eq!(registry.get("call").snapshot().failures, 1);
}

#[test]
fn a_window_that_has_emptied_frees_its_breaker() {
    let clock = ManualClock::new();
    let registry = registry(&clock, 2);
    fail(&registry.get("a"));
    clock.advance(WINDOW - 2 * SECOND);
    assert_eq!(registry.evict_fresh(), 0);
    clock.advance(3 * SECOND);
    assert_eq!(registry.evict_fresh(), 1);
}

#[test]
fn keys_without_room_share_the_overflow() {
    let clock = ManualClock::new();
    let registry = registry(&clock, 1);
    fail(&registry.get("a"));
    for key in ["b", "c", "d"] {
        fail(&registry.get(key));
    }
    let rejection = registry.get("e").admit().unwrap_err();
    assert_eq!(&*rejection.name, "test (overflow)");
    assert_eq!(registry.get("a").snapshot().failures, 1);
    clock.advance(2 * WINDOW);
    succeed(&registry.get("e"));
    assert_eq!(&*registry.snapshots()[0].0, "e");
}

#[test]
fn a_registry_is_inspected_as_one() {
    let registry = registry(&ManualClock::new(), 2);
    let parts = perf_core::Registry::new();
    registry.register(&parts);
    (0..3).for_each(|_| fail(&registry.get("a")));
    flood(&registry);
    let inspection = &parts.inspect()[0];
    assert_eq!(
        (&*inspection.name, inspection.kind),
        ("test", "circuit_breaker_registry")
    );
    assert_eq!(
        inspection.health,
        Health::Degraded("1 breaker is open".into())
    );
    let expected = [
        "breakers 2",
        "open_breakers 1",
        "evicted 199",
        "overflowed 0",
    ];
    assert_eq!(figures(&inspection.samples), expected);
}

#[test]
fn settings_change_while_breakers_live() {
    let clock = ManualClock::new();
    let registry = registry(&clock, 10);
    let (usual, own) = (
        registry.get("usual"),
        builder(&clock).consecutive_failures(2),
    );
    registry.reconfigure_one("own", &own).unwrap();
    fail(&usual);
    registry
        .reconfigure(builder(&clock).consecutive_failures(4))
        .unwrap();
    let failures = |key| crate::support::failures_until_open(&registry.get(key));
    assert_eq!(failures("usual"), 3);
    assert_eq!(failures("own"), 2);
    assert_eq!(failures("made later"), 4);
}

#[test]
fn settings_that_cannot_be_applied_change_nothing() {
    let clock = ManualClock::new();
    let registry = registry(&clock, 10);
    drop(registry.get("a"));
    let other_window = builder(&clock).consecutive_failures(1).count_window(10);
    let fixed = ConfigError::Fixed { setting: "window" };
    assert_eq!(
        registry.reconfigure(other_window.clone()),
        Err(fixed.clone())
    );
    assert_eq!(registry.reconfigure_one("a", &other_window), Err(fixed));
    assert!(
        registry
            .reconfigure(builder(&clock).failure_rate(2.0))
            .is_err()
    );
    assert_eq!(crate::support::failures_until_open(&registry.get("a")), 3);
    assert!(BreakerRegistry::<String>::new(builder(&clock), 0).is_err());
    assert!(BreakerRegistry::<String>::new(builder(&clock).probes(0), 5).is_err());
}

#[tokio::test]
async fn a_call_with_settings_that_cannot_work_is_not_made() {
    let registry = registry(&ManualClock::new(), 10);
    let settings = CircuitBreaker::builder("").failure_rate(7.0);
    let never = async { panic!("it must not be made") };
    let reply: Result<(), GuardError<()>> = registry
        .call_or_else("a", &settings, never, |error| async { Err(error) })
        .await;
    let Err(error @ GuardError::Misconfigured(_)) = reply else {
        panic!("{reply:?}");
    };
    assert!(!error.is_transient() && !error.is_rejection());
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Call(u8, bool),
    Wait(Duration),
    Evict,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..4_u8, prop::bool::weighted(0.4)).prop_map(|(key, works)| Step::Call(key, works)),
        2 => (0..6_000_u64).prop_map(|millis| Step::Wait(Duration::from_millis(millis))),
        3 => Just(Step::Evict),
    ]
}

/// The settings of a case: small windows, so that much happens.
fn small(clock: &ManualClock) -> BreakerBuilder {
    builder(clock)
        .time_window(4 * SECOND, 4)
        .min_calls(4)
        .consecutive_failures(3)
        .open_for(SECOND)
        .probes(1)
}

proptest! {
    /// Loss-free: with breakers forgotten at any time, every call meets the same fate as without.
    #[test]
    fn nobody_can_tell_that_a_breaker_was_forgotten(steps in prop::collection::vec(step(), 1..120)) {
        let clock = ManualClock::new();
        let registry = BreakerRegistry::<String>::new(small(&clock), 16).unwrap();
        let kept: HashMap<u8, CircuitBreaker> =
            (0..4).map(|key| (key, small(&clock).build().unwrap())).collect();
        for step in steps {
            match step {
                Step::Call(key, works) => {
                    let ours = registry.get(&format!("{key}"));
                    let theirs = &kept[&key];
                    let run = |breaker: &CircuitBreaker| {
                        let reply = breaker.run(|| if works { Ok(()) } else { Err(()) });
                        reply.map_err(|error| error.retry_after())
                    };
                    prop_assert_eq!(run(&ours), run(theirs));
                    prop_assert_eq!(ours.state(), theirs.state());
                }
                Step::Wait(time) => clock.advance(time),
                Step::Evict => _ = registry.evict_fresh(),
            }
        }
    }
}

/// Threads ask, call and forget at once; time stands still, so each outcome must still be there.
#[test]
fn no_outcome_is_recorded_into_a_forgotten_breaker() {
    let rules = builder(&ManualClock::new())
        .without_failure_rate()
        .consecutive_failures(1_000_000);
    let registry = BreakerRegistry::<String>::new(rules, 40).unwrap();
    let (recorded, done) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..3)
            .map(|seed| {
                let (registry, recorded) = (&registry, &recorded);
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(seed);
                    for _ in 0..4_000 {
                        let breaker = registry.get(&format!("{}", random.u8(..64)));
                        if random.bool() {
                            std::thread::yield_now();
                        }
                        // Most handles come and go without a call, so that there is more to forget than
                        // room for: some are forgotten whatever the sweeper does.
                        if random.u16(..300) == 0 {
                            fail(&breaker);
                            recorded.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        let (registry, done) = (&registry, &done);
        scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                registry.evict_fresh();
                std::thread::yield_now();
            }
        });
        for caller in callers {
            caller.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    let in_windows = |registry: &BreakerRegistry| -> u64 {
        registry
            .snapshots()
            .iter()
            .map(|(_, breaker)| breaker.calls)
            .sum()
    };
    let parts = perf_core::Registry::new();
    registry.register(&parts);
    let samples = figures(&parts.inspect()[0].samples);
    let overflow = overflow_of(&registry);
    assert_eq!(in_windows(&registry) + overflow, recorded.into_inner());
    assert!(!samples.contains(&"evicted 0".to_owned()), "{samples:?}");
}

/// The overflow's calls, read through a handle on it.
fn overflow_of(registry: &BreakerRegistry) -> u64 {
    let handles: Vec<_> = (0..100)
        .map(|key| registry.get(&format!("late {key}")))
        .collect();
    handles
        .last()
        .map_or(0, |overflow| overflow.snapshot().calls)
}
