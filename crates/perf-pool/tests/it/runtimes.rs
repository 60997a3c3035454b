use crate::support::{Probe, TestResult, settle};
use perf_core::{Clock, SystemClock};
use perf_pool::PoolError;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// How long a runtime may show no sign of life: long enough for a busy machine.
const PATIENCE: Duration = Duration::from_millis(500);

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
}

#[test]
fn a_guard_may_outlive_every_runtime() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().build()?;
    let first = runtime()?;
    let (broken, tainted, healthy) = first.block_on(async {
        Ok::<_, PoolError<_>>((
            pool.acquire().await?,
            pool.acquire().await?,
            pool.acquire().await?,
        ))
    })?;
    drop(first);
    let (mut broken, mut tainted) = (broken, tainted);
    broken.broken = true;
    perf_pool::Pooled::taint(&mut tainted);
    drop((broken, tainted, healthy));
    // What the first runtime's tasks created died with it, so it is not lent again.
    assert_eq!(runtime()?.block_on(pool.acquire())?.number, 3);
    Ok(())
}

#[test]
fn without_a_runtime_there_is_a_clear_error() -> TestResult {
    let pool = Probe::default().pool().build()?;
    let outcome = futures_util::FutureExt::now_or_never(pool.acquire());
    assert!(matches!(outcome, Some(Err(PoolError::NoRuntime))));
    assert!(matches!(pool.try_acquire(), Err(PoolError::Exhausted(_))));
    Ok(())
}

#[test]
fn waiters_of_another_runtime_survive_the_loss_of_the_first() -> TestResult {
    let probe = Probe::default();
    probe.0.create_millis.store(3_600_000, SeqCst);
    let pool = probe
        .pool()
        .max_size(1)
        .acquire_timeout(Duration::from_secs(60))
        .build()?;
    let (first, second) = (runtime()?, runtime()?);
    let starter = pool.clone();
    // The pool's tasks live in the first runtime and are stuck connecting there.
    let started = first.spawn(async move { starter.acquire().await.is_ok() });
    while pool.status().connecting == 0 {
        std::thread::yield_now();
    }
    let waiter = pool.clone();
    let waiting = second.spawn(async move { waiter.acquire().await.map(|guard| guard.number) });
    while pool.status().waiting < 2 {
        std::thread::yield_now();
    }
    probe.0.create_millis.store(0, SeqCst);
    first.shutdown_background();
    assert_eq!(second.block_on(waiting)??, 0);
    drop(started);
    Ok(())
}

#[test]
fn a_pool_may_be_used_from_two_runtimes_at_once() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().max_size(3).build()?;
    let runtimes = [runtime()?, runtime()?];
    let tasks: Vec<_> = (0..200)
        .map(|turn| {
            let pool = pool.clone();
            runtimes[turn % 2].spawn(async move {
                let _guard = pool.acquire().await.unwrap();
                tokio::task::yield_now().await;
            })
        })
        .collect();
    for task in tasks {
        runtimes[0].block_on(task)?;
    }
    assert!(probe.created() <= 3);
    assert_eq!(pool.status().in_use, 0);
    Ok(())
}

#[test]
fn a_runtime_without_a_timer_is_named_and_not_tried_again_and_again() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().build()?;
    let timeless = Builder::new_multi_thread().worker_threads(1).build()?;
    let outcome = timeless.block_on(pool.acquire());
    assert!(matches!(outcome, Err(PoolError::Panicked)), "{outcome:?}");
    // Nothing is left behind that keeps the pool from working elsewhere.
    assert_eq!(
        runtime()?.block_on(pool.acquire())?.number,
        probe.created() - 1
    );
    Ok(())
}

fn still() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_time().build()
}

#[test]
fn a_limit_holds_though_the_first_runtime_stands_still() -> TestResult {
    let pool = Probe::default().pool().max_size(1).build()?;
    let (first, second) = (still()?, still()?);
    // The pool's tasks live in the first runtime, which nobody drives from here on.
    let held = first.block_on(pool.acquire())?;
    let outcome = second.block_on(async {
        let limited = pool.acquire_within(Duration::from_millis(200));
        crate::support::cancel_after(Duration::from_secs(20), limited).await
    });
    assert!(
        matches!(outcome, Some(Err(PoolError::Timeout(_)))),
        "{outcome:?}"
    );
    drop(held);
    assert_eq!(second.block_on(pool.acquire())?.number, 0);
    Ok(())
}

/// A waiter whose runtime runs has its resource created there, though the pool's tasks are stuck in
/// another that nobody drives any more.
#[test]
fn a_waiter_takes_over_from_a_runtime_that_stands_still() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().max_size(2).check_timeout(PATIENCE).build()?;
    let (first, second) = (still()?, still()?);
    let held = first.block_on(pool.acquire())?;
    let fresh = second.block_on(pool.acquire())?;
    assert_eq!((held.number, fresh.number), (0, 1));
    assert_eq!(pool.metrics().takeovers, 1);
    // What the first runtime drove is not handed out again; what the second one drives is.
    drop((held, fresh));
    let again = second.block_on(pool.acquire())?;
    assert_eq!(again.number, 1);
    second.block_on(settle());
    assert_eq!(
        pool.metrics().closed,
        [(perf_pool::CloseReason::RuntimeLost, 1)]
    );
    Ok(())
}

#[test]
fn a_connect_in_a_runtime_that_stands_still_gives_its_slot_up() -> TestResult {
    let probe = Probe::default();
    probe.0.create_millis.store(20, SeqCst);
    let pool = probe.pool().max_size(1).check_timeout(PATIENCE).build()?;
    let (first, second) = (still()?, still()?);
    // The only slot is being filled when the first runtime stops.
    first.block_on(async {
        let mut impatient = std::pin::pin!(pool.acquire());
        assert!(futures_util::poll!(impatient.as_mut()).is_pending());
        settle().await;
    });
    assert_eq!(pool.status().connecting, 1);
    let fresh = second.block_on(pool.acquire())?;
    assert_eq!(pool.status().size(), 1);
    // When the first runtime runs again, what it brings is dropped.
    probe.0.create_millis.store(0, SeqCst);
    first.block_on(async { SystemClock.sleep(Duration::from_millis(100)).await });
    assert_eq!((probe.alive(), pool.status().size()), (1, 1));
    drop(fresh);
    second.block_on(async {
        drop(pool.acquire().await?);
        TestResult::Ok(())
    })?;
    assert_eq!(pool.status().idle, 1);
    Ok(())
}

#[test]
fn a_pool_can_be_closed_though_the_first_runtime_stands_still() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().check_timeout(PATIENCE).build()?;
    let (first, second) = (still()?, still()?);
    drop(first.block_on(pool.acquire())?);
    assert_eq!(second.block_on(pool.close(Duration::from_secs(60)))?, 0);
    assert_eq!(probe.alive(), 0);
    Ok(())
}

/// Slow is not dead: a keeper that still works keeps its place, whoever waits elsewhere.
#[test]
fn a_runtime_that_runs_keeps_the_pools_tasks() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().max_size(1).check_timeout(PATIENCE).build()?;
    let (first, second) = (runtime()?, still()?);
    let held = first.block_on(pool.acquire())?;
    let outcome = second.block_on(pool.acquire_within(PATIENCE * 5));
    assert!(matches!(outcome, Err(PoolError::Timeout(_))), "{outcome:?}");
    assert_eq!(pool.metrics().takeovers, 0);
    drop(held);
    Ok(())
}
