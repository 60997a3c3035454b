//! Millions of keys against a table for thousands.

use super::cases;
use perf_breaker::KeyedLimiter;
use perf_core::ManualClock;
use std::time::Duration;

/// The bytes of this process that are in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages = status.split_whitespace().nth(1).unwrap();
    pages.parse::<u64>().unwrap() * 4096
}

/// A hundred keys call without a pause while others come once and never again, a hundred thousand a
/// second: nobody gets more than its quota, and the process does not grow.
#[test]
fn a_flood_of_distinct_keys_takes_no_memory_and_gives_nothing_away() {
    const HOT: u64 = 100;
    const BURST: u64 = 10;
    let clock = ManualClock::new();
    let quota = "10/second".parse().unwrap();
    let limiter = KeyedLimiter::with_clock(&quota, 50_000, clock.clone()).unwrap();
    let mut taken = vec![0_u64; usize::try_from(HOT).unwrap()];
    let mut elapsed = Duration::ZERO;
    let (step, start) = (Duration::from_millis(10), resident());
    for stranger in 0..u64::from(cases(200_000)) {
        // Two thirds of all calls are of strangers.
        assert!(limiter.check(&(HOT + stranger)).is_allowed());
        if stranger % 2 == 0 {
            let hot = stranger / 2 % HOT;
            let allowed = limiter.check(&hot).is_allowed();
            taken[usize::try_from(hot).unwrap()] += u64::from(allowed);
        }
        if stranger % 1_000 == 999 {
            clock.advance(step);
            elapsed += step;
        }
    }
    let most = BURST + u64::try_from(elapsed.as_millis() / 100).unwrap();
    assert!(
        taken.iter().all(|taken| *taken <= most),
        "{most}: {taken:?}"
    );
    // Each hot key calls fifty times as often as it may, so it gets nearly all that it may get.
    assert!(
        taken.iter().all(|taken| taken + 2 >= most),
        "{most}: {taken:?}"
    );
    let growth = resident().saturating_sub(start);
    assert!(growth < 4 << 20, "{growth} bytes more than at the start");
}
