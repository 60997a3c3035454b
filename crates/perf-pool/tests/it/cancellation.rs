use crate::support::{Probe, TestResult, poll_at_most, settle};
use perf_pool::{KeyedPool, Pool, Pooled, SharedPool};
use perf_testkit::{DropPoint, cancel_at_every_poll as drop_at_every_poll};
use std::pin::pin;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

/// What must hold of a pool that nobody uses: all of it can be had, and nobody is thought to wait.
pub(crate) async fn assert_whole(pool: &Pool<Probe>) -> TestResult {
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

/// Between each two polls of what takes the pool's place in line, and at its end, the pool is whole.
#[tokio::test]
async fn every_operation_of_a_pool_at_every_poll() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().max_size(2).min_idle(2).build()?;
    let renewed = || pool.invalidate_all();
    let whole = |_: DropPoint| async { assert_whole(&pool).await.unwrap() };
    let mut polls = 0;
    polls += drop_at_every_poll(
        || async {
            renewed();
            pool.warm_up().await.unwrap();
        },
        whole,
    )
    .await;
    polls += drop_at_every_poll(
        || async {
            renewed();
            drop(pool.acquire_within(Duration::from_secs(60)).await.unwrap());
        },
        whole,
    )
    .await;
    polls += drop_at_every_poll(
        || async {
            pool.suspend();
            let resumed = async {
                settle().await;
                pool.resume();
            };
            let _resumed = Resume(&pool);
            let (served, ()) = tokio::join!(pool.acquire(), resumed);
            drop(served.unwrap());
        },
        whole,
    )
    .await;
    polls += drop_at_every_poll(
        || async {
            let guards = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
            pool.resize(1).unwrap();
            drop(guards);
            let _one = pool.acquire().await.unwrap();
            pool.resize(2).unwrap();
            drop(pool.acquire().await.unwrap());
        },
        |_| async {
            pool.resize(2).unwrap();
            assert_whole(&pool).await.unwrap();
        },
    )
    .await;
    assert!(polls > 10, "{polls}");
    Ok(())
}

/// A suspension that ends with its scope.
struct Resume<'p>(&'p Pool<Probe>);

impl Drop for Resume<'_> {
    fn drop(&mut self) {
        self.0.resume();
    }
}

#[tokio::test]
async fn closing_cancelled_at_every_poll_closes_all_the_same() -> TestResult {
    let probe = Probe::default();
    let polls = drop_at_every_poll(
        || async {
            let pool = probe.pool().max_size(2).build().unwrap();
            let held = pool.acquire().await.unwrap();
            drop(pool.acquire().await.unwrap());
            let returned = async {
                settle().await;
                drop(held);
            };
            let (left, ()) = tokio::join!(pool.close(Duration::from_secs(60)), returned);
            assert_eq!(left.unwrap(), 0);
        },
        |_| async {
            settle().await;
            assert_eq!(probe.alive(), 0);
        },
    )
    .await;
    assert!(polls > 3, "{polls}");
    Ok(())
}

#[tokio::test]
async fn keyed_and_shared_acquires_at_every_poll() -> TestResult {
    let probe = Probe::default();
    let of_key = probe.clone();
    let pools = KeyedPool::new(1, move |_: &String| of_key.pool().max_size(1));
    let polls = drop_at_every_poll(
        || async {
            drop(pools.acquire("one").await.unwrap());
            drop(pools.acquire("other").await.unwrap());
        },
        |_| async {
            settle().await;
            drop(pools.acquire("third").await.unwrap());
            assert!(probe.alive() <= 1);
        },
    )
    .await;
    assert!(polls > 2, "{polls}");

    let connect = perf_pool::from_fn(async || {
        tokio::task::yield_now().await;
        std::io::Result::Ok(Arc::new(()))
    });
    let shared = SharedPool::builder(connect).connections(1).build()?;
    let polls = drop_at_every_poll(
        || async {
            shared.invalidate_all();
            drop(shared.acquire().await.unwrap());
        },
        |_| async {
            drop(shared.acquire().await.unwrap());
            assert_eq!(shared.in_flight(), 0);
        },
    )
    .await;
    assert!(polls > 1, "{polls}");
    Ok(())
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
