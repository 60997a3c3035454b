//! Callers that wait for a limiter.

use crate::support::{MS, SECOND};
use futures_util::FutureExt;
use perf_breaker::{ConfigError, RateLimiter};
use perf_core::{Clock, ManualClock};
use std::sync::{Arc, Mutex};

fn spent(quota: &str, clock: &ManualClock) -> Arc<RateLimiter<ManualClock>> {
    let limiter = RateLimiter::with_clock(&quota.parse().unwrap(), clock.clone());
    while limiter.check().is_allowed() {}
    Arc::new(limiter)
}

async fn let_others_run() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn those_who_wait_are_served_in_order_one_an_interval() {
    let clock = ManualClock::new();
    let limiter = spent("10/second burst 1", &clock);
    let (start, served) = (clock.now(), Arc::new(Mutex::new(Vec::new())));
    for caller in 0..20_u32 {
        let (limiter, clock, served) = (limiter.clone(), clock.clone(), served.clone());
        tokio::spawn(async move {
            assert!(limiter.until_ready(60 * SECOND).await.is_allowed());
            let at = clock.now().since(start).as_millis();
            served.lock().unwrap().push((caller, at));
        });
        let_others_run().await;
    }
    for _ in 0..200 {
        clock.advance(10 * MS);
        let_others_run().await;
    }
    let expected: Vec<_> = (0..20_u32)
        .map(|caller| (caller, u128::from(caller + 1) * 100))
        .collect();
    assert_eq!(*served.lock().unwrap(), expected);
}

#[tokio::test]
async fn whoever_gives_up_lets_those_behind_move_up_and_takes_nothing() {
    let clock = ManualClock::new();
    let limiter = spent("1/second", &clock);
    let wait = || {
        let limiter = limiter.clone();
        async move { limiter.until_ready(60 * SECOND).await }
    };
    let mut callers: Vec<_> = (0..5).map(|_| tokio::spawn(wait())).collect();
    let_others_run().await;
    assert_eq!(limiter.peek().retry_after(), 6 * SECOND);
    for gone in [3, 0] {
        callers.remove(gone).abort();
    }
    let_others_run().await;
    assert_eq!(limiter.peek().retry_after(), 4 * SECOND);
    for left in (0..3).rev() {
        clock.advance(SECOND);
        let_others_run().await;
        assert_eq!(
            callers
                .iter()
                .filter(|caller| !caller.is_finished())
                .count(),
            left
        );
    }
    assert!(!limiter.check().is_allowed());
    clock.advance(SECOND);
    assert!(limiter.check().is_allowed());
}

#[tokio::test]
async fn nobody_passes_those_who_wait() {
    let clock = ManualClock::new();
    let limiter = spent("10/second", &clock);
    let waiter = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.until_ready_cost(5, 60 * SECOND).await }
    });
    let_others_run().await;
    clock.advance(400 * MS);
    // Four have come back, and the line wants five.
    let denied = limiter.check();
    assert_eq!(
        (denied.is_allowed(), denied.retry_after()),
        (false, 200 * MS)
    );
    // Six have come back: enough for the line and one more.
    clock.advance(200 * MS);
    assert!(limiter.check().is_allowed());
    assert!(!limiter.check().is_allowed());
    assert!(waiter.await.unwrap().unwrap().is_allowed());
}

#[tokio::test]
async fn a_wait_that_would_be_too_long_is_denied_at_once() {
    let clock = ManualClock::new();
    let limiter = spent("1/second", &clock);
    let denied = limiter.until_ready(999 * MS).now_or_never().unwrap();
    assert_eq!(denied.retry_after(), SECOND);
    let mut accepted = Box::pin(limiter.until_ready(SECOND));
    assert!(accepted.as_mut().now_or_never().is_none());
    let denied = limiter.until_ready(1_999 * MS).now_or_never().unwrap();
    assert_eq!(denied.retry_after(), 2 * SECOND);
    let error = limiter.until_ready_cost(2, SECOND).await;
    assert_eq!(
        error,
        Err(ConfigError::CostExceedsBurst { cost: 2, burst: 1 })
    );
}

/// Whatever callers give up at whatever poll, the next second admits its whole quota.
#[tokio::test]
async fn a_thousand_waits_dropped_at_random_lose_nothing() {
    let clock = ManualClock::new();
    let limiter = spent("5/second", &clock);
    let mut random = fastrand::Rng::with_seed(9);
    for _ in 0..1_000 {
        let mut line: Vec<_> = (0..5)
            .map(|_| Box::pin(limiter.until_ready(60 * SECOND)))
            .collect();
        for _ in 0..random.usize(..15) {
            let index = random.usize(..line.len());
            if line[index].as_mut().now_or_never().is_some() {
                drop(line.swap_remove(index));
            }
            if line.is_empty() {
                break;
            }
            clock.advance(random.u32(..100) * MS);
        }
        drop(line);
    }
    clock.advance(SECOND);
    assert_eq!((0..100).filter(|_| limiter.check().is_allowed()).count(), 5);
}
