//! What a limiter admits.

use crate::support::{MS, SECOND, figures, late_clock};
use perf_breaker::{ConfigError, GuardError, Limit, Quota, RateLimiter};
use perf_core::{Health, Inspect, ManualClock, Registry};
use std::sync::Arc;

fn limiter(quota: &str, clock: &ManualClock) -> RateLimiter<ManualClock> {
    RateLimiter::with_clock(&quota.parse().unwrap(), clock.clone())
}

fn admitted(limiter: &RateLimiter<ManualClock>, calls: usize) -> usize {
    (0..calls).filter(|_| limiter.check().is_allowed()).count()
}

#[test]
fn a_burst_passes_at_once_and_the_rest_evenly() {
    let clock = ManualClock::new();
    let limiter = limiter("100/second burst 5", &clock);
    assert_eq!(admitted(&limiter, 50), 5);
    for _ in 0..100 {
        clock.advance(10 * MS);
        assert_eq!(admitted(&limiter, 50), 1);
    }
    clock.advance(3600 * SECOND);
    assert_eq!(admitted(&limiter, 50), 5);
}

#[test]
fn a_call_that_one_limit_denies_takes_nothing_from_the_others() {
    let clock = ManualClock::new();
    let limiter = limiter("3/second; 10/minute", &clock);
    assert_eq!(admitted(&limiter, 1_000), 3);
    clock.advance(SECOND);
    assert_eq!(admitted(&limiter, 1_000), 3);
    clock.advance(SECOND);
    assert_eq!(admitted(&limiter, 1_000), 3);
    clock.advance(SECOND);
    assert_eq!(admitted(&limiter, 1_000), 1);
    let denied = limiter.check();
    assert_eq!(denied.limit().count(), 10);
    assert_eq!(denied.retry_after(), 3 * SECOND);
}

#[test]
fn a_cost_is_taken_whole_or_not_at_all() {
    let clock = ManualClock::new();
    let limiter = limiter("10/second", &clock);
    assert_eq!(limiter.check_cost(8).unwrap().remaining(), 2);
    let denied = limiter.check_cost(3).unwrap();
    assert_eq!(
        (denied.is_allowed(), denied.retry_after()),
        (false, 100 * MS)
    );
    assert_eq!(limiter.check_cost(2).unwrap().remaining(), 0);
    assert_eq!(
        limiter.check_cost(11),
        Err(ConfigError::CostExceedsBurst {
            cost: 11,
            burst: 10
        })
    );
}

#[test]
fn looking_takes_nothing_and_sees_what_a_call_would_see() {
    let clock = ManualClock::new();
    let limiter = limiter("2/second", &clock);
    for left in [2, 1] {
        for _ in 0..10 {
            assert_eq!(limiter.peek().remaining(), left);
        }
        assert!(limiter.check().is_allowed());
    }
    assert_eq!(limiter.peek().retry_after(), 500 * MS);
}

#[test]
fn a_refund_can_be_taken_again_and_never_exceeds_the_burst() {
    for quota in ["10/minute", "10/minute; 10/hour"] {
        let clock = ManualClock::new();
        let limiter = limiter(quota, &clock);
        assert_eq!(admitted(&limiter, 20), 10);
        limiter.refund(3);
        assert_eq!(admitted(&limiter, 20), 3);
        limiter.refund(u32::MAX);
        assert_eq!(admitted(&limiter, 20), 10);
    }
}

#[test]
fn a_changed_quota_keeps_what_was_taken() {
    for (before, after, left) in [
        ("10/minute", "100/minute", 40),
        ("10/minute", "5/minute", 2),
        ("10/minute", "7/minute; 3/day", 2),
        ("10/minute; 20/hour", "10/minute; 10/hour", 4),
        // A day's worth was taken, and nobody waits a day for a burst of a second.
        ("10/day", "10/second", 0),
    ] {
        let clock = ManualClock::new();
        let limiter = limiter(before, &clock);
        assert!(limiter.check_cost(6).unwrap().is_allowed());
        limiter.change(&after.parse().unwrap());
        assert_eq!(admitted(&limiter, 200), left, "{before} to {after}");
        clock.advance(24 * 3600 * SECOND);
        let quota: Quota = after.parse().unwrap();
        let burst = quota.limits().iter().map(Limit::burst).min();
        assert_eq!(admitted(&limiter, 200), burst.unwrap() as usize);
        limiter.refund(1);
        assert_eq!(admitted(&limiter, 200), 1);
    }
}

