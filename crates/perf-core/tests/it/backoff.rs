use perf_core::{Backoff, Jitter, RetryBudget};
use proptest::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

fn millis(backoff: Backoff) -> Vec<u128> {
    backoff
        .delays(fastrand::Rng::with_seed(1))
        .take(8)
        .map(|delay| delay.as_millis())
        .collect()
}

#[test]
fn constant_delays_do_not_change() {
    assert_eq!(
        millis(Backoff::constant(5 * MS).with_max_attempts(4)),
        [5, 5, 5]
    );
}

#[test]
fn attempts_include_the_first_and_zero_counts_as_one() {
    assert_eq!(
        Backoff::constant(MS)
            .with_max_attempts(1)
            .delays(fastrand::Rng::new())
            .count(),
        0
    );
    assert_eq!(
        Backoff::constant(MS)
            .with_max_attempts(0)
            .delays(fastrand::Rng::new())
            .count(),
        0
    );
}

#[test]
fn unlimited_attempts_never_end() {
    assert_eq!(
        Backoff::exponential(MS)
            .delays(fastrand::Rng::new())
            .take(100_000)
            .count(),
        100_000
    );
}

#[test]
fn a_base_above_the_cap_is_capped() {
    let backoff = Backoff::exponential(100 * MS)
        .with_cap(30 * MS)
        .with_jitter(Jitter::None);
    assert_eq!(millis(backoff.with_max_attempts(3)), [30, 30]);
}

#[test]
fn factors_that_shrink_or_are_not_numbers_count_as_one() {
    for factor in [0.5, -1.0, f64::NAN, f64::NEG_INFINITY] {
        let backoff = Backoff::exponential(MS)
            .with_factor(factor)
            .with_jitter(Jitter::None);
        assert_eq!(millis(backoff.with_max_attempts(3)), [1, 1], "{factor}");
    }
    let endless = Backoff::exponential(MS)
        .with_factor(f64::INFINITY)
        .with_jitter(Jitter::None);
    assert_eq!(
        millis(endless.with_cap(9 * MS).with_max_attempts(4)),
        [1, 9, 9]
    );
}

#[test]
fn equal_seeds_give_equal_delays() {
    let backoff = Backoff::decorrelated(MS);
    assert_eq!(millis(backoff), millis(backoff));
}

#[derive(Debug)]
struct Allowance(AtomicU32);

impl RetryBudget for Allowance {
    fn withdraw(&self) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            })
            .is_ok()
    }
    fn deposit(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_spent_budget_ends_the_retries() {
    let budget = Allowance(AtomicU32::new(2));
    let delays = Backoff::constant(MS)
        .delays(fastrand::Rng::new())
        .within(&budget);
    assert_eq!(delays.count(), 2);
    budget.deposit();
    assert_eq!(
        Backoff::constant(MS)
            .delays(fastrand::Rng::new())
            .within(&budget)
            .count(),
        1
    );
}

proptest! {
    #[test]
    fn no_delay_exceeds_the_cap(
        base in 0_u64..10_000, cap in 0_u64..10_000, factor in -2.0..1e9_f64, seed: u64, kind in 0..3_usize,
    ) {
        let jitter = [Jitter::None, Jitter::Full, Jitter::Decorrelated][kind];
        let cap = Duration::from_micros(cap);
        let backoff = Backoff::exponential(Duration::from_micros(base))
            .with_cap(cap).with_factor(factor).with_jitter(jitter);
        for delay in backoff.delays(fastrand::Rng::with_seed(seed)).take(200) {
            prop_assert!(delay <= cap);
        }
    }
}

#[test]
fn full_jitter_spreads_over_the_whole_span() {
    let backoff = Backoff::exponential(1_000 * MS).with_factor(1.0);
    let delays: Vec<_> = backoff
        .delays(fastrand::Rng::with_seed(3))
        .take(10_000)
        .collect();
    let mean = delays.iter().sum::<Duration>() / 10_000;
    assert!((480..520).contains(&mean.as_millis()), "{mean:?}");
    assert!(
        delays.iter().any(|delay| *delay < 20 * MS) && delays.iter().any(|delay| *delay > 980 * MS)
    );
}
