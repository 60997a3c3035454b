//! Limits that find themselves, before callees that are simulated.

use crate::support::{MS, SECOND, figures};
use futures_util::FutureExt;
use perf_breaker::{
    AdaptiveLimit, Aimd, ConfigError, Gradient, LimitPolicy, Outcome, OverloadCause, Slot, Vegas,
};
use perf_core::ManualClock;
use perf_testkit::allocations::count;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::time::Duration;

/// A callee that works on `capacity` calls at once, each taking `pace`, and queues the rest; callers always
/// have more calls than the limit lets through.
struct Simulation<P: LimitPolicy> {
    clock: ManualClock,
    limit: AdaptiveLimit<P, ManualClock>,
    capacity: u64,
    pace: Duration,
    /// The callee drops what would have to queue beyond this.
    most: u64,
    random: fastrand::Rng,
}

impl<P: LimitPolicy> Simulation<P> {
    fn new(policy: P, capacity: u64, pace: Duration) -> Self {
        let clock = ManualClock::new();
        Self {
            limit: AdaptiveLimit::with_clock("test", policy, clock.clone()),
            clock,
            capacity,
            pace,
            most: u64::MAX,
            random: fastrand::Rng::with_seed(1),
        }
    }

    /// Runs so many calls and returns the lowest and the highest limit on the way.
    fn run(&mut self, calls: u32) -> (u64, u64) {
        let limit = self.limit.clone();
        let mut queue: VecDeque<Slot<'_, P, ManualClock>> = VecDeque::new();
        let (mut least, mut most) = (u64::MAX, 0);
        for _ in 0..calls {
            while let Ok(slot) = limit.admit() {
                if queue.len() as u64 >= self.most {
                    slot.fail();
                    break;
                }
                queue.push_back(slot);
            }
            // Whoever is worked on ends every pace ÷ capacity; fewer calls than capacity take longer
            // between each other.
            let at_once = self.capacity.min(queue.len() as u64);
            let noise = 0.9 + 0.2 * self.random.f64();
            let step = self.pace.mul_f64(noise) / u32::try_from(at_once.max(1)).unwrap();
            self.clock.advance(step);
            if let Some(slot) = queue.pop_front() {
                slot.finish();
            }
            // Of the limit that lasts: a probe halves it for a moment.
            (least, most) = (least.min(limit.limit()), most.max(limit.limit()));
        }
        queue.into_iter().for_each(Slot::ignore);
        (least, most)
    }
}

fn settles<P: LimitPolicy>(policy: P, capacity: u64, highest: u64) {
    let mut simulation = Simulation::new(policy, capacity, 20 * MS);
    simulation.run(50_000);
    let (least, most) = simulation.run(50_000);
    assert!(most >= capacity * 9 / 10, "{capacity}: {least}..{most}");
    assert!(most <= highest, "{capacity}: {least}..{most}");
    // No creep: as long again, and it is where it was.
    let (_, later) = simulation.run(300_000);
    assert!(later <= highest, "{capacity}: {most} crept to {later}");
    // The callee becomes three times slower: that is its pace, not a queue.
    simulation.pace *= 3;
    simulation.run(100_000);
    let (least, most) = simulation.run(100_000);
    assert!(
        most >= capacity * 8 / 10,
        "{capacity}: {least}..{most} when slower"
    );
    assert!(most <= highest, "{capacity}: {least}..{most} when slower");
    // It loses half of its capacity.
    simulation.capacity = capacity / 2;
    simulation.run(100_000);
    let (_, most) = simulation.run(50_000);
    assert!(
        most <= highest * 2 / 3,
        "{capacity}: {most} with half the capacity"
    );
}

#[test]
fn a_gradient_settles_near_the_capacity_and_does_not_creep() {
    for capacity in [10, 50, 200] {
        settles(
            Gradient::between(4, 5_000).unwrap(),
            capacity,
            capacity * 5 / 2 + 10,
        );
    }
}

#[test]
fn vegas_settles_near_the_capacity_and_does_not_creep() {
    for capacity in [10, 50, 200] {
        settles(
            Vegas::between(4, 5_000).unwrap(),
            capacity,
            capacity * 2 + 20,
        );
    }
}

#[test]
fn aimd_settles_at_the_point_of_failure() {
    let mut simulation = Simulation::new(Aimd::between(1, 5_000).unwrap(), 20, 20 * MS);
    simulation.most = 60;
    simulation.run(20_000);
    let (least, most) = simulation.run(50_000);
    assert!(least >= 40 && most <= 70, "{least}..{most}");
}

#[test]
fn a_limit_that_nobody_reaches_does_not_grow() {
    fn stays<P: LimitPolicy>(policy: P) {
        let clock = ManualClock::new();
        let limit = AdaptiveLimit::with_clock("test", policy, clock.clone());
        for _ in 0..10_000 {
            let slot = limit.admit().unwrap();
            clock.advance(MS);
            slot.finish();
        }
        assert!(limit.limit() <= 20, "{limit:?}");
    }
    stays(Aimd::between(20, 1_000).unwrap());
    stays(Gradient::between(20, 1_000).unwrap());
    stays(Vegas::between(20, 1_000).unwrap());
}

