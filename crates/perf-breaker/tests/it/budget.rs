//! How many retries a budget grants.

use crate::support::SECOND;
use perf_breaker::RetryBudget;
use perf_core::{Backoff, ManualClock, RetryBudget as _};
use std::time::Duration;

fn budget(share: f64, clock: &ManualClock) -> RetryBudget<ManualClock> {
    RetryBudget::with_clock(share, &"10/second".parse().unwrap(), clock.clone()).unwrap()
}

fn granted(budget: &RetryBudget<ManualClock>) -> usize {
    std::iter::from_fn(|| budget.withdraw().then_some(())).count()
}

#[test]
fn a_failing_service_sees_its_share_and_the_allowance_more_load_and_no_more() {
    let clock = ManualClock::new();
    let budget = budget(0.2, &clock);
    let mut retries = 0;
    for _ in 0..1_000 {
        for _ in 0..100 {
            budget.deposit();
            retries += usize::from(budget.withdraw());
        }
        clock.advance(SECOND);
    }
    // Of 100,000 calls a fifth, and ten a second for 1,000 s.
    assert_eq!(retries, 20_000 + 10_000);
}

#[test]
fn savings_are_bounded() {
    let clock = ManualClock::new();
    let budget = budget(1.0, &clock);
    (0..1_000_000).for_each(|_| budget.deposit());
    assert_eq!(budget.balance(), 100);
    assert_eq!(granted(&budget), 100 + 10);
}

#[test]
fn threads_never_get_more_than_was_paid_in() {
    let budget = budget(0.5, &ManualClock::new());
    let retries: usize = std::thread::scope(|scope| {
        let work = || {
            (0..10_000)
                .filter(|_| {
                    budget.deposit();
                    budget.withdraw()
                })
                .count()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(retries + granted(&budget), 20_000 + 10);
}

#[test]
fn a_backoff_ends_with_its_budget() {
    let budget = budget(0.0, &ManualClock::new());
    let delays = Backoff::constant(Duration::ZERO).delays(fastrand::Rng::new());
    assert_eq!(delays.within(&budget).count(), 10);
}

#[test]
fn a_share_that_is_none_is_an_error() {
    for share in [-0.1, 1.1, f64::NAN] {
        assert!(RetryBudget::new(share, &"1/second".parse().unwrap()).is_err());
    }
}
