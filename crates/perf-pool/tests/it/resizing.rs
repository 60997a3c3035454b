//! Pools that change their size, overflow, or stop handing out for a while.

use crate::support::{Probe, TestResult, settle};
use perf_core::{Clock, Health, Inspect, SystemClock};
use perf_pool::{CloseReason, Phase, Pool, PoolError, Pooled};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

async fn take(pool: &Pool<Probe>, count: usize) -> TestResult<Vec<Pooled<Probe>>> {
    let guards = futures_util::future::join_all((0..count).map(|_| pool.acquire())).await;
    Ok(guards.into_iter().collect::<Result<_, _>>()?)
}

#[tokio::test]
async fn a_larger_pool_serves_those_who_wait_already() -> TestResult {
    let pool = Probe::default().pool().max_size(1).build()?;
    let held = pool.acquire().await?;
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.map(|guard| guard.number) }
    });
    settle().await;
    assert_eq!(pool.status().waiting, 1);
    pool.resize(2)?;
    assert_eq!(waiting.await??, 1);
    drop(held);
    Ok(())
}

#[tokio::test]
async fn a_smaller_pool_closes_idle_ones_at_once_and_others_on_return() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().max_size(6).max_connecting(6).build()?;
    let mut guards = take(&pool, 6).await?;
    drop(guards.split_off(4));
    pool.resize(3)?;
    settle().await;
    // Two were idle; of four that are lent one is too many.
    assert_eq!((pool.status().in_use, probe.alive()), (4, 4));
    guards.pop();
    settle().await;
    assert_eq!((pool.status().idle, probe.alive()), (0, 3));
    guards.pop();
    settle().await;
    assert_eq!((pool.status().idle, probe.alive()), (1, 3));
    drop(guards);
    let all = take(&pool, 3).await?;
    assert!(pool.acquire_within(Duration::from_millis(1)).await.is_err());
    drop(all);
    assert_eq!(pool.metrics().closed, [(CloseReason::Surplus, 3)]);
    Ok(())
}

#[tokio::test]
async fn detached_and_discarded_ones_count_towards_a_smaller_size() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().max_size(4).max_connecting(4).build()?;
    let mut guards = take(&pool, 4).await?;
    pool.resize(2)?;
    drop(guards.pop().map(Pooled::detach));
    Pooled::discard(guards.pop().ok_or("two are left")?);
    settle().await;
    drop(guards);
    settle().await;
    assert_eq!((pool.status().idle, probe.alive()), (2, 2));
    Ok(())
}

#[tokio::test]
async fn sizes_beyond_the_capacity_are_refused() -> TestResult {
    let pool = Probe::default().pool().max_size(2).capacity(3).build()?;
    pool.resize(3)?;
    for size in [0, 4] {
        let error = pool.resize(size).unwrap_err();
        assert_eq!(
            error.to_string(),
            "max_size must lie between 1 and capacity"
        );
    }
    assert_eq!(pool.status().max_size, 3);
    Ok(())
}

/// Sizes change at random while many tasks acquire, give up and return.
#[tokio::test]
async fn any_sequence_of_sizes_ends_with_the_last() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().max_size(4).capacity(8).build()?;
    let tasks: Vec<_> = (0..16)
        .map(|seed| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let mut random = fastrand::Rng::with_seed(seed);
                for _ in 0..200 {
                    let acquire = pool.acquire();
                    let served = crate::support::poll_at_most(random.usize(1..40), acquire).await;
                    tokio::task::yield_now().await;
                    drop(served);
                    if random.u8(0..8) == 0 {
                        pool.resize(random.u32(1..=8)).unwrap();
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await?;
    }
    for size in [3, 8, 1, 5] {
        pool.resize(size)?;
        settle().await;
        let guards = take(&pool, size as usize).await?;
        assert_eq!(pool.status().size(), size as usize);
        assert!(pool.acquire_within(Duration::from_millis(1)).await.is_err());
        drop(guards);
        settle().await;
    }
    assert_eq!(probe.alive(), 5);
    Ok(())
}

#[tokio::test]
async fn an_overflow_serves_bursts_and_is_not_kept() -> TestResult {
    let probe = Probe::default();
    let pool = probe
        .pool()
        .max_idle(2)
        .max_size(5)
        .max_connecting(5)
        .build()?;
    for _ in 0..3 {
        drop(take(&pool, 5).await?);
        settle().await;
        assert_eq!((pool.status().idle, probe.alive()), (2, 2));
    }
    assert_eq!(probe.created(), 5 + 3 + 3);
    assert_eq!(pool.metrics().closed, [(CloseReason::Surplus, 9)]);
    Ok(())
}

#[tokio::test]
async fn an_overflow_is_lent_again_while_somebody_waits() -> TestResult {
    let probe = Probe::default();
    let pool = probe
        .pool()
        .max_idle(1)
        .max_size(2)
        .max_connecting(2)
        .build()?;
    let mut guards = take(&pool, 2).await?;
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.map(|guard| guard.number) }
    });
    settle().await;
    guards.pop();
    waiting.await??;
    assert_eq!(probe.created(), 2);
    Ok(())
}

#[tokio::test]
async fn nothing_is_handed_out_while_suspended_and_everything_after() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().max_size(2).build()?;
    let mut guards = take(&pool, 2).await?;
    pool.suspend();
    assert_eq!(pool.health(), Health::Degraded("suspended".into()));
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.acquire().await.map(|guard| guard.number) })
        })
        .collect();
    settle().await;
    guards.pop();
    settle().await;
    let status = pool.status();
    assert_eq!((status.idle, status.in_use, status.waiting), (1, 1, 4));
    assert!(matches!(pool.try_acquire(), Err(PoolError::Suspended)));
    pool.resume();
    for task in tasks {
        task.await??;
    }
    drop(guards);
    assert_eq!((pool.status().idle, probe.created()), (2, 2));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_the_end_of_a_suspension_has_its_limit() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().build()?;
    pool.suspend();
    let Err(PoolError::Timeout(elapsed)) = pool.acquire_within(SECOND).await else {
        panic!("it was served");
    };
    assert_eq!(elapsed.phase, Phase::Suspension);
    assert_eq!(
        elapsed.to_string(),
        "waited 1.0s for the pool to be resumed (0 of 10 in use, 0 idle, 0 waiting, suspended)"
    );
    // Nothing is created for nobody.
    assert_eq!(probe.0.attempts.load(SeqCst), 0);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_was_idle_over_a_suspension_is_checked_before_it_is_lent() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().max_size(3).max_connecting(3).build()?;
    drop(take(&pool, 3).await?);
    pool.suspend();
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move {
            pool.acquire_within(600 * SECOND)
                .await
                .map(|guard| guard.number)
        }
    });
    SystemClock.sleep(60 * SECOND).await;
    pool.resume();
    waiting.await??;
    settle().await;
    assert_eq!((probe.0.checks.load(SeqCst), probe.created()), (3, 3));
    Ok(())
}

#[tokio::test]
async fn closing_ends_a_suspension_for_everybody() -> TestResult {
    let pool = Probe::default().pool().build()?;
    drop(pool.acquire().await?);
    pool.suspend();
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.map(|guard| guard.number) }
    });
    settle().await;
    assert_eq!(pool.close(SECOND).await?, 0);
    assert!(matches!(waiting.await?, Err(PoolError::Closed)));
    Ok(())
}
