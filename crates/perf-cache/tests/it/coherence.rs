//! What one process invalidates, others hear of; and what they may not have heard, they doubt.

use crate::Sure;
use crate::lossy::{Lossy, pass, run};
use perf_cache::backplane::{Backplane, MemoryBackplane, RedisBackplane};
use perf_cache::store::{MemoryStore, RedisStore, RemoteStore};
use perf_cache::{Cache, Coherence, EntryPolicy, FarTier, Receipt};
use perf_core::{Clock, ManualClock, SystemClock};
use perf_testkit::RedisServer;
use std::num::NonZeroUsize;
use std::time::Duration;

type Users = Cache<u64, u64>;

const WINDOW: Duration = Duration::from_secs(3);
const STEP: Duration = Duration::from_millis(100);
const GENEROUS: Duration = Duration::from_secs(60);

fn node(
    name: &str,
    clock: &ManualClock,
    store: impl RemoteStore,
    coherence: Coherence<u64>,
) -> anyhow::Result<Users> {
    let builder = Cache::builder(name.to_owned()).jitter(0.0);
    let builder = builder.clock(clock.clone()).far(FarTier::new(store));
    Ok(builder.coherence(coherence).build()?)
}

/// Two nodes whose messages may be lost, on one store.
fn pair(clock: &ManualClock) -> anyhow::Result<([Users; 2], [Lossy; 2])> {
    let (store, plane) = (
        MemoryStore::with_clock(clock.clone()),
        MemoryBackplane::new(),
    );
    let planes = [1, 2].map(|seed| Lossy::new(&plane, seed));
    let made = planes.clone().map(|plane| {
        let coherence = Coherence::new(plane).window(WINDOW);
        node("pair", clock, store.clone(), coherence)
    });
    let [one, other] = made;
    Ok(([one?, other?], planes))
}

fn load(value: u64) -> impl FnOnce() -> std::future::Ready<Sure<u64>> + Send + 'static {
    move || std::future::ready(Ok(value))
}

