use crate::Sure;
use perf_cache::{Cache, CancelPolicy};
use perf_core::{Clock, SystemClock};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

const LOAD: Duration = Duration::from_millis(100);

fn deadline(caller: u64) -> Duration {
    Duration::from_millis(20 + caller % 51)
}

async fn slow_load(runs: Arc<AtomicUsize>) -> Sure<u64> {
    runs.fetch_add(1, Ordering::Relaxed);
    SystemClock.sleep(LOAD).await;
    Ok(42)
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_callers_that_leave_early_is_one_load_whose_value_is_kept() -> anyhow::Result<()>
{
    let cache: Cache<u64, u64> = Cache::builder("storm").build()?;
    let runs = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for caller in 0..1_000 {
        let (cache, runs) = (cache.clone(), Arc::clone(&runs));
        let call = async move { cache.get_or_load(7, || slow_load(runs)).await };
        callers.spawn(timeout(deadline(caller), call));
    }
    let results = callers.join_all().await;
    assert!(results.iter().all(Result::is_err), "every caller gave up");
    assert_eq!(
        cache.get_or_load(7, async || Sure::Ok(0)).await?,
        42,
        "joins the load"
    );
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    assert_eq!(cache.get(&7).await, Some(42));
    Ok(())
}

/// The same storm on a cache whose load lives in its first caller's future: the test above can fail.
#[tokio::test(start_paused = true)]
async fn the_storm_breaks_a_cache_that_loads_in_its_callers() {
    let cache: moka::future::Cache<u64, u64> = moka::future::Cache::new(100);
    let runs = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for caller in 0..1_000 {
        let (cache, runs) = (cache.clone(), Arc::clone(&runs));
        let call = async move {
            let load = async { slow_load(runs).await.unwrap_or_default() };
            cache.get_with(7, load).await
        };
        callers.spawn(timeout(deadline(caller), call));
    }
    callers.join_all().await;
    assert!(runs.load(Ordering::Relaxed) > 1);
    assert_eq!(cache.get(&7).await, None);
}

#[tokio::test]
async fn a_load_that_everyone_abandoned_is_dropped_if_so_configured() -> anyhow::Result<()> {
    let builder = Cache::<u64, u64>::builder("abandoned");
    let cache = builder.cancel_policy(CancelPolicy::WhenAbandoned).build()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let load = async move || {
        let _held = stop;
        std::future::pending::<Sure<u64>>().await
    };
    let first = tokio::spawn({
        let cache = cache.clone();
        async move { cache.get_or_load(1, load).await }
    });
    tokio::task::yield_now().await;
    let second = tokio::spawn({
        let cache = cache.clone();
        async move { cache.get_or_load(1, async || Sure::Ok(2)).await }
    });
    tokio::task::yield_now().await;
    first.abort();
    assert!(first.await.is_err());
    assert_eq!(cache.stats().loads_in_progress, 1, "one still waits");
    second.abort();
    assert!(second.await.is_err());
    assert!(stopped.await.is_err(), "nobody waits");
    assert_eq!(cache.get_or_load(1, async || Sure::Ok(3)).await?, 3);
    Ok(())
}
