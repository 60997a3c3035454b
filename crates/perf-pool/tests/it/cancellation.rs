use crate::support::{Probe, TestResult, poll_at_most, settle};
use perf_pool::{Pool, Pooled};
use std::pin::pin;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

/// What must hold of a pool that nobody uses: all of it can be had, and nobody is thought to wait.
async fn assert_whole(pool: &Pool<Probe>) -> TestResult {
    settle().await;
    let max_size = pool.status().max_size;
    let guards = futures_util::future::join_all((0..max_size).map(|_| pool.acquire())).await;
    let guards = guards.into_iter().collect::<Result<Vec<_>, _>>()?;
    let status = pool.status();
    assert_eq!(
        (status.in_use, status.idle, status.waiting),
        (max_size, 0, 0)
    );
    assert_eq!(status.size(), max_size);
    drop(guards);
    let status = pool.status();
    assert_eq!((status.in_use, status.waiting), (0, 0));
    Ok(())
}

/// Drops the future of `operation` after every number of polls that it can take.
async fn cancel_at_every_poll<T>(
    pool: &Pool<Probe>,
    operation: impl AsyncFn(&Pool<Probe>) -> T,
) -> TestResult {
    let mut polls = 0;
    while poll_at_most(polls, operation(pool)).await.is_none() {
        assert_whole(pool).await?;
        polls += 1;
        assert!(polls < 1_000, "the operation never ends");
    }
    assert!(polls > 0, "an operation that ends before its first poll");
    assert_whole(pool).await
}

#[tokio::test]
async fn an_acquire_that_connects() -> TestResult {
    let pool = Probe::default().pool().max_size(2).build()?;
    cancel_at_every_poll(&pool, async |pool| {
        pool.invalidate_all();
        pool.acquire().await.map(drop)
    })
    .await
}

#[tokio::test]
async fn an_acquire_that_waits_for_a_return() -> TestResult {
    let pool = Probe::default().pool().max_size(1).build()?;
    cancel_at_every_poll(&pool, async |pool| {
        let held = pool.acquire().await;
        let waiting = async { pool.acquire().await.map(drop) };
        let returning = async {
            settle().await;
            drop(held);
        };
        tokio::join!(waiting, returning)
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn an_acquire_that_waits_for_a_check() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().max_size(2).build()?;
    cancel_at_every_poll(&pool, async |pool| {
        tokio::time::advance(Duration::from_secs(2)).await;
        pool.acquire().await.map(drop)
    })
    .await?;
    assert!(probe.0.checks.load(SeqCst) > 2);
    Ok(())
}

#[tokio::test]
async fn an_acquire_behind_a_reset() -> TestResult {
    let probe = Probe::default();
    probe.0.resets_keep.store(true, SeqCst);
    let pool = probe.pool().max_size(1).build()?;
    cancel_at_every_poll(&pool, async |pool| {
        let mut guard = pool.acquire().await.unwrap();
        Pooled::taint(&mut guard);
        drop(guard);
        pool.acquire().await.map(drop)
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_connect_that_was_abandoned_serves_the_next() -> TestResult {
    let probe = Probe::default();
    probe.0.create_millis.store(100, SeqCst);
    let pool = probe.pool().max_size(1).build()?;
    assert!(poll_at_most(1, pool.acquire()).await.is_none());
    assert_eq!(pool.acquire().await?.number, 0);
    assert_eq!(probe.0.attempts.load(SeqCst), 1);
    Ok(())
}

/// Many tasks, each dropping most of its acquires at a random poll, against few slots.
#[test]
fn no_slot_and_no_waiter_is_ever_lost() -> TestResult {
    let acquires = std::env::var("PERF_SOAK_CASES")
        .ok()
        .and_then(|count| count.parse().ok());
    let acquires = acquires.unwrap_or(40_000_u64);
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

/// A waker that owns a guard, and gives it back when it is dropped.
struct Owner(Mutex<Option<Pooled<Probe>>>);

impl Drop for Owner {
    fn drop(&mut self) {
        drop(self.0.get_mut().map(Option::take));
    }
}

impl Wake for Owner {
    fn wake(self: Arc<Self>) {}
}

/// On a thread of its own, because a waker dropped under the queue's lock would never come back.
fn a_waker_dropped_by(act: fn(std::pin::Pin<&mut perf_pool::Acquire<'_, Probe>>)) -> TestResult {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || -> TestResult {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        runtime.block_on(async {
            let pool = Probe::default().pool().max_size(1).build()?;
            let guard = pool.acquire().await?;
            let waker = Waker::from(Arc::new(Owner(Mutex::new(Some(guard)))));
            {
                let mut waiting = pin!(pool.acquire());
                let polled = waiting.as_mut().poll(&mut Context::from_waker(&waker));
                assert!(polled.is_pending());
                drop(waker);
                act(waiting.as_mut());
            }
            assert_whole(&pool).await?;
            Ok(sender.send(())?)
        })
    });
    Ok(receiver.recv_timeout(Duration::from_secs(10))?)
}

#[test]
fn a_waker_that_is_cancelled_may_use_the_pool() -> TestResult {
    a_waker_dropped_by(|_| {})
}

#[test]
fn a_waker_that_is_renewed_may_use_the_pool() -> TestResult {
    a_waker_dropped_by(|waiting| {
        let _served = waiting.poll(&mut Context::from_waker(Waker::noop()));
    })
}