#[test]
fn after_a_change_whoever_waits_as_long_as_told_is_admitted() {
    let clock = ManualClock::new();
    for after in ["10/second", "10/second; 50/minute"] {
        let limiter = limiter("10/day", &clock);
        assert_eq!(admitted(&limiter, 20), 10);
        limiter.change(&after.parse().unwrap());
        let denied = limiter.check();
        assert!(!denied.is_allowed() && denied.retry_after() <= SECOND);
        clock.advance(denied.retry_after());
        assert!(limiter.check().is_allowed(), "{after}");
    }
}

#[test]
fn a_quota_that_changes_under_load_never_admits_more_than_either() {
    let clock = ManualClock::new();
    let limiter = limiter("1000/hour", &clock);
    let quotas = ["1000/hour", "1000/hour; 5000/day"].map(|quota| quota.parse::<Quota>().unwrap());
    let total: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| admitted(&limiter, 1_000)))
            .collect();
        (0..50).for_each(|change| limiter.change(&quotas[change % 2]));
        let admitted = threads.into_iter().map(|thread| thread.join().unwrap());
        admitted.sum()
    });
    assert_eq!(total, 1_000);
}

#[test]
fn a_denial_reads_well_and_carries_the_wait() {
    let clock = ManualClock::new();
    let limiter = limiter("1/minute", &clock);
    assert!(limiter.check().into_result::<()>().is_ok());
    let error: GuardError<std::io::Error> = limiter.check().into_result().unwrap_err();
    assert!(error.is_rejection());
    assert_eq!(error.retry_after(), Some(60 * SECOND));
    assert_eq!(
        error.to_string(),
        "rate limit reached, 1/minute allows the call in 60s"
    );
}

#[test]
fn threads_never_get_more_than_the_burst() {
    for quota in ["1000/hour", "1000/hour; 2000/day"] {
        let limiter = RateLimiter::with_clock(&quota.parse::<Quota>().unwrap(), ManualClock::new());
        let total: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| admitted(&limiter, 1_000)))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(total, 1_000, "{quota}");
    }
}

#[test]
fn a_clock_that_counts_from_1970_serves_as_well() {
    let clock = late_clock();
    for quota in ["11/second", "11/second; 100/hour"] {
        let limiter = limiter(quota, &clock);
        assert_eq!(admitted(&limiter, 1_000), 11);
        clock.advance(SECOND);
        assert_eq!(admitted(&limiter, 1_000), 11);
    }
}

#[tokio::test]
async fn an_inspection_shows_what_is_left_and_what_was_denied() {
    let clock = ManualClock::new();
    let registry = Registry::new();
    let limiter = Arc::new(limiter("3/second", &clock));
    limiter.register(&registry);
    let inspect = || registry.inspect().remove(0);
    assert_eq!(
        figures(&inspect().samples),
        ["remaining_calls 3", "waiting_calls 0", "denied 0"]
    );
    assert_eq!(admitted(&limiter, 8), 3);
    let refused = limiter.until_ready(MS).await;
    assert!(!refused.is_allowed() && !limiter.check_cost(2).unwrap().is_allowed());
    let mut waiting = Box::pin(limiter.until_ready(SECOND));
    assert!(futures_util::poll!(waiting.as_mut()).is_pending());
    let part = inspect();
    assert_eq!((part.kind, &*part.name), ("rate_limiter", "3/second"));
    assert_eq!(part.health, Health::Healthy);
    assert_eq!(
        figures(&part.samples),
        ["remaining_calls 0", "waiting_calls 1", "denied 7"]
    );
    drop(waiting);
    drop(limiter);
    assert!(registry.inspect().is_empty());
}

#[test]
fn a_limiter_can_have_a_name() {
    let quota: Quota = "3/second".parse().unwrap();
    assert_eq!(RateLimiter::new(&quota).name(), "3/second");
    assert_eq!(RateLimiter::new(&quota).named("mail").name(), "mail");
}
