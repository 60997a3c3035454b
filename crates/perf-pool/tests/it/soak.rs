//! Long runs. `PERF_SOAK_CASES` sets how many acquires there are.

use crate::cancellation::assert_whole;
use crate::support::{Probe, TestResult, poll_at_most};
use perf_pool::{Pool, Pooled};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

fn cases(default: u64) -> u64 {
    let set = std::env::var("PERF_SOAK_CASES").ok();
    set.and_then(|count| count.parse().ok()).unwrap_or(default)
}

/// Many tasks, each dropping most of its acquires at a random poll, against few slots.
#[test]
fn no_slot_and_no_waiter_is_ever_lost() -> TestResult {
    let acquires = cases(40_000);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_time().build()?;
    runtime.block_on(async {
        let probe = Probe::default();
        probe.0.resets_keep.store(true, SeqCst);
        let pool = probe.pool().max_size(4).build()?;
        let tasks: Vec<_> = (0..64)
            .map(|seed| tokio::spawn(abandon_often(pool.clone(), seed, acquires / 64)))
            .collect();
        let mut served = 0;
        for task in tasks {
            served += task.await?;
        }
        println!("{served} of {acquires} acquires were served, the others dropped");
        assert!(
            served > acquires / 20,
            "only {served} of {acquires} were served"
        );
        assert_whole(&pool).await
    })
}

async fn abandon_often(pool: Pool<Probe>, seed: u64, acquires: u64) -> u64 {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut served = 0;
    for _ in 0..acquires {
        match poll_at_most(random.usize(0..4), pool.acquire()).await {
            Some(Ok(mut guard)) => {
                served += 1;
                guard.broken = random.u8(..) == 0;
                match random.u8(0..100) {
                    0 => Pooled::discard(guard),
                    1 => drop(Pooled::detach(guard)),
                    2 => Pooled::taint(&mut guard),
                    3 => pool.invalidate_all(),
                    4..50 => tokio::task::yield_now().await,
                    _ => {}
                }
            }
            Some(Err(error)) => panic!("{error}"),
            None => {}
        }
    }
    served
}

/// As before, while the pool's size changes, it is suspended and resumed, and its tasks move from one runtime to the
/// other.
#[test]
fn no_slot_is_lost_whatever_else_happens_to_the_pool() -> TestResult {
    let acquires = cases(20_000) / 64;
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_time().build()
    };
    let (first, second) = (runtime()?, runtime()?);
    let probe = Probe::default();
    probe.0.resets_keep.store(true, SeqCst);
    let pool = probe.pool().max_size(4).capacity(8);
    let pool = pool.acquire_timeout(Duration::from_secs(60)).build()?;
    let spawn = |seed: u64| {
        let runtime = if seed.is_multiple_of(2) {
            &first
        } else {
            &second
        };
        runtime.spawn(abandon_often(pool.clone(), seed, acquires))
    };
    let tasks: Vec<_> = (0..64).map(spawn).collect();
    let disturber = second.spawn({
        let pool = pool.clone();
        async move {
            let mut random = fastrand::Rng::with_seed(1);
            for _ in 0..acquires {
                pool.resize(random.u32(1..=8)).unwrap();
                pool.suspend();
                tokio::task::yield_now().await;
                pool.resume();
                tokio::task::yield_now().await;
            }
        }
    });
    second.block_on(disturber)?;
    for task in tasks {
        second.block_on(task)?;
    }
    drop(first);
    pool.resize(4)?;
    second.block_on(assert_whole(&pool))
}
