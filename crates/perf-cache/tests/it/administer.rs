//! What an operator asks of a cache.

use crate::Sure;
use perf_cache::store::{MokaStore, RedisStore};
use perf_cache::{Cache, CacheError, EntryPolicy, FarTier};
use perf_testkit::RedisServer;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::oneshot;

type Texts = Cache<String, String>;

fn far(name: &str, server: &RedisServer) -> anyhow::Result<Texts> {
    let tier = FarTier::new(RedisStore::new(&server.url())?);
    Ok(Cache::builder(name.to_owned()).far(tier).build()?)
}

#[tokio::test]
async fn a_pattern_deletes_what_it_matches_in_both_tiers() -> anyhow::Result<()> {
    let server = RedisServer::shared()?;
    let name = server.key_prefix();
    let (cache, other) = (far(&name, server)?, far(&name, server)?);
    for key in 0..2_500 {
        cache.insert(format!("agents:{key}"), "a".into()).await?;
    }
    for key in ["agents", "agents*", "users:1", "xagents:1"] {
        cache.insert(key.into(), "b".into()).await?;
    }
    let mut told = Vec::new();
    let removed = cache
        .delete_pattern("agents:*", |so_far| told.push(so_far))
        .await?;
    assert_eq!(removed, 2_500);
    assert!(told.is_sorted() && told.last() == Some(&2_500) && told.len() > 1);
    for key in ["agents:0", "agents:2499"] {
        assert_eq!(cache.get(key).await, None);
        assert_eq!(other.get(key).await, None);
    }
    for key in ["agents", "agents*", "users:1", "xagents:1"] {
        assert_eq!(cache.near(key).as_deref(), Some("b"), "{key}");
        assert_eq!(other.get(key).await.as_deref(), Some("b"), "{key}");
    }
    assert_eq!(cache.delete_pattern(r"agents\*", |_| {}).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_pattern_reaches_loads_that_are_under_way() -> anyhow::Result<()> {
    let server = RedisServer::shared()?;
    let name = server.key_prefix();
    let near = Texts::builder("near").build()?;
    for cache in [near, far(&name, server)?] {
        let (started, has_started) = oneshot::channel();
        let (release, gate) = oneshot::channel::<()>();
        let load = async move || {
            started.send(()).ok();
            gate.await.ok();
            Sure::Ok("old".to_owned())
        };
        let caller = tokio::spawn({
            let cache = cache.clone();
            async move { cache.get_or_load("agents:1".into(), load).await }
        });
        has_started.await?;
        cache.delete_pattern("agents:*", |_| {}).await?;
        release.send(()).expect("the load waits");
        assert_eq!(caller.await??, "old");
        assert_eq!(cache.get("agents:1").await, None);
    }
    Ok(())
}

#[tokio::test]
async fn a_pattern_works_on_every_engine() -> anyhow::Result<()> {
    let quick = Texts::builder("quick").build()?;
    let moka = Texts::builder("moka").build_in::<MokaStore<_, _>>()?;
    for key in ["a:1", "a:2", "b:1"] {
        quick.insert(key.into(), key.into()).await?;
        moka.insert(key.into(), key.into()).await?;
    }
    assert_eq!(quick.delete_pattern("a:*", |_| {}).await?, 2);
    assert_eq!(moka.delete_pattern("a:*", |_| {}).await?, 2);
    assert_eq!((quick.near("a:1"), moka.near("a:1")), (None, None));
    assert!(quick.near("b:1").is_some() && moka.near("b:1").is_some());
    Ok(())
}

#[tokio::test]
async fn an_event_invalidates_the_tags_it_was_given() -> anyhow::Result<()> {
    let builder = Texts::builder("events").event("created", ["list"]);
    let cache = builder.event("created", ["count"]).build()?;
    for (key, tag) in [("a", "list"), ("b", "count"), ("c", "other")] {
        let policy = EntryPolicy::new().tag(tag);
        cache.insert_with(key.into(), key.into(), policy).await?;
    }
    cache.invalidate_event("created").await?;
    assert_eq!((cache.near("a"), cache.near("b")), (None, None));
    assert!(cache.near("c").is_some());
    let unknown = cache.invalidate_event("deleted").await;
    assert!(matches!(unknown, Err(CacheError::UnknownEvent { event }) if event == "deleted"));
    Ok(())
}

#[tokio::test]
async fn prewarming_is_bounded_and_survives_failures() -> anyhow::Result<()> {
    let cache: Cache<u64, u64> = Cache::builder("prewarm").build()?;
    cache.insert(0, 0).await?;
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let load = {
        let most = Arc::clone(&most);
        move |key: u64| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                running.fetch_sub(1, Ordering::SeqCst);
                if key % 10 == 9 {
                    Err(fmt::Error)
                } else {
                    Ok(key)
                }
            }
        }
    };
    let mut steps = 0;
    let seven = NonZeroUsize::new(7).expect("not zero");
    let done = cache.prewarm(0..100, seven, load, |_| steps += 1).await?;
    assert_eq!((done.found, done.loaded, done.failed), (1, 89, 10));
    assert_eq!(steps, 100);
    assert!((2..=7).contains(&most.load(Ordering::SeqCst)));
    assert_eq!(cache.get_many(0..100).await.len(), 90);
    Ok(())
}

#[tokio::test]
async fn redis_tells_of_itself() -> anyhow::Result<()> {
    let server = RedisServer::shared()?;
    let cache = far(&server.key_prefix(), server)?;
    cache.insert("key".into(), "value".into()).await?;
    let info = cache.backend_info().await?.expect("there is a far tier");
    assert!(info.kind.starts_with("redis "), "{info:?}");
    assert!(info.memory_bytes.is_some_and(|bytes| bytes > 0), "{info:?}");
    assert!(info.keys.is_some_and(|keys| keys > 0), "{info:?}");
    assert!(info.evicted_keys.is_some() && info.hits.is_some());
    assert_eq!(Texts::builder("near").build()?.backend_info().await?, None);
    Ok(())
}
