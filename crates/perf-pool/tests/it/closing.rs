use crate::support::{Probe, TestResult, settle};
use perf_core::{Clock, SystemClock};
use perf_pool::PoolError;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn closing_turns_everybody_away() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().max_size(2).build()?;
    let (held, idle) = (pool.acquire().await?, pool.acquire().await?);
    drop(idle);
    let another = pool.acquire().await?;
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.map(|guard| guard.number) }
    });
    settle().await;
    let closing = tokio::spawn({
        let pool = pool.clone();
        async move { pool.close(60 * SECOND).await }
    });
    assert!(matches!(waiting.await?, Err(PoolError::Closed)));
    assert!(matches!(pool.acquire().await, Err(PoolError::Closed)));
    assert!(matches!(pool.try_acquire(), Err(PoolError::Closed)));
    drop((held, another));
    assert_eq!(closing.await??, 0);
    assert_eq!((probe.alive(), probe.0.closed.load(SeqCst)), (0, 2));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn closing_ends_with_its_grace_whoever_holds_on() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().build()?;
    let held = pool.acquire().await?;
    let start = SystemClock.now();
    assert_eq!(pool.close(SECOND).await?, 1);
    assert_eq!(SystemClock.now().since(start), SECOND);
    drop(held);
    settle().await;
    assert_eq!(probe.alive(), 0);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_says_goodbye_delays_closing_by_its_limit() -> TestResult {
    let probe = Probe::default();
    probe.0.close_hangs.store(true, SeqCst);
    let pool = probe.pool().close_timeout(3 * SECOND).build()?;
    drop(pool.acquire().await?);
    let start = SystemClock.now();
    assert_eq!(pool.close(60 * SECOND).await?, 0);
    assert_eq!(SystemClock.now().since(start), 3 * SECOND);
    assert_eq!(probe.alive(), 0);
    Ok(())
}

#[tokio::test]
async fn closing_twice_and_closing_unused_pools_is_fine() -> TestResult {
    let pool = Probe::default().pool().build()?;
    assert_eq!(pool.close(SECOND).await?, 0);
    assert_eq!(pool.close(SECOND).await?, 0);
    assert!(pool.is_closed());
    Ok(())
}

#[tokio::test]
async fn the_last_handle_takes_the_resources_along() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().build()?;
    let (held, idle) = (pool.acquire().await?, pool.acquire().await?);
    drop(idle);
    settle().await;
    drop(pool);
    assert_eq!(probe.alive(), 2);
    drop(held);
    settle().await;
    assert_eq!(probe.alive(), 0);
    Ok(())
}
