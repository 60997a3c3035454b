use crate::support::{Probe, TestResult, settle};
use perf_core::{Clock, SystemClock};
use perf_pool::{Pool, PoolError, from_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
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

#[test]
fn closing_outside_a_runtime_is_an_error_wherever_the_pools_tasks_live() -> TestResult {
    let pool = Probe::default().pool().build()?;
    let elsewhere = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()?;
    let held = elsewhere.block_on(pool.acquire())?;
    let outcome = futures_util::FutureExt::now_or_never(pool.close(SECOND));
    assert!(matches!(outcome, Some(Err(PoolError::NoRuntime))));
    assert!(pool.is_closed());
    drop(held);
    Ok(())
}

struct Vicious;

impl Drop for Vicious {
    fn drop(&mut self) {
        panic!("on purpose");
    }
}

#[tokio::test]
async fn the_last_guard_contains_the_panics_of_what_it_takes_along() -> TestResult {
    let pool = Pool::builder(from_fn(async || io::Result::Ok(Vicious))).build()?;
    let (last, idle, broken) = (
        pool.acquire().await?,
        pool.acquire().await?,
        pool.acquire().await?,
    );
    drop(idle);
    perf_pool::Pooled::discard(broken);
    drop(pool);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(last))).is_ok());
    Ok(())
}
