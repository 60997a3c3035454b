//! Many keys at once.

use crate::Sure;
use perf_cache::store::{MemoryStore, RedisStore, RemoteStore};
use perf_cache::{Cache, CacheError, CancelPolicy, EntryPolicy, FarTier, LoadError};
use perf_core::{Clock, ManualClock};
use perf_testkit::{FaultProxy, RedisServer};
use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, oneshot};

type Numbers = Cache<u64, u64>;
type Loaded<E> = Result<HashMap<u64, u64>, E>;

/// Ten times each key.
async fn tenfold(keys: Vec<u64>) -> Loaded<std::convert::Infallible> {
    Ok(keys.into_iter().map(|key| (key, key * 10)).collect())
}

type Loading = Pin<Box<dyn Future<Output = Loaded<fmt::Error>> + Send>>;

/// A load that tells which keys it is asked for, and waits for leave.
fn gated(
    asked: &mpsc::UnboundedSender<Vec<u64>>,
    gate: &Arc<Semaphore>,
) -> impl Fn(Vec<u64>) -> Loading + Send + Sync + 'static {
    let (asked, gate) = (asked.clone(), Arc::clone(gate));
    move |keys| {
        asked.send(keys.clone()).ok();
        let gate = Arc::clone(&gate);
        Box::pin(async move {
            let _leave = gate.acquire().await;
            tenfold(keys).await.map_err(|_| fmt::Error)
        })
    }
}

fn sorted(mut keys: Vec<u64>) -> Vec<u64> {
    keys.sort_unstable();
    keys
}

fn node(name: &str, store: impl RemoteStore) -> anyhow::Result<Numbers> {
    let builder = Cache::builder(name.to_owned()).jitter(0.0);
    Ok(builder.far(FarTier::new(store)).build()?)
}

#[tokio::test]
async fn one_load_brings_all_that_is_missing() -> anyhow::Result<()> {
    let cache = Numbers::builder("batch").build()?;
    cache.insert(1, 11).await?;
    let found = cache
        .get_or_load_many([1, 2, 3, 2, 1], tenfold)
        .await
        .into_result()?;
    assert_eq!(found, HashMap::from([(1, 11), (2, 20), (3, 30)]));
    assert_eq!(cache.stats().loads, 1);
    let found = cache.get_many(0..5).await;
    assert_eq!(sorted(found.into_keys().collect()), [1, 2, 3]);
    assert!(cache.get_or_load_many([], tenfold).await.values.is_empty());
    Ok(())
}

#[tokio::test]
async fn keys_that_are_being_loaded_are_joined_and_keep_errors_of_their_own() -> anyhow::Result<()>
{
    let cache = Numbers::builder("joined").build()?;
    let (fail, failure) = oneshot::channel::<()>();
    let failing = async move || {
        failure.await.ok();
        Err::<u64, _>(fmt::Error)
    };
    let (asked, mut was_asked) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let single = tokio::spawn({
        let cache = cache.clone();
        async move { cache.get_or_load(1, failing).await }
    });
    tokio::task::yield_now().await;
    let batch = tokio::spawn({
        let (cache, load) = (cache.clone(), gated(&asked, &gate));
        async move { cache.get_or_load_many([1, 2], load).await }
    });
    assert_eq!(was_asked.recv().await, Some(vec![2]), "key 1 is joined");
    let joiner = tokio::spawn({
        let cache = cache.clone();
        async move { cache.get_or_load(2, async || Sure::Ok(0)).await }
    });
    tokio::task::yield_now().await;
    fail.send(()).expect("the load waits");
    gate.add_permits(1);
    let batch = batch.await?;
    assert_eq!(batch.values, HashMap::from([(2, 20)]));
    assert!(matches!(batch.errors[&1], LoadError::Loader(_)));
    assert!(single.await?.is_err());
    assert_eq!(joiner.await??, 20, "a single caller joins a batch");
    assert!(batch.into_result().is_err());
    Ok(())
}

