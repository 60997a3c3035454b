use crate::Sure;
use perf_cache::{Cache, CacheError, LoadError};
use tokio::sync::oneshot;

#[tokio::test]
async fn closing_waits_for_loads_and_refuses_the_rest() -> anyhow::Result<()> {
    let cache: Cache<u64, u64> = Cache::builder("closing").build()?;
    let (release, gate) = oneshot::channel::<()>();
    let caller = tokio::spawn({
        let cache = cache.clone();
        let load = async move || {
            gate.await.ok();
            Sure::Ok(1)
        };
        async move { cache.get_or_load(1, load).await }
    });
    tokio::task::yield_now().await;
    let closing = tokio::spawn({
        let cache = cache.clone();
        async move { cache.close().await }
    });
    tokio::task::yield_now().await;
    assert!(!closing.is_finished());
    assert!(matches!(cache.insert(2, 2).await, Err(CacheError::Closed)));
    assert!(matches!(
        cache.invalidate(&2).await,
        Err(CacheError::Closed)
    ));
    assert!(matches!(
        cache.invalidate_tag("a").await,
        Err(CacheError::Closed)
    ));
    assert!(matches!(cache.clear().await, Err(CacheError::Closed)));
    let refused = cache.get_or_load(2, async || Sure::Ok(2)).await;
    assert!(matches!(refused, Err(LoadError::Cache(CacheError::Closed))));
    release.send(()).expect("the load waits");
    closing.await?;
    assert_eq!(caller.await??, 1, "a load that ran gives its value");
    assert_eq!(cache.get(&1).await, None);
    Ok(())
}

/// A caller whose error type is another than that of the load it joined loads for itself, unless the
/// cache was closed in the meantime.
#[tokio::test]
async fn no_load_starts_after_close() -> anyhow::Result<()> {
    let cache: Cache<u64, u64> = Cache::builder("closing").build()?;
    let (release, gate) = oneshot::channel::<()>();
    let leader = tokio::spawn({
        let cache = cache.clone();
        let load = async move || {
            gate.await.ok();
            Err::<u64, _>(std::fmt::Error)
        };
        async move { cache.get_or_load(1, load).await }
    });
    tokio::task::yield_now().await;
    let joiner = tokio::spawn({
        let cache = cache.clone();
        async move { cache.get_or_load(1, async || Sure::Ok(2)).await }
    });
    tokio::task::yield_now().await;
    let closing = tokio::spawn({
        let cache = cache.clone();
        async move { cache.close().await }
    });
    tokio::task::yield_now().await;
    release.send(()).expect("the load waits");
    assert!(matches!(leader.await?, Err(LoadError::Loader(_))));
    closing.await?;
    let refused = joiner.await?;
    assert!(
        matches!(refused, Err(LoadError::Cache(CacheError::Closed))),
        "{refused:?}"
    );
    let stats = cache.stats();
    assert_eq!((stats.loads, stats.loads_in_progress), (1, 0));
    Ok(())
}
