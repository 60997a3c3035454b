use crate::support::{Probe, TestResult, settle};
use perf_pool::{Acquire, Pool, PoolError, Pooled};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};

#[tokio::test]
async fn a_returned_resource_is_lent_again() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().build()?;
    for _ in 0..5 {
        assert_eq!(pool.acquire().await?.number, 0);
    }
    assert_eq!(probe.created(), 1);
    assert_eq!(pool.metrics().acquired, 5);
    Ok(())
}

#[tokio::test]
async fn the_most_recently_used_comes_first() -> TestResult {
    let pool = Probe::default().pool().build()?;
    let (first, second) = (pool.acquire().await?, pool.acquire().await?);
    drop(first);
    let last = second.number;
    drop(second);
    assert_eq!(pool.acquire().await?.number, last);
    Ok(())
}

#[tokio::test]
async fn never_more_than_the_limit_exist_and_everybody_is_served() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().max_size(3).build()?;
    let holders = Arc::new(AtomicUsize::new(0));
    let tasks = (0..200).map(|_| {
        let (pool, holders) = (pool.clone(), Arc::clone(&holders));
        tokio::spawn(async move {
            let guard = pool.acquire().await.unwrap();
            assert!(holders.fetch_add(1, SeqCst) < 3);
            tokio::task::yield_now().await;
            holders.fetch_sub(1, SeqCst);
            drop(guard);
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await?;
    }
    assert!(probe.created() <= 3);
    let status = pool.status();
    assert_eq!((status.in_use, status.waiting), (0, 0));
    Ok(())
}

#[tokio::test]
async fn waiters_are_served_in_order() -> TestResult {
    let pool = Probe::default().pool().max_size(1).build()?;
    let held = pool.acquire().await?;
    let order = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for turn in 0..20 {
        let (pool, order) = (pool.clone(), Arc::clone(&order));
        tasks.push(tokio::spawn(async move {
            let _guard = pool.acquire().await.unwrap();
            order.lock().push(turn);
        }));
        settle().await;
    }
    assert_eq!(pool.status().waiting, 20);
    drop(held);
    for task in tasks {
        task.await?;
    }
    assert_eq!(*order.lock(), (0..20).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn nobody_overtakes_a_waiter() -> TestResult {
    let pool = Probe::default().pool().max_size(1).build()?;
    let held = pool.acquire().await?;
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.map(|guard| guard.number) }
    });
    settle().await;
    drop(held);
    // The waiter has not been polled yet, but the resource is already its own.
    assert!(matches!(pool.try_acquire(), Err(PoolError::Exhausted(_))));
    assert_eq!(waiting.await??, 0);
    Ok(())
}

#[tokio::test]
async fn a_hot_loop_lets_other_tasks_run() -> TestResult {
    let pool = Probe::default().pool().build()?;
    drop(pool.acquire().await?);
    let other = tokio::spawn(async {});
    let mut turns = 0;
    while !other.is_finished() {
        drop(pool.acquire().await?);
        turns += 1;
        assert!(turns < 10_000, "acquire starves its worker");
    }
    Ok(())
}

#[tokio::test]
async fn detached_resources_leave_room_for_others() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().max_size(1).build()?;
    let resource = Pooled::detach(pool.acquire().await?);
    assert_eq!(resource.number, 0);
    assert_eq!(pool.acquire().await?.number, 1);
    drop(resource);
    assert_eq!(probe.alive(), 1);
    Ok(())
}

#[tokio::test]
async fn discarded_and_broken_resources_are_replaced() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().max_size(1).build()?;
    Pooled::discard(pool.acquire().await?);
    let mut guard = pool.acquire().await?;
    assert_eq!(guard.number, 1);
    guard.broken = true;
    drop(guard);
    assert_eq!(pool.acquire().await?.number, 2);
    assert_eq!(probe.alive(), 1);
    Ok(())
}

#[tokio::test]
async fn a_tainted_resource_is_reset_before_the_next_holder() -> TestResult {
    let probe = Probe::default();
    probe.0.resets_keep.store(true, SeqCst);
    let pool = probe.pool().max_size(1).build()?;
    let mut guard = pool.acquire().await?;
    guard.dirty = true;
    Pooled::taint(&mut guard);
    assert!(Pooled::meta(&guard).tainted);
    drop(guard);
    let guard = pool.acquire().await?;
    assert_eq!((guard.number, guard.dirty), (0, false));
    assert!(!Pooled::meta(&guard).tainted);
    drop(guard);
    assert_eq!(probe.0.resets.load(SeqCst), 1);
    assert_eq!(Pooled::meta(&pool.acquire().await?).uses, 2);
    Ok(())
}

#[tokio::test]
async fn a_hit_and_a_wait_allocate_nothing() -> TestResult {
    let pool: Pool<Probe> = Probe::default().pool().max_size(1).build()?;
    drop(pool.acquire().await?);
    let mut context = Context::from_waker(Waker::noop());
    let mut poll = |acquire: Pin<&mut Acquire<'_, Probe>>| acquire.poll(&mut context);
    let allocations = perf_testkit::allocations::count(|| {
        for _ in 0..50 {
            let Poll::Ready(Ok(held)) = poll(pin!(pool.acquire())) else {
                panic!("it was idle");
            };
            let mut waiting = pin!(pool.acquire());
            assert!(poll(waiting.as_mut()).is_pending());
            drop(held);
            assert!(poll(waiting).is_ready());
        }
    });
    assert_eq!(allocations, 0);
    assert_eq!(pool.metrics().wait.count, 51);
    Ok(())
}
