//! Two tiers, on memory and on a real Redis.

use crate::Sure;
use perf_cache::store::{MemoryStore, RedisStore, RemoteStore};
use perf_cache::{Cache, CacheError, EntryPolicy, FarTier, Source};
use perf_core::{Json, ManualClock};
use perf_testkit::RedisServer;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) type Users = Cache<u64, String>;

pub(crate) fn node(name: &str, store: impl RemoteStore) -> anyhow::Result<Users> {
    let builder = Cache::builder(name.to_owned()).jitter(0.0);
    Ok(builder.far(FarTier::new(store)).build()?)
}

pub(crate) fn redis() -> anyhow::Result<(RedisStore, String)> {
    let server = RedisServer::shared()?;
    Ok((RedisStore::new(&server.url())?, server.key_prefix()))
}

pub(crate) fn load(
    text: &str,
) -> impl FnOnce() -> std::future::Ready<Sure<String>> + Send + 'static {
    let text = text.to_owned();
    || std::future::ready(Ok(text))
}

#[tokio::test]
async fn a_second_node_finds_what_the_first_loaded() -> anyhow::Result<()> {
    let (store, name) = redis()?;
    let (one, other) = (node(&name, store.clone())?, node(&name, store)?);
    assert_eq!(one.get(&7).await, None);
    assert_eq!(one.get_or_load(7, load("seven")).await?, "seven");
    let found = other
        .lookup_or_load(7, EntryPolicy::new(), load("again"))
        .await?;
    assert_eq!((found.value.as_str(), found.source), ("seven", Source::Far));
    assert_eq!(
        other.lookup(&7).await.map(|found| found.source),
        Some(Source::Near)
    );
    assert_eq!((one.stats().loads, other.stats().loads), (1, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_nodes_with_1250_callers_each_are_one_load() -> anyhow::Result<()> {
    let (_, name) = redis()?;
    let runs = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..8 {
        let cache = node(&name, redis()?.0)?;
        for _ in 0..1_250 {
            let (cache, runs) = (cache.clone(), Arc::clone(&runs));
            let load = async move || {
                runs.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Sure::Ok("once".to_owned())
            };
            callers.spawn(async move { cache.get_or_load(1, load).await });
        }
    }
    while let Some(value) = callers.join_next().await {
        assert_eq!(value??, "once");
    }
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_redis_down_each_node_loads_once_and_nobody_sees_an_error() -> anyhow::Result<()> {
    let server = RedisServer::start()?;
    server.kill();
    let mut callers = JoinSet::new();
    let mut nodes = Vec::new();
    for _ in 0..8 {
        let cache = node("down", RedisStore::new(&server.url())?)?;
        for _ in 0..100 {
            let cache = cache.clone();
            callers.spawn(async move { cache.get_or_load(1, load("loaded")).await });
        }
        nodes.push(cache);
    }
    while let Some(value) = callers.join_next().await {
        assert_eq!(value??, "loaded");
    }
    assert!(nodes.iter().all(|node| node.stats().loads == 1));
    let told = nodes[0].invalidate(&1).await;
    assert!(
        told.as_ref().is_err_and(CacheError::is_transient),
        "{told:?}"
    );
    assert_eq!(nodes[0].near(&1), None, "forgotten here all the same");
    Ok(())
}

#[tokio::test]
async fn redis_can_be_killed_and_come_back_empty_under_load() -> anyhow::Result<()> {
    let server = RedisServer::start()?;
    let tier = FarTier::new(RedisStore::new(&server.url())?).cool_down(Duration::from_millis(1));
    let cache: Users = Cache::builder("killed").far(tier).build()?;
    for round in 0..4_u64 {
        match round {
            1 => server.kill(),
            2 => server.restart()?,
            _ => {}
        }
        for key in 0..20 {
            let key = round * 100 + key;
            let value = cache
                .get_or_load(key, load(&format!("value {key}")))
                .await?;
            assert_eq!(value, format!("value {key}"));
        }
    }
    let other = node("killed", RedisStore::new(&server.url())?)?;
    assert!(
        other.get(&319).await.is_some(),
        "it works again without a restart of ours"
    );
    Ok(())
}

/// The other node invalidates while this one loads: what was loaded must be kept nowhere.
#[tokio::test]
async fn an_invalidation_elsewhere_during_a_load_is_not_lost() -> anyhow::Result<()> {
    for way in ["key", "tag", "clear", "insert"] {
        let (store, name) = redis()?;
        let (loader, writer) = (node(&name, store.clone())?, node(&name, store)?);
        let policy = EntryPolicy::new().tag("team");
        let (started, has_started) = oneshot::channel();
        let (release, gate) = oneshot::channel::<()>();
        let caller = tokio::spawn({
            let (loader, policy) = (loader.clone(), policy.clone());
            let slow = async move || {
                started.send(()).ok();
                gate.await.ok();
                Sure::Ok("old".to_owned())
            };
            async move { loader.get_or_load_with(1, policy, slow).await }
        });
        has_started.await?;
        match way {
            "key" => writer.invalidate(&1).await?,
            "tag" => writer.invalidate_tag("team").await?,
            "clear" => writer.clear().await?,
            _ => writer.insert_with(1, "new".into(), policy.clone()).await?,
        };
        release.send(()).expect("the load waits");
        assert_eq!(caller.await??, "old", "who called before may have it");
        let after = writer.get_or_load_with(1, policy, load("new")).await?;
        assert_eq!(after, "new", "{way}: on the node that was told");
        if way == "key" || way == "insert" {
            let there = loader.get_or_load(1, load("new")).await?;
            assert_eq!(
                there, "new",
                "{way}: nor is it kept near where it was loaded"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_tag_is_checked_whether_or_not_the_reader_names_it() -> anyhow::Result<()> {
    let (store, name) = redis()?;
    let (one, other) = (node(&name, store.clone())?, node(&name, store.clone())?);
    let policy = EntryPolicy::new().tag("team");
    one.insert_with(1, "value".into(), policy).await?;
    assert_eq!(other.get(&1).await.as_deref(), Some("value"));
    one.invalidate_tag("team").await?;
    assert_eq!(one.get(&1).await, None);
    let fresh = node(&name, store)?;
    assert_eq!(fresh.get(&1).await, None);
    // A value copied near keeps its tags, though its reader did not name them.
    assert_eq!(other.near(&1).as_deref(), Some("value"));
    other.invalidate_tag("team").await?;
    assert_eq!(other.near(&1), None);
    Ok(())
}

#[tokio::test]
async fn whatever_cannot_be_read_is_a_miss_and_counted() -> anyhow::Result<()> {
    let store = MemoryStore::new();
    let poison = [&b""[..], b"x", b"PFC\x01 but no more", &[0xFF; 4_096]];
    for (number, bytes) in poison.into_iter().enumerate() {
        let key = number as u64;
        store
            .put(&format!("poison:v:{key}"), bytes, 60 * SECOND)
            .await?;
        let cache = node("poison", store.clone())?;
        assert_eq!(cache.get_or_load(key, load("good")).await?, "good");
        assert_eq!(cache.stats().far_undecodable, 1, "{bytes:?}");
        let next = node("poison", store.clone())?;
        assert_eq!(
            next.get(&key).await.as_deref(),
            Some("good"),
            "replaced: {bytes:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn another_schema_or_codec_is_a_miss() -> anyhow::Result<()> {
    let store = MemoryStore::new();
    let with = |tier: FarTier<u64, String>| Cache::builder("schema").far(tier).build();
    let first = with(FarTier::new(store.clone()))?;
    first.insert(1, "first".into()).await?;
    let schema = with(FarTier::new(store.clone()).schema(2))?;
    assert_eq!(schema.get(&1).await, None);
    let codec = with(FarTier::with_codec(store.clone(), Json))?;
    assert_eq!(codec.get(&1).await, None);
    assert_eq!(
        with(FarTier::new(store))?.get(&1).await.as_deref(),
        Some("first")
    );
    Ok(())
}

#[tokio::test]
async fn a_copy_is_fresh_no_longer_than_its_original() -> anyhow::Result<()> {
    let clock = ManualClock::new();
    let store = MemoryStore::with_clock(clock.clone());
    let timed = || {
        let builder = Users::builder("copies").jitter(0.0).ttl(60 * SECOND);
        let tier = FarTier::new(store.clone());
        builder.clock(clock.clone()).far(tier).build()
    };
    let (one, other) = (timed()?, timed()?);
    one.insert(1, "value".into()).await?;
    clock.advance(50 * SECOND);
    assert!(other.get(&1).await.is_some());
    clock.advance(10 * SECOND);
    assert_eq!(other.get(&1).await, None);
    let near = Users::builder("copies").jitter(0.0).clock(clock.clone());
    let near = near
        .far(FarTier::new(store.clone()).near_ttl(SECOND))
        .build()?;
    one.insert(2, "value".into()).await?;
    assert!(near.get(&2).await.is_some());
    clock.advance(SECOND);
    assert_eq!(
        near.near(&2),
        None,
        "the near tier holds it for its own time"
    );
    assert!(near.get(&2).await.is_some());
    Ok(())
}

#[tokio::test]
async fn what_is_too_long_or_too_large_is_an_error_that_says_so() -> anyhow::Result<()> {
    let tier = FarTier::new(MemoryStore::new()).max_bytes(100);
    let cache: Cache<String, String> = Cache::builder("large").far(tier).build()?;
    let long = "k".repeat(2_000);
    let refused = cache.insert(long.clone(), "v".into()).await;
    assert!(
        matches!(refused, Err(CacheError::KeyTooLong { limit: 1_024, .. })),
        "{refused:?}"
    );
    assert!(cache.get_or_load(long, load("v")).await.is_err());
    let random: String = std::iter::repeat_with(fastrand::alphanumeric)
        .take(5_000)
        .collect();
    let refused = cache.insert("k".into(), random.clone()).await;
    assert!(
        matches!(refused, Err(CacheError::TooLarge { limit: 100, .. })),
        "{refused:?}"
    );
    assert_eq!(cache.get_or_load("k".into(), load(&random)).await?, random);
    assert_eq!(cache.near("k"), Some(random), "kept near");
    Ok(())
}

#[tokio::test]
async fn a_url_of_something_else_is_refused() {
    assert!(RedisStore::new("http://127.0.0.1/").is_err());
}
