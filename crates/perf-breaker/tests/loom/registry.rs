//! Who leaves a registry while somebody comes for it.
//!
//! The callers keep their handles: whether one is out is asked of the standard library's reference count, which
//! loom does not model, so that what its last drop makes visible cannot be modelled either.

use super::{Work, act, builder, model, race};
use perf_breaker::BreakerRegistry;
use perf_core::ManualClock;

/// Fetches the key's breaker, records a failure, and keeps the handle.
fn call(registry: &BreakerRegistry<u8>, key: u8) -> Work {
    let registry = registry.clone();
    act(move || {
        let breaker = registry.get(&key);
        breaker.admit().unwrap().failure();
        std::mem::forget(breaker);
    })
}

/// Whatever comes between a breaker's eviction and a call of its key, what the call recorded is found under the
/// key afterwards.
#[test]
fn a_call_is_never_recorded_by_a_breaker_that_was_evicted() {
    model(|| {
        let clock = ManualClock::new();
        let registry = BreakerRegistry::<u8>::new(builder(&clock), 2).unwrap();
        drop(registry.get(&7));
        let sweeper = registry.clone();
        let sweep = act(move || {
            sweeper.evict_fresh();
        });
        race(vec![call(&registry, 7), sweep]);
        assert_eq!(registry.get(&7).snapshot().failures, 1);
    });
}

/// The same while a newcomer wants the only place: one of the two has it, the other shares the overflow.
#[test]
fn a_newcomer_never_takes_the_place_of_a_breaker_in_use() {
    model(|| {
        let clock = ManualClock::new();
        let registry = BreakerRegistry::<u8>::new(builder(&clock), 1).unwrap();
        drop(registry.get(&7));
        race(vec![call(&registry, 7), call(&registry, 8)]);
        let snapshots = registry.snapshots();
        let [(kept, snapshot)] = &snapshots[..] else {
            panic!("there is one place");
        };
        assert_eq!(snapshot.failures, 1, "of {kept}");
        let other = if *kept == 7 { 8 } else { 7 };
        assert_eq!(registry.get(&other).snapshot().failures, 1);
    });
}
