//! What a limiter's check costs, in time and in memory.
//!
//! Both sides read the processor's counter, which is the peer's default and our choice where nanoseconds
//! count; what our default clock adds stands beside it.

use criterion::Criterion;
use governor::{Quota, RateLimiter as Governor};
use harness::Comparison;
use perf_breaker::{CounterClock, KeyedLimiter, Limit, RateLimiter};
use std::cell::Cell;
use std::num::NonZeroU32;
use std::time::Duration;

/// So generous that no check is denied while it is timed.
fn plenty() -> (Limit, Quota) {
    let count = NonZeroU32::new(1_000_000).expect("not zero");
    let ours = Limit::new(count.get(), Duration::from_secs(1))
        .and_then(|limit| limit.with_burst(u32::MAX));
    (
        ours.expect("valid"),
        Quota::per_second(count).allow_burst(NonZeroU32::MAX),
    )
}

pub(crate) fn direct(criterion: &mut Criterion) {
    let (limit, quota) = plenty();
    let clock = CounterClock::start();
    let ours = RateLimiter::with_clock(&limit.into(), clock);
    let usual = RateLimiter::new(&limit.into());
    let governor = Governor::direct(quota);
    let mut comparison = Comparison::new("breaker/limiter_direct/allowed");
    comparison.add("perfkit", || assert!(ours.check().is_allowed()));
    comparison.add("governor", || assert!(governor.check().is_ok()));
    comparison.add("perfkit_system_clock", || {
        assert!(usual.check().is_allowed())
    });
    comparison.run(criterion);
}

/// Walks through the keys in an order that no prefetcher guesses.
fn next(position: &Cell<usize>, keys: usize) -> usize {
    position.set((position.get() + 7_919) % keys);
    position.get()
}

pub(crate) fn keyed_10k(criterion: &mut Criterion) {
    const KEYS: usize = 10_000;
    let (limit, quota) = plenty();
    let ours = KeyedLimiter::with_clock(&limit.into(), KEYS, CounterClock::start()).expect("valid");
    let names: Vec<String> = (0..KEYS).map(|key| format!("customer-{key:07}")).collect();
    let governor = Governor::keyed(quota);
    let (here, there) = (Cell::new(0), Cell::new(0));
    let mut comparison = Comparison::new("breaker/limiter_keyed/10k_strings");
    comparison.add("perfkit", || {
        assert!(ours.check(&names[next(&here, KEYS)]).is_allowed())
    });
    comparison.add("governor", || {
        assert!(governor.check_key(&names[next(&there, KEYS)]).is_ok())
    });
    comparison.run(criterion);
    integers(criterion, "breaker/limiter_keyed/10k_integers", KEYS);
}

pub(crate) fn keyed_1m(criterion: &mut Criterion) {
    integers(criterion, "breaker/limiter_keyed/1m_integers", 1_000_000);
}

fn integers(criterion: &mut Criterion, id: &'static str, keys: usize) {
    let (limit, quota) = plenty();
    let (ours, governor) = (
        KeyedLimiter::with_clock(&limit.into(), keys, CounterClock::start()).expect("valid"),
        Governor::keyed(quota),
    );
    for key in 0..keys {
        assert!(ours.check(&key).is_allowed() && governor.check_key(&key).is_ok());
    }
    let (here, there) = (Cell::new(0), Cell::new(0));
    let mut comparison = Comparison::new(id);
    comparison.add("perfkit", || {
        assert!(ours.check(&next(&here, keys)).is_allowed())
    });
    comparison.add("governor", || {
        assert!(governor.check_key(&next(&there, keys)).is_ok())
    });
    comparison.run(criterion);
}

/// The process's resident memory, for each of a million keys of 16 bytes.
pub(crate) fn memory(_: &mut Criterion) {
    const ID: &str = "breaker/limiter_memory/1m_keys/governor";
    const KEYS: u128 = 1_000_000;
    if !harness::is_wanted(ID) {
        return;
    }
    let (limit, quota) = plenty();
    let before = resident();
    let ours = KeyedLimiter::new(&limit.into(), 1_000_000).expect("valid");
    assert!((0..KEYS).all(|key| ours.check(&key).is_allowed()));
    let between = resident();
    let governor = Governor::keyed(quota);
    assert!((0..KEYS).all(|key| governor.check_key(&key).is_ok()));
    let after = resident();
    let a_key = |bytes: u64| bytes as f64 / KEYS as f64;
    harness::record(
        ID,
        a_key(between - before),
        a_key(after - between),
        "bytes a key",
    );
    drop((ours, governor));
}

fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let resident = pages.split_whitespace().nth(1).expect("two figures");
    resident.parse::<u64>().expect("a number") * 4096
}
