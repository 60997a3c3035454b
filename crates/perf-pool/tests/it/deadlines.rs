use crate::support::{Probe, Refused, TestResult, settle};
use perf_core::{Clock, SystemClock};
use perf_pool::{Phase, PoolError};
use std::error::Error;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_wait_ends_at_its_deadline_and_says_why() -> TestResult {
    let pool = Probe::default()
        .pool()
        .max_size(1)
        .acquire_timeout(5 * SECOND)
        .build()?;
    let _held = pool.acquire().await?;
    let start = SystemClock.now();
    let Err(PoolError::Timeout(elapsed)) = pool.acquire().await else {
        panic!("it was served");
    };
    assert_eq!(SystemClock.now().since(start).as_secs(), 5);
    assert_eq!((elapsed.phase, elapsed.waited.as_secs()), (Phase::Queue, 5));
    assert_eq!((elapsed.status.in_use, elapsed.status.waiting), (1, 0));
    let error = PoolError::Timeout(elapsed);
    assert!(error.is_overload() && error.is_transient());
    assert_eq!(
        error.to_string(),
        "waited 5.0s for a resource to be returned (1 of 1 in use, 0 idle, 0 waiting), of which the \
         caller itself holds 1"
    );
    assert_eq!(pool.metrics().timeouts, 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn each_waiter_has_its_own_deadline() -> TestResult {
    let pool = Probe::default().pool().max_size(1).build()?;
    let _held = pool.acquire().await?;
    let start = SystemClock.now();
    let after = |seconds| start.saturating_add(seconds * SECOND);
    let (late, soon) = tokio::join!(
        async {
            (
                pool.acquire_until(after(4)).await.is_err(),
                SystemClock.now().since(start),
            )
        },
        async {
            (
                pool.acquire_within(SECOND).await.is_err(),
                SystemClock.now().since(start),
            )
        },
    );
    assert!(late.0 && soon.0);
    assert_eq!((late.1.as_secs(), soon.1.as_secs()), (4, 1));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_deadline_in_the_past_still_takes_what_is_idle() -> TestResult {
    let pool = Probe::default().pool().max_size(1).build()?;
    let past = SystemClock.now();
    drop(pool.acquire().await?);
    let held = pool.acquire_until(past).await?;
    assert!(pool.acquire_until(past).await.is_err());
    drop(held);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_resource_never_goes_to_a_waiter_past_its_deadline() -> TestResult {
    let pool = Probe::default().pool().max_size(1).build()?;
    let held = pool.acquire().await?;
    let mut late = Box::pin(pool.acquire_within(SECOND));
    assert!(futures_util::poll!(late.as_mut()).is_pending());
    let mut patient = Box::pin(pool.acquire_within(10 * SECOND));
    assert!(futures_util::poll!(patient.as_mut()).is_pending());
    // The clock moves, but the pool's own task has not been polled since.
    tokio::time::advance(2 * SECOND).await;
    drop(held);
    assert!(late.await.is_err());
    assert!(patient.await.is_ok());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_failing_server_is_named_in_the_timeout() -> TestResult {
    let probe = Probe::default();
    probe.0.refuses.store(true, SeqCst);
    let pool = probe.pool().acquire_timeout(3 * SECOND).build()?;
    let Err(error) = pool.acquire().await else {
        panic!("it was served");
    };
    assert!(!error.is_overload());
    let source = error.source().ok_or("no source")?;
    assert!(source.downcast_ref::<Refused>().is_some(), "{source}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_permanent_failure_reaches_everybody_at_once() -> TestResult {
    let probe = Probe::default();
    probe.0.refuses_for_good.store(true, SeqCst);
    let pool = probe.pool().build()?;
    let start = SystemClock.now();
    for _ in 0..10 {
        assert!(matches!(pool.acquire().await, Err(PoolError::Create(_))));
    }
    assert_eq!(SystemClock.now().since(start), Duration::ZERO);
    // The first attempt told the other nine callers, too.
    assert_eq!(probe.0.attempts.load(SeqCst), 1);
    probe.0.refuses_for_good.store(false, SeqCst);
    tokio::time::advance(2 * SECOND).await;
    assert!(pool.acquire().await.is_ok());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_hanging_connect_is_given_up_and_tried_again() -> TestResult {
    let probe = Probe::default();
    probe.0.create_millis.store(60_000, SeqCst);
    let pool = probe
        .pool()
        .connect_timeout(SECOND)
        .acquire_timeout(10 * SECOND)
        .build()?;
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.map(|guard| guard.number) }
    });
    settle().await;
    probe.0.create_millis.store(1, SeqCst);
    assert_eq!(waiting.await??, 0);
    assert_eq!(pool.metrics().create_failures, 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_hanging_check_costs_no_more_than_its_limit() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().check_timeout(SECOND).build()?;
    drop(pool.acquire().await?);
    tokio::time::advance(2 * SECOND).await;
    probe.0.check_hangs.store(true, SeqCst);
    let start = SystemClock.now();
    assert_eq!(pool.acquire().await?.number, 1);
    let waited = SystemClock.now().since(start);
    assert!(
        (SECOND..SECOND + SECOND / 10).contains(&waited),
        "{waited:?}"
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_hanging_reset_returns_its_slot() -> TestResult {
    let probe = Probe::default();
    probe.0.reset_hangs.store(true, SeqCst);
    let pool = probe.pool().max_size(10).build()?;
    let mut guards = Vec::new();
    for _ in 0..10 {
        let mut guard = pool.acquire().await?;
        perf_pool::Pooled::taint(&mut guard);
        guards.push(guard);
    }
    let start = SystemClock.now();
    drop(guards);
    for _ in 0..10 {
        std::mem::forget(pool.acquire().await?);
    }
    let waited = SystemClock.now().since(start);
    assert_eq!(waited, SECOND / 2);
    Ok(())
}
