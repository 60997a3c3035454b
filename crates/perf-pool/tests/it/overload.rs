use crate::support::{Probe, TestResult};
use perf_core::{Clock, SystemClock};
use perf_pool::PoolError;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

#[tokio::test]
async fn the_queue_has_an_end() -> TestResult {
    let pool = Probe::default().pool().max_size(1).max_waiters(2).build()?;
    let held = pool.acquire().await?;
    let mut waiting = vec![Box::pin(pool.acquire()), Box::pin(pool.acquire())];
    for waiter in &mut waiting {
        assert!(futures_util::poll!(waiter.as_mut()).is_pending());
    }
    let Err(error) = pool.acquire().await else {
        panic!("it was served");
    };
    assert!(
        matches!(error, PoolError::QueueFull(status) if status.waiting == 2),
        "{error}"
    );
    assert!(error.is_overload());
    drop(held);
    assert_eq!(pool.metrics().refused, 1);
    Ok(())
}

/// 5,000 callers meet a server that refuses for 5 s.
#[tokio::test(start_paused = true)]
async fn a_refusing_server_sees_few_attempts() -> TestResult {
    let probe = Probe::default();
    probe.0.refuses.store(true, SeqCst);
    let pool = probe.pool().max_size(10).max_waiters(5_000);
    let pool = pool.acquire_timeout(Duration::from_secs(30)).build()?;
    let tasks: Vec<_> = (0..5_000)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.acquire().await.map(|guard| guard.number) })
        })
        .collect();
    SystemClock.sleep(Duration::from_secs(5)).await;
    assert_eq!(pool.status().waiting, 5_000);
    let attempts = probe.0.attempts.load(SeqCst);
    assert!(attempts <= 120, "{attempts}");
    assert!(probe.0.most_creating.load(SeqCst) <= 2);

    probe.0.refuses.store(false, SeqCst);
    let recovery = SystemClock.now();
    for task in tasks {
        task.await??;
    }
    let took = SystemClock.now().since(recovery);
    assert!(took <= Duration::from_millis(2_100), "{took:?}");
    assert!(probe.0.most_creating.load(SeqCst) <= 2);
    Ok(())
}

/// The most bytes that 5,000 callers of a server that refuses keep allocated in `seconds`.
fn bytes_while_refused(seconds: u32) -> u64 {
    perf_testkit::allocations::peak_bytes(|| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let probe = Probe::default();
            probe.0.refuses.store(true, SeqCst);
            let pool = probe.pool().max_waiters(5_000).build().unwrap();
            let limit = Duration::from_secs(seconds.into());
            let tasks: Vec<_> = (0..5_000)
                .map(|_| {
                    let pool = pool.clone();
                    tokio::spawn(async move { pool.acquire_within(limit).await.is_err() })
                })
                .collect();
            for task in tasks {
                assert!(task.await.unwrap());
            }
        });
    })
}

#[test]
fn a_refusing_server_costs_no_more_memory_the_longer_it_refuses() {
    let (short, long) = (bytes_while_refused(5), bytes_while_refused(100));
    println!("{short} bytes in 5 s, {long} bytes in 100 s");
    assert!(long <= short + short / 50, "{short} grew to {long} bytes");
}

/// Three times as many callers as two resources can serve, for ten seconds.
#[tokio::test(start_paused = true)]
async fn under_overload_the_served_wait_briefly_and_nothing_idles() -> TestResult {
    const HOLD: Duration = Duration::from_millis(10);
    const CALLERS: u32 = 6_000;
    let pool = Probe::default().pool().max_size(2).max_waiters(10_000);
    let pool = pool.shed_above(Duration::from_millis(50)).build()?;
    let start = SystemClock.now();
    let mut tasks = Vec::new();
    for _ in 0..CALLERS {
        let pool = pool.clone();
        tasks.push(tokio::spawn(async move {
            let guard = pool.acquire().await?;
            SystemClock.sleep(HOLD).await;
            drop(guard);
            Ok(())
        }));
        // 600 a second against a capacity of 200.
        let next = u32::try_from(tasks.len())?;
        SystemClock
            .sleep_until(start.saturating_add(HOLD * next / 6))
            .await;
    }
    let mut served = 0;
    for task in tasks {
        match task.await? {
            Ok(()) => served += 1,
            Err(error @ PoolError::Shed { .. }) => assert!(error.is_overload()),
            Err(error) => return Err(error.into()),
        }
    }
    let took = SystemClock.now().since(start).as_secs_f64();
    let capacity = 2.0 * took / HOLD.as_secs_f64();
    // tokio's timer rounds each hold up to its next millisecond tick.
    let capacity = capacity * 10.0 / 11.0;
    assert!(
        f64::from(served) >= 0.95 * capacity,
        "{served} of {capacity}"
    );
    let metrics = pool.metrics();
    assert!(
        metrics.wait.p99 <= Duration::from_millis(150),
        "{:?}",
        metrics.wait
    );
    assert_eq!(metrics.shed, u64::from(CALLERS - served));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_served_in_full() -> TestResult {
    let pool = Probe::default().pool().max_size(1);
    let pool = pool.shed_above(Duration::from_millis(50)).build()?;
    let burst = (0..8).map(async |_| {
        let _guard = pool.acquire().await?;
        SystemClock.sleep(Duration::from_millis(10)).await;
        TestResult::Ok(())
    });
    for outcome in futures_util::future::join_all(burst).await {
        outcome?;
    }
    assert_eq!(pool.metrics().shed, 0);
    Ok(())
}