async fn until(mut is_so: impl FnMut() -> bool) -> anyhow::Result<()> {
    let began = SystemClock.now();
    while !is_so() {
        anyhow::ensure!(SystemClock.now().since(began) < GENEROUS, "it never was");
        SystemClock.sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

async fn word_arrives(one: &Users, other: &Users) -> anyhow::Result<()> {
    let policy = || EntryPolicy::new().tag("team");
    // Until both listen, what they hold falls in doubt.
    until(|| one.stats().doubts > 0 && other.stats().doubts > 0).await?;
    for telling in ["insert", "invalidate", "tag", "clear", "pattern"] {
        one.insert_with(1, 10, policy()).await?;
        other.insert_with(2, 20, policy()).await?;
        until(|| one.near(&2).is_none() && other.near(&1).is_none()).await?;
        assert_eq!(other.get(&1).await, Some(10));
        assert_eq!(other.near(&1), Some(10));
        let receipt = match telling {
            "insert" => one.insert(1, 11).await?,
            "invalidate" => one.invalidate(&1).await?,
            "tag" => one.invalidate_tag("team").await?,
            "clear" => one.clear().await?,
            _ => {
                assert_eq!(one.delete_pattern("1", |_| {}).await?, 1);
                Receipt::Acked
            }
        };
        assert_eq!(receipt, Receipt::Acked);
        until(|| other.near(&1).is_none()).await?;
        let expected = (telling == "insert").then_some(11);
        assert_eq!(other.get(&1).await, expected, "after {telling}");
        one.clear().await?;
        until(|| other.near(&2).is_none()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn word_of_every_kind_arrives() -> anyhow::Result<()> {
    let ([one, other], _) = pair(&ManualClock::new())?;
    word_arrives(&one, &other).await
}

#[tokio::test]
async fn word_of_every_kind_arrives_by_redis() -> anyhow::Result<()> {
    let server = RedisServer::shared()?;
    let (clock, name) = (ManualClock::new(), server.key_prefix());
    let node = || {
        let coherence = Coherence::new(RedisBackplane::new(&server.url())?);
        node(&name, &clock, RedisStore::new(&server.url())?, coherence)
    };
    word_arrives(&node()?, &node()?).await
}

#[tokio::test]
async fn what_was_not_heard_is_doubted_and_the_rest_confirmed_without_its_values()
-> anyhow::Result<()> {
    let clock = ManualClock::new();
    let ([one, other], planes) = pair(&clock)?;
    run(&clock, WINDOW, STEP).await;
    for key in 0..100 {
        one.get_or_load(key, load(1)).await?;
        other.get(&key).await;
    }
    let before = other.stats();
    planes[1].lose(100);
    one.insert(7, 2).await?;
    assert_eq!(other.near(&7), Some(1), "it has not heard");
    planes[1].lose(0);
    run(&clock, WINDOW, STEP).await;
    let after = other.stats();
    assert_eq!(after.doubts - before.doubts, 1);
    assert_eq!(after.confirmations - before.confirmations, 99);
    assert_eq!(after.far_hits, before.far_hits, "no value has moved");
    assert_eq!(other.near(&7), None);
    assert!(
        (0..100)
            .filter(|key| *key != 7)
            .all(|key| other.near(&key) == Some(1))
    );
    assert_eq!(other.get(&7).await, Some(2));
    Ok(())
}

#[tokio::test]
async fn a_tag_that_was_not_heard_of_is_found_by_its_generation() -> anyhow::Result<()> {
    let clock = ManualClock::new();
    let ([one, other], planes) = pair(&clock)?;
    run(&clock, WINDOW, STEP).await;
    one.insert_with(1, 1, EntryPolicy::new().tag("team"))
        .await?;
    one.insert(2, 2).await?;
    assert_eq!(
        (other.get(&1).await, other.get(&2).await),
        (Some(1), Some(2))
    );
    planes[1].lose(100);
    one.invalidate_tag("team").await?;
    run(&clock, WINDOW * 2, STEP).await;
    planes[1].lose(0);
    run(&clock, WINDOW, STEP).await;
    assert_eq!((other.near(&1), other.near(&2)), (None, Some(2)));
    Ok(())
}

#[tokio::test]
async fn a_near_tier_alone_loads_anew_what_is_in_doubt() -> anyhow::Result<()> {
    let (clock, plane) = (ManualClock::new(), MemoryBackplane::new());
    let lossy = Lossy::new(&plane, 1);
    let coherence = Coherence::new(lossy.clone()).window(WINDOW);
    let builder = Users::builder("alone").clock(clock.clone());
    let cache = builder.coherence(coherence).build()?;
    run(&clock, WINDOW, STEP).await;
    assert_eq!(cache.insert(1, 1).await?, Receipt::Acked);
    lossy.cut(true);
    pass(30).await;
    assert_eq!(cache.near(&1), None);
    let stale = EntryPolicy::new().stale_if_error(WINDOW);
    let failing = async || Err::<u64, _>(std::fmt::Error);
    let found = cache.get_or_load_with(1, stale, failing).await?;
    assert_eq!(found, 1, "doubt keeps what may serve instead of an error");
    assert_eq!(cache.get_or_load(1, load(2)).await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_farewell_spares_others_the_doubt_and_sends_what_waits() -> anyhow::Result<()> {
    let clock = ManualClock::new();
    let ([one, other], planes) = pair(&clock)?;
    run(&clock, WINDOW, STEP).await;
    other.insert(1, 1).await?;
    planes[0].cut(true);
    let (telling, _) = tokio::join!(one.invalidate(&1), run(&clock, STEP * 5, STEP));
    assert_eq!(telling?, Receipt::Queued);
    assert_eq!(one.stats().queued_invalidations, 1);
    planes[0].cut(false);
    tokio::join!(one.close(), run(&clock, WINDOW, STEP));
    assert_eq!(other.near(&1), None);
    let doubts = other.stats().doubts;
    run(&clock, WINDOW * 4, STEP).await;
    assert_eq!(other.stats().doubts, doubts, "its silence is no trouble");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalidation_waits_for_redis_to_return_and_no_old_value_comes_back()
-> anyhow::Result<()> {
    let server = RedisServer::start_with(&["--appendonly", "yes"])?;
    let name = server.key_prefix();
    let node = || {
        let plane = RedisBackplane::new(&server.url())?;
        let coherence = Coherence::new(plane).window(Duration::from_millis(300));
        let builder = Users::builder(name.clone()).jitter(0.0);
        // As if an outage were over before anyone noticed.
        let tier = FarTier::new(RedisStore::new(&server.url())?).cool_down(Duration::ZERO);
        anyhow::Ok(builder.far(tier).coherence(coherence).build()?)
    };
    let (one, other) = (node()?, node()?);
    until(|| one.stats().doubts > 0 && other.stats().doubts > 0).await?;
    for key in 0..10 {
        one.insert(key, 1).await?;
        assert_eq!(other.get(&key).await, Some(1));
    }
    server.kill();
    for key in 0..10 {
        assert_eq!(one.invalidate(&key).await?, Receipt::Queued);
    }
    assert_eq!(one.insert(20, 1).await?, Receipt::Queued);
    server.restart()?;
    // Redis still holds the old values; whether it has been told of the new ones yet or not:
    for key in 0..10 {
        assert_eq!(one.get_or_load(key, load(2)).await?, 2);
    }
    until(|| one.stats().queued_invalidations == 0).await?;
    until(|| (0..10).all(|key| other.near(&key).is_none())).await?;
    for key in 0..10 {
        assert_eq!(other.get_or_load(key, load(2)).await?, 2);
    }
    Ok(())
}

#[tokio::test]
async fn a_full_outbox_is_a_clear_and_nothing_is_lost() -> anyhow::Result<()> {
    let clock = ManualClock::new();
    let (store, plane) = (
        MemoryStore::with_clock(clock.clone()),
        MemoryBackplane::new(),
    );
    let lossy = Lossy::new(&plane, 1);
    let three = NonZeroUsize::new(3).expect("not zero");
    let coherence = Coherence::new(lossy.clone()).max_queued(three);
    let one = node("full", &clock, store.clone(), coherence)?;
    let other = node("full", &clock, store, Coherence::new(plane))?;
    run(&clock, WINDOW, STEP).await;
    for key in 0..10 {
        one.insert(key, 1).await?;
        assert_eq!(other.get(&key).await, Some(1));
    }
    lossy.cut(true);
    for key in 0..5 {
        let (telling, _) = tokio::join!(one.invalidate(&key), run(&clock, STEP * 5, STEP));
        assert_eq!(telling?, Receipt::Queued);
    }
    lossy.cut(false);
    run(&clock, WINDOW, STEP).await;
    assert!((0..10).all(|key| other.near(&key).is_none()));
    assert_eq!(one.stats().queued_invalidations, 0);
    Ok(())
}

/// A plane that is asked for what a cache of another kind said.
#[tokio::test]
async fn what_cannot_be_read_is_counted_and_doubted() -> anyhow::Result<()> {
    let clock = ManualClock::new();
    let plane = MemoryBackplane::new();
    let store = MemoryStore::with_clock(clock.clone());
    let cache = node("poison", &clock, store, Coherence::new(plane.clone()))?;
    run(&clock, WINDOW, STEP).await;
    let before = cache.stats().doubts;
    for bytes in [&b""[..], b"PFB\x01", b"PFB\x01\xc1\xff", &[0xFF; 4_096]] {
        plane.publish("poison:b", bytes).await?;
    }
    pass(100).await;
    assert_eq!(cache.stats().messages_unreadable, 4);
    assert_eq!(cache.stats().doubts, before + 4);
    Ok(())
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    let coherence = Coherence::new(MemoryBackplane::new());
    let built = Users::builder("nowhere").coherence(coherence).build();
    assert!(matches!(built, Err(perf_cache::CacheError::NoRuntime)));
    let coherence = Coherence::new(MemoryBackplane::new()).window(Duration::ZERO);
    assert!(Users::builder("zero").coherence(coherence).build().is_err());
}
