//! Several pools under one limit, and a pool for each key.

use crate::support::{Probe, TestResult, poll_at_most, settle};
use perf_core::{Clock, SystemClock};
use perf_pool::{Budget, CloseReason, KeyedPool, Pool};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn two_pools(budget: &Budget, probe: &Probe) -> TestResult<[Pool<Probe>; 2]> {
    Ok([
        probe.pool().budget(budget).build()?,
        probe.pool().budget(budget).build()?,
    ])
}

#[tokio::test]
async fn what_is_idle_in_one_pool_makes_way_for_the_other() -> TestResult {
    let (budget, probe) = (Budget::new(2), Probe::default());
    let [one, other] = two_pools(&budget, &probe)?;
    drop((one.acquire().await?, one.acquire().await?));
    assert_eq!((one.status().idle, budget.available()), (2, 0));
    let _held = other.acquire().await?;
    assert_eq!((one.status().idle, probe.alive()), (1, 2));
    assert_eq!(one.metrics().closed, [(CloseReason::Surplus, 1)]);
    Ok(())
}

#[tokio::test]
async fn a_return_beyond_a_fair_share_makes_way_even_past_those_who_wait() -> TestResult {
    let (budget, probe) = (Budget::new(2), Probe::default());
    let [greedy, modest] = two_pools(&budget, &probe)?;
    let mut held = vec![greedy.acquire().await?, greedy.acquire().await?];
    let waiting = |pool: &Pool<Probe>| {
        let pool = pool.clone();
        tokio::spawn(async move { pool.acquire().await.map(drop) })
    };
    let (mine, others) = (waiting(&greedy), waiting(&modest));
    settle().await;
    held.pop();
    others.await??;
    held.pop();
    Ok(mine.await??)
}

#[tokio::test]
async fn the_budget_is_never_exceeded_and_nobody_starves() -> TestResult {
    let (budget, probe) = (Budget::new(3), Probe::default());
    let most = Arc::new(AtomicUsize::new(0));
    let mut pools = Vec::new();
    for _ in 0..6 {
        pools.push(probe.pool().max_size(4).budget(&budget).build()?);
    }
    let tasks: Vec<_> = (0..60)
        .map(|turn| {
            let (pool, probe, most) = (pools[turn % 6].clone(), probe.clone(), most.clone());
            tokio::spawn(async move {
                for polls in 0..10 {
                    drop(poll_at_most(polls, pool.acquire()).await);
                    let _guard = pool.acquire_within(60 * SECOND).await.unwrap();
                    most.fetch_max(probe.alive(), SeqCst);
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await?;
    }
    assert!(most.load(SeqCst) <= 3, "{most:?}");
    drop(pools);
    settle().await;
    assert_eq!((probe.alive(), budget.available()), (0, 3));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_is_no_longer_wanted_does_not_wait_for_the_budget() -> TestResult {
    let (budget, probe) = (Budget::new(1), Probe::default());
    let [one, other] = two_pools(&budget, &probe)?;
    let held = one.acquire().await?;
    assert!(other.acquire_within(SECOND).await.is_err());
    SystemClock.sleep(3 * SECOND).await;
    assert_eq!(other.status().size(), 0);
    drop(held);
    drop(other.acquire().await?);
    Ok(())
}

/// More pools than resources, all of them always busy: each has its turn.
#[tokio::test]
async fn more_pools_than_resources_take_turns() -> TestResult {
    let (budget, probe) = (Budget::new(1), Probe::default());
    let pools = two_pools(&budget, &probe)?;
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let tasks: Vec<_> = (0..8)
        .map(|turn| {
            let (pool, stop) = (pools[turn % 2].clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                while !stop.load(SeqCst) {
                    let _guard = pool.acquire_within(60 * SECOND).await.unwrap();
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    while pools.iter().any(|pool| pool.metrics().acquired < 200) {
        tokio::task::yield_now().await;
    }
    stop.store(true, SeqCst);
    for task in tasks {
        task.await?;
    }
    // One turn is many uses.
    let uses = pools
        .iter()
        .map(|pool| pool.metrics().acquired)
        .sum::<u64>();
    assert!(
        probe.created() <= uses / 8,
        "{} for {uses}",
        probe.created()
    );
    Ok(())
}

fn keyed(probe: &Probe, total: usize) -> KeyedPool<String, Probe> {
    let probe = probe.clone();
    KeyedPool::new(total, move |_| probe.pool().max_size(2))
}

#[tokio::test]
async fn keys_have_their_own_limit_and_share_the_total() -> TestResult {
    let probe = Probe::default();
    let pools = keyed(&probe, 3);
    let mut held = vec![pools.acquire("a").await?, pools.acquire("a").await?];
    let third = pools
        .pool("a")?
        .acquire_within(Duration::from_millis(1))
        .await;
    assert!(third.is_err(), "the key has a limit");
    held.push(pools.acquire("b").await?);
    assert_eq!((probe.alive(), pools.budget().available()), (3, 0));
    // A third key has to wait for any of them.
    let waiting = tokio::spawn({
        let pools = pools.clone();
        async move { pools.acquire("c").await.map(drop) }
    });
    settle().await;
    held.remove(0);
    waiting.await??;
    assert!(probe.alive() <= 3);
    Ok(())
}

#[tokio::test]
async fn keys_that_hold_nothing_are_forgotten() -> TestResult {
    let probe = Probe::default();
    let pools = keyed(&probe, 4);
    let held = pools.acquire("kept").await?;
    for key in 0..1_000 {
        drop(pools.acquire(&key.to_string()).await?);
        settle().await;
    }
    assert!(pools.keys() <= 128, "{}", pools.keys());
    assert!(probe.alive() <= 4);
    // Nobody else's pool took the place of one that is in use.
    assert_eq!(pools.pool("kept")?.status().in_use, 1);
    drop(held);
    Ok(())
}

/// In a thread of its own, because a lock taken twice would hold it for ever.
#[test]
fn a_description_may_ask_for_another_key() -> TestResult {
    let probe = Probe::default();
    let known = Arc::new(OnceLock::<KeyedPool<String, Probe>>::new());
    let pools = KeyedPool::new(4, {
        let known = Arc::clone(&known);
        move |key: &String| {
            if let Some(pools) = known.get().filter(|_| key == "child") {
                assert_eq!(pools.keys(), 0);
                assert!(pools.pool("parent").is_ok());
            }
            probe.pool().max_size(2)
        }
    });
    assert!(known.set(pools.clone()).is_ok());
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send((pools.pool("child").is_ok(), pools.keys())));
    assert_eq!(receiver.recv_timeout(Duration::from_secs(30))?, (true, 2));
    Ok(())
}
