//! What a keyed limiter admits, forgets and weighs.

use crate::support::{MS, SECOND, figures, late_clock};
use perf_breaker::{ConfigError, KeyedLimiter, Limit};
use perf_core::{ManualClock, Registry};
use perf_testkit::allocations::{count, peak_bytes};
use std::collections::HashMap;
use std::sync::Arc;

fn limiter(quota: &str, capacity: usize, clock: &ManualClock) -> KeyedLimiter<ManualClock> {
    KeyedLimiter::with_clock(&quota.parse().unwrap(), capacity, clock.clone()).unwrap()
}

fn admitted(limiter: &KeyedLimiter<ManualClock>, key: u64, calls: usize) -> usize {
    (0..calls)
        .filter(|_| limiter.check(&key).is_allowed())
        .count()
}

#[test]
fn every_key_has_its_own_quota() {
    let clock = ManualClock::new();
    for (quota, burst) in [("5/second", 5), ("5/second; 7/minute", 5)] {
        let limiter = limiter(quota, 1_000, &clock);
        for key in 0..1_000 {
            assert_eq!(admitted(&limiter, key, 10), burst, "{quota}");
        }
        clock.advance(SECOND);
        let after = if quota.contains(';') { 2 } else { 5 };
        assert_eq!(admitted(&limiter, 7, 10), after);
        clock.advance(3600 * SECOND);
    }
}

#[test]
fn cost_peek_and_refund_work_on_a_key() {
    let clock = ManualClock::new();
    for quota in ["10/second", "10/second; 100/minute"] {
        let limiter = limiter(quota, 10, &clock);
        assert_eq!(limiter.peek("a").remaining(), 10);
        limiter.refund("a", 3); // nothing taken, nothing to give back
        assert_eq!(limiter.check_cost("a", 8).unwrap().remaining(), 2);
        let denied = limiter.check_cost("a", 3).unwrap();
        assert_eq!(
            (denied.is_allowed(), denied.retry_after()),
            (false, 100 * MS)
        );
        limiter.refund("a", 1);
        assert_eq!(limiter.peek("a").remaining(), 3);
        assert!(limiter.check_cost("a", 3).unwrap().is_allowed());
        assert_eq!(limiter.peek("b").remaining(), 10);
        let error = limiter.check_cost("a", 11);
        assert_eq!(
            error,
            Err(ConfigError::CostExceedsBurst {
                cost: 11,
                burst: 10
            })
        );
    }
}

#[test]
fn a_key_can_have_a_limit_of_its_own() {
    let clock = ManualClock::new();
    let limiter = limiter("2/second", 10, &clock);
    let premium = Limit::new(100, SECOND).unwrap();
    let admitted = (0..1_000)
        .filter(|_| limiter.check_with("gold", &premium).is_allowed())
        .count();
    assert_eq!(admitted, 100);
}

#[test]
fn a_cost_is_measured_by_the_limit_in_force() {
    let clock = ManualClock::new();
    for quota in ["2/second", "2/second; 60/minute"] {
        let limiter = limiter(quota, 10, &clock);
        let premium = Limit::new(50, SECOND).unwrap();
        assert!(
            limiter
                .check_cost_with("gold", 50, &premium)
                .unwrap()
                .is_allowed()
        );
        assert!(
            !limiter
                .check_cost_with("gold", 1, &premium)
                .unwrap()
                .is_allowed()
        );
        let error = limiter.check_cost_with("gold", 51, &premium);
        let burst = 50;
        assert_eq!(
            error,
            Err(ConfigError::CostExceedsBurst { cost: 51, burst })
        );
    }
}

#[test]
fn a_changed_quota_keeps_what_each_key_has_taken() {
    let clock = ManualClock::new();
    for (before, after) in [
        ("10/minute", "20/minute"),
        ("10/minute; 90/day", "20/minute; 90/day"),
    ] {
        let limiter = limiter(before, 100, &clock);
        assert_eq!(admitted(&limiter, 1, 5), 5);
        assert_eq!(admitted(&limiter, 2, 100), 10);
        limiter.change(&after.parse().unwrap()).unwrap();
        assert_eq!(admitted(&limiter, 1, 100), 10);
        assert_eq!(admitted(&limiter, 2, 100), 0);
        assert_eq!(admitted(&limiter, 3, 100), 20);
        clock.advance(60 * SECOND);
        assert_eq!(admitted(&limiter, 2, 100), 20);
        assert!(limiter.check_cost(&4_u64, 20).unwrap().is_allowed());
    }
    let limiter = limiter("1/day", 100, &clock);
    assert_eq!(admitted(&limiter, 1, 2), 1);
    limiter.change(&"1/second".parse().unwrap()).unwrap();
    assert_eq!(limiter.peek(&1_u64).retry_after(), SECOND);
    assert_eq!(limiter.check(&1_u64).retry_after(), SECOND);
    clock.advance(SECOND);
    assert_eq!(admitted(&limiter, 1, 2), 1);
    let error = limiter
        .change(&"1/second; 2/hour".parse().unwrap())
        .unwrap_err();
    assert_eq!(error.to_string(), "number of limits is 2, must be 1 to 1");
}