#[test]
fn the_limit_holds_and_every_slot_comes_back() {
    let clock = ManualClock::new();
    let limit = AdaptiveLimit::with_clock("test", Aimd::between(3, 3).unwrap(), clock.clone());
    let slots: Vec<_> = (0..3).map(|_| limit.admit().unwrap()).collect();
    let refused = limit.admit().unwrap_err();
    assert_eq!(refused.cause, OverloadCause::LimitReached);
    clock.advance(SECOND);
    drop(slots);
    assert_eq!(limit.under_way(), 0);
    let slots: Vec<_> = (0..3).map(|_| limit.admit().unwrap()).collect();
    assert_eq!(limit.admit().unwrap_err().retry_after, SECOND);
    slots.into_iter().for_each(Slot::ignore);

    let mut call = Box::pin(limit.call(std::future::pending::<Result<(), ()>>()));
    assert!((&mut call).now_or_never().is_none());
    assert_eq!(limit.under_way(), 1);
    drop(call);
    let panics = limit.call(async { panic!("boom") as Result<(), ()> });
    assert!(
        std::panic::AssertUnwindSafe(panics)
            .catch_unwind()
            .now_or_never()
            .unwrap()
            .is_err()
    );
    assert_eq!(limit.under_way(), 0);
}

#[test]
fn what_the_classifier_ignores_does_not_move_the_limit() {
    let limit = AdaptiveLimit::new("test", Aimd::between(1, 100).unwrap());
    let ignore = |_: &Result<(), ()>| Outcome::Ignore;
    for _ in 0..100 {
        let reply = limit.call_judged(async { Err(()) }, &ignore).now_or_never();
        assert!(reply.unwrap().is_err());
    }
    assert_eq!(limit.limit(), 1);
}

#[test]
fn a_call_allocates_nothing() {
    let limit = AdaptiveLimit::new("test", Gradient::between(5, 10).unwrap());
    let calls = || {
        for _ in 0..100 {
            assert_eq!(
                limit.call(async { Ok::<_, ()>(7) }).now_or_never(),
                Some(Ok(7))
            );
        }
    };
    calls();
    assert_eq!(count(calls), 0);
}

#[test]
fn bounds_are_checked_and_figures_shown() {
    let range = |setting, value, least, most| ConfigError::Range {
        setting,
        value,
        least,
        most,
    };
    assert_eq!(
        Aimd::between(0, 5).unwrap_err(),
        range("lowest limit", 0, 1, 5)
    );
    assert_eq!(
        Vegas::between(6, 5).unwrap_err(),
        range("lowest limit", 6, 1, 5)
    );
    assert_eq!(
        Gradient::between(1, 0).unwrap_err(),
        range("highest limit", 0, 1, 1_000_000)
    );
    let registry = perf_core::Registry::new();
    let limit = AdaptiveLimit::new("test", Aimd::between(2, 5).unwrap());
    limit.register(&registry);
    let _slot = limit.admit().unwrap();
    let shown = &registry.inspect()[0];
    assert_eq!((&*shown.name, shown.kind), ("test", "adaptive_limit"));
    assert_eq!(
        figures(&shown.samples),
        ["limit 2", "under_way 1", "refused 0"]
    );
}

/// The whole part of a small number.
fn whole(number: f64) -> u64 {
    (1..)
        .find(|next| f64::from(*next) > number)
        .map_or(0, |next| u64::from(next - 1_u32))
}

proptest! {
    /// Against the two rules of the algorithm, written down once more.
    #[test]
    fn aimd_follows_its_rules(
        ends in prop::collection::vec((any::<bool>(), 1..40_usize), 1..200),
    ) {
        let limit = AdaptiveLimit::new("test", Aimd::between(2, 30).unwrap());
        let mut expected = 2.0_f64;
        for (fails, at_once) in ends {
            let mut slots: Vec<_> = std::iter::from_fn(|| limit.admit().ok()).take(at_once).collect();
            prop_assert_eq!(slots.len(), at_once.min(usize::try_from(whole(expected)).unwrap()));
            let used = slots.len() as f64 * 2.0 >= expected;
            let last = slots.pop().unwrap();
            slots.into_iter().for_each(Slot::ignore);
            if fails {
                last.fail();
                expected = (expected * 0.9).max(2.0);
            } else {
                last.finish();
                if used {
                    expected = (expected + 1.0 / expected).min(30.0);
                }
            }
            prop_assert_eq!(limit.limit(), whole(expected));
        }
    }

    /// Whatever a policy is told, its limit stays within its bounds.
    #[test]
    fn no_history_leads_out_of_bounds(
        ends in prop::collection::vec((any::<bool>(), 0..u64::MAX), 1..300),
    ) {
        fn stays(policy: impl LimitPolicy, ends: &[(bool, u64)]) {
            let clock = ManualClock::new();
            let limit = AdaptiveLimit::with_clock("test", policy, clock.clone());
            for (fails, nanos) in ends {
                let slot = limit.admit().unwrap();
                clock.advance(Duration::from_nanos(nanos >> (nanos % 64)));
                if *fails { slot.fail() } else { slot.finish() }
                assert!((3..=50).contains(&limit.limit()), "{limit:?}");
            }
        }
        stays(Aimd::between(3, 50).unwrap(), &ends);
        stays(Gradient::between(3, 50).unwrap(), &ends);
        stays(Vegas::between(3, 50).unwrap(), &ends);
    }
}
