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