#[test]
fn whoever_waits_as_long_as_told_is_admitted_under_another_limit_too() {
    let clock = ManualClock::new();
    for before in ["10/day", "10/day; 20/day"] {
        let limiter = limiter(before, 100, &clock);
        assert_eq!(admitted(&limiter, 1, 20), 10);
        let brisk = Limit::new(10, SECOND).unwrap();
        let denied = limiter.check_with(&1_u64, &brisk);
        clock.advance(denied.retry_after());
        assert!(limiter.check_with(&1_u64, &brisk).is_allowed(), "{before}");
    }
}

#[test]
fn a_key_of_a_mebibyte_is_a_key() {
    let limiter = limiter("1/minute", 10, &ManualClock::new());
    let key = "x".repeat(1 << 20);
    assert!(limiter.check(&key).is_allowed());
    assert!(!limiter.check(&key).is_allowed());
}

#[test]
fn no_capacity_and_one_beyond_all_memory_are_errors() {
    for capacity in [0, 100_000_001, usize::MAX] {
        let error = KeyedLimiter::new(&"1/second".parse().unwrap(), capacity).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("capacity for keys is {capacity}, must be 1 to 100000000")
        );
    }
}

#[test]
fn a_key_weighs_twenty_bytes_and_a_check_allocates_nothing() {
    let limiter = KeyedLimiter::new(&"1000/second".parse().unwrap(), 1_000).unwrap();
    let checks = || (0..2_000_u64).for_each(|key| _ = limiter.check(&(key % 1_000)).is_allowed());
    assert_eq!(count(checks), 0);
    let weight = peak_bytes(|| KeyedLimiter::new(&"5/second".parse().unwrap(), 100_000).unwrap());
    let bytes_a_key = weight / 100_000;
    assert_eq!(bytes_a_key, 20);
}

/// A hundred hot keys call all the time while strangers flood the table far beyond its capacity.
#[test]
fn a_flood_of_keys_gives_hot_keys_nothing_extra() {
    let clock = ManualClock::new();
    let limiter = limiter("10/second", 2_000, &clock);
    let mut random = fastrand::Rng::with_seed(3);
    let mut taken: HashMap<u64, usize> = HashMap::new();
    for _ in 0..100 {
        for _ in 0..3 {
            for hot in 0..100_u64 {
                *taken.entry(hot).or_default() += admitted(&limiter, hot, 1);
            }
            for _ in 0..1_000 {
                let _decision = limiter.check(&random.u64(100..));
            }
        }
        clock.advance(100 * MS);
    }
    assert!(limiter.evicted() > 0);
    // A burst of ten and one each tenth of a second but the last.
    assert!(
        taken.values().all(|taken| *taken == 10 + 99),
        "{:?}",
        taken.values().max()
    );
}

#[test]
fn threads_share_a_key_exactly() {
    let limiter = limiter("1000/hour", 100, &ManualClock::new());
    for key in 0..20 {
        let total: usize = std::thread::scope(|scope| {
            let work = || admitted(&limiter, key, 600);
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(total, 1_000);
    }
}

#[test]
fn a_clock_that_counts_from_1970_serves_as_well() {
    let clock = late_clock();
    let limiter = limiter("5/hour", 100, &clock);
    assert_eq!(admitted(&limiter, 7, 1_000), 5);
    clock.advance(3600 * SECOND);
    assert_eq!(admitted(&limiter, 7, 1_000), 5);
}

#[test]
fn an_inspection_shows_what_was_denied_and_forgotten() {
    let registry = Registry::new();
    let limiter = Arc::new(limiter("5/hour", 1, &ManualClock::new()).named("customers"));
    limiter.register(&registry);
    assert_eq!(admitted(&limiter, 7, 9), 5);
    let premium = Limit::new(6, 3600 * SECOND).unwrap();
    while limiter.check_with(&8_u64, &premium).is_allowed() {}
    let part = registry.inspect().remove(0);
    assert_eq!((part.kind, &*part.name), ("keyed_limiter", "customers"));
    assert_eq!(figures(&part.samples), ["denied 5", "evicted_keys 0"]);
}