#[tokio::test]
async fn what_a_load_leaves_out_is_neither_value_nor_error() -> anyhow::Result<()> {
    let cache = Numbers::builder("left out").build()?;
    let odd = async |keys: Vec<u64>| {
        let loaded = tenfold(keys).await?;
        Sure::Ok(loaded.into_iter().filter(|(key, _)| key % 2 == 1).collect())
    };
    let batch = cache.get_or_load_many(1..=4, odd).await;
    assert_eq!(batch.values, HashMap::from([(1, 10), (3, 30)]));
    assert!(batch.errors.is_empty());
    assert_eq!(cache.get_or_load(2, async || Sure::Ok(2)).await?, 2);
    Ok(())
}

#[tokio::test]
async fn an_error_reaches_every_key_and_gives_all_leases_back() -> anyhow::Result<()> {
    let store = MemoryStore::new();
    let (one, other) = (node("fails", store.clone())?, node("fails", store)?);
    let failing = async |_| Loaded::Err(fmt::Error);
    let batch = one.get_or_load_many([1, 2], failing).await;
    assert!(batch.values.is_empty());
    assert!(batch.errors.values().all(|error| error.loader().is_some()));
    assert_eq!(sorted(batch.errors.into_keys().collect()), [1, 2]);
    let found = other.get_or_load_many([1, 2], tenfold).await;
    assert_eq!(found.values, HashMap::from([(1, 10), (2, 20)]));
    Ok(())
}

/// What is written while a batch loads refuses its own key's value and no other's.
#[tokio::test]
async fn each_key_is_fenced_by_itself() -> anyhow::Result<()> {
    for far in [false, true] {
        let builder = Numbers::builder("fenced").jitter(0.0);
        let builder = match far {
            true => builder.far(FarTier::new(MemoryStore::new())),
            false => builder,
        };
        let cache = builder.build()?;
        let (asked, mut was_asked) = mpsc::unbounded_channel();
        let gate = Arc::new(Semaphore::new(0));
        let batch = tokio::spawn({
            let (cache, load) = (cache.clone(), gated(&asked, &gate));
            let policy = |key: &u64| EntryPolicy::new().tag(format!("tag {key}"));
            async move { cache.get_or_load_many_with(1..=4, policy, load).await }
        });
        was_asked.recv().await;
        cache.invalidate(&1).await?;
        cache.insert(2, 22).await?;
        cache.invalidate_tag("tag 3").await?;
        gate.add_permits(1);
        let batch = batch.await?;
        assert_eq!(batch.values.len(), 4, "who called before has them all");
        let kept = cache.get_many(1..=4).await;
        assert_eq!(kept, HashMap::from([(2, 22), (4, 40)]), "far: {far}");
    }
    Ok(())
}

#[tokio::test]
async fn two_nodes_load_no_key_twice() -> anyhow::Result<()> {
    let server = RedisServer::shared()?;
    let name = server.key_prefix();
    let one = node(&name, RedisStore::new(&server.url())?)?;
    let other = node(&name, RedisStore::new(&server.url())?)?;
    let (asked, mut was_asked) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let spawn = |cache: &Numbers, keys: std::ops::Range<u64>| {
        let (cache, load) = (cache.clone(), gated(&asked, &gate));
        tokio::spawn(async move { cache.get_or_load_many(keys, load).await })
    };
    let first = spawn(&one, 0..20);
    assert_eq!(was_asked.recv().await.map(|keys| keys.len()), Some(20));
    let second = spawn(&other, 10..30);
    assert_eq!(was_asked.recv().await.map(sorted), Some((20..30).collect()));
    gate.add_permits(2);
    assert_eq!(first.await?.into_result()?.len(), 20);
    assert_eq!(second.await?.into_result()?.len(), 20);
    assert!(was_asked.try_recv().is_err(), "nothing was loaded twice");
    assert_eq!((one.stats().loads, other.stats().loads), (1, 1));
    Ok(())
}

