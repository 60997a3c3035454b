use crate::support::{Probe, TestResult};
use perf_pool::PoolError;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

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
    probe
        .0
        .create_millis
        .store(3_600_000, std::sync::atomic::Ordering::SeqCst);
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
    probe
        .0
        .create_millis
        .store(0, std::sync::atomic::Ordering::SeqCst);
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