#[tokio::test]
async fn a_thousand_far_hits_are_two_trips_and_one_with_three_tags_is_one() -> anyhow::Result<()> {
    let server = RedisServer::shared()?;
    let proxy = FaultProxy::start(server.address())?;
    let name = server.key_prefix();
    let writer = node(&name, RedisStore::new(&server.url())?)?;
    let tags = |key: u64| {
        let policy = EntryPolicy::new().tag("all").tag(format!("{}", key % 7));
        policy.tag(format!("{}", 10 + key % 11))
    };
    for key in 0..1_000 {
        writer.insert_with(key, key, tags(key)).await?;
    }
    let store = RedisStore::new(&server.url_through(proxy.address()))?;
    let reader = node(&name, store)?;
    assert_eq!(reader.get(&1_000).await, None, "connects");
    let trips = || proxy.traffic().round_trips;
    let before = trips();
    let load = async || Sure::Ok(0);
    let found = reader.get_or_load_with(3, tags(3), load).await?;
    assert_eq!((found, trips() - before), (3, 1));
    let before = trips();
    let found = reader.get_many(0..1_000).await;
    assert!(found.len() == 1_000 && found.iter().all(|(key, value)| key == value));
    assert_eq!(trips() - before, 2, "values with generations, then tags");
    assert_eq!(reader.stats().loads, 0);
    Ok(())
}

#[tokio::test]
async fn stale_values_are_served_while_one_batch_runs_behind_them() -> anyhow::Result<()> {
    let clock = ManualClock::new();
    let builder = Numbers::builder("stale").clock(clock.clone()).jitter(0.0);
    let builder = builder.ttl(Duration::from_secs(60));
    let cache = builder
        .stale_while_revalidate(Duration::from_secs(30))
        .build()?;
    for key in 1..=3 {
        cache.insert(key, key).await?;
    }
    clock.advance(Duration::from_secs(61));
    let stale = cache.get_or_load_many(1..=3, tenfold).await;
    assert_eq!(stale.values, HashMap::from([(1, 1), (2, 2), (3, 3)]));
    while cache.stats().loads_in_progress > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(cache.get_many(1..=3).await.len(), 3);
    assert_eq!(cache.near(&2), Some(20));
    assert_eq!(cache.stats().loads, 1);
    Ok(())
}

#[tokio::test]
async fn a_batch_that_everyone_abandoned_is_dropped_if_so_configured() -> anyhow::Result<()> {
    let builder = Numbers::builder("abandoned");
    let cache = builder.cancel_policy(CancelPolicy::WhenAbandoned).build()?;
    let (held, mut is_held) = mpsc::channel::<()>(1);
    let endless = move |_| {
        let held = held.clone();
        async move {
            let _held = held;
            std::future::pending::<Loaded<fmt::Error>>().await
        }
    };
    let batch = tokio::spawn({
        let cache = cache.clone();
        async move { cache.get_or_load_many(1..=3, endless).await }
    });
    while cache.stats().loads == 0 {
        tokio::task::yield_now().await;
    }
    let joiner = tokio::spawn({
        let cache = cache.clone();
        async move { cache.get_or_load(2, async || Sure::Ok(2)).await }
    });
    tokio::task::yield_now().await;
    batch.abort();
    assert!(batch.await.is_err());
    assert!(cache.stats().loads_in_progress > 0, "one still waits");
    joiner.abort();
    assert!(joiner.await.is_err());
    assert!(is_held.recv().await.is_none(), "nobody waits");
    assert_eq!(cache.get_or_load(2, async || Sure::Ok(3)).await?, 3);
    Ok(())
}

#[tokio::test]
async fn a_key_asked_for_twice_is_asked_of_the_load_once() -> anyhow::Result<()> {
    let cache = Numbers::builder("twice").build()?;
    let (asked, mut was_asked) = mpsc::unbounded_channel();
    let none = move |keys: Vec<u64>| {
        asked.send(keys).ok();
        std::future::ready(Sure::Ok(HashMap::new()))
    };
    let batch = cache.get_or_load_many([2, 2, 3, 2], none).await;
    assert!(batch.values.is_empty() && batch.errors.is_empty());
    assert_eq!(was_asked.recv().await, Some(vec![2, 3]));
    assert_eq!(was_asked.recv().await, None, "it is not asked again");
    Ok(())
}

#[tokio::test]
async fn a_key_too_long_for_the_far_tier_keeps_no_other_from_its_value() -> anyhow::Result<()> {
    let tier = FarTier::new(MemoryStore::new());
    let cache: Cache<String, usize> = Cache::builder("long").far(tier).build()?;
    let long = "x".repeat(2_000);
    let lengths = async |keys: Vec<String>| {
        let lengths = keys.into_iter().map(|key| (key.clone(), key.len()));
        Sure::Ok(lengths.collect())
    };
    let keys = || [long.clone(), "short".to_owned()];
    let batch = cache.get_or_load_many(keys(), lengths).await;
    assert_eq!(batch.values, HashMap::from([("short".to_owned(), 5)]));
    let error = &batch.errors[&long];
    let limit =
        matches!(error, LoadError::Cache(CacheError::KeyTooLong { bytes, .. }) if *bytes > 2_000);
    assert!(limit, "{error:?}");
    assert_eq!(cache.get_many(keys()).await.len(), 1);
    Ok(())
}

/// Whoever only looks has asked for a fresh value or none, whatever those who load are content with.
#[tokio::test]
async fn a_look_is_never_answered_by_a_stale_value() -> anyhow::Result<()> {
    let clock = ManualClock::new();
    let builder = Numbers::builder("look").clock(clock.clone()).jitter(0.0);
    let builder = builder.ttl(Duration::from_secs(60));
    let builder = builder.stale_if_error(Duration::from_secs(600));
    let builder = builder.soft_timeout(Duration::from_secs(1));
    let cache = builder.far(FarTier::new(MemoryStore::new())).build()?;
    cache.insert(1, 10).await?;
    clock.advance(Duration::from_secs(61));
    let (release, gate) = oneshot::channel::<()>();
    let panicking = async move || {
        gate.await.ok();
        let is_loaded = false;
        assert!(is_loaded, "this load panics");
        Sure::Ok(11)
    };
    let caller = tokio::spawn({
        let cache = cache.clone();
        async move { cache.get_or_load(1, panicking).await }
    });
    settle_down().await;
    let look = tokio::spawn({
        let cache = cache.clone();
        async move { cache.get(&1).await }
    });
    let looks = tokio::spawn({
        let cache = cache.clone();
        async move { cache.get_many([1]).await }
    });
    settle_down().await;
    clock.advance(Duration::from_secs(2));
    settle_down().await;
    release.send(()).expect("the load waits");
    assert_eq!(caller.await??, 10, "who loads is content with it");
    assert_eq!(look.await?, None);
    assert_eq!(looks.await?, HashMap::new());
    Ok(())
}

async fn settle_down() {
    for _ in 0..16 {
        tokio::task::yield_now().await;
    }
}

/// Who comes next need not wait as if someone still loaded.
#[tokio::test]
async fn a_load_without_an_outcome_gives_its_leases_back() -> anyhow::Result<()> {
    for (way, many) in [
        ("panic", false),
        ("panic", true),
        ("time-out", false),
        ("time-out", true),
        ("abort", false),
        ("abort", true),
    ] {
        let (store, clock) = (MemoryStore::new(), ManualClock::new());
        let node = || {
            let builder = Numbers::builder("no outcome").clock(clock.clone());
            let builder = builder.cancel_policy(CancelPolicy::WhenAbandoned);
            let tier = FarTier::new(store.clone()).timeout(Duration::from_secs(3_600));
            builder.far(tier).build()
        };
        let (one, other) = (node()?, node()?);
        let stuck = move || async move {
            assert_ne!(way, "panic");
            std::future::pending::<Sure<HashMap<u64, u64>>>().await
        };
        let caller = tokio::spawn({
            let one = one.clone();
            async move {
                match many {
                    true => drop(one.get_or_load_many([1, 2], move |_| stuck()).await),
                    false => drop(
                        one.get_or_load(1, async move || stuck().await.map(|_| 0))
                            .await,
                    ),
                }
            }
        });
        while one.stats().loads == 0 {
            tokio::task::yield_now().await;
        }
        match way {
            "time-out" => clock.advance(Duration::from_secs(31)),
            "abort" => caller.abort(),
            _ => {}
        }
        assert_eq!(caller.await.is_err(), way == "abort");
        let next = tokio::spawn(async move { other.get_or_load_many([1, 2], tenfold).await });
        let began = clock.now();
        while !next.is_finished() {
            clock.advance(Duration::from_millis(1));
            tokio::task::yield_now().await;
        }
        assert_eq!(next.await?.into_result()?.len(), 2);
        let waited = clock.now().since(began);
        assert!(waited < Duration::from_secs(4), "{way}: waited {waited:?}");
    }
    Ok(())
}
