//! Who loads for all processes, for how long, and how the others learn of its end.

use crate::Sure;
use crate::far::{SECOND, Users, load, node, redis};
use perf_cache::FarTier;
use perf_cache::store::{MemoryStore, RemoteStore as _};
use perf_core::ManualClock;
use perf_testkit::RedisServer;
use std::time::Duration;
use tokio::sync::oneshot;

#[tokio::test(start_paused = true)]
async fn a_holder_that_died_delays_others_and_no_more() -> anyhow::Result<()> {
    let store = MemoryStore::new();
    let dead = perf_cache::envelope::lease(1);
    store.put("dead:v:1", &dead, 3_600 * SECOND).await?;
    let cache = node("dead", store)?;
    assert_eq!(cache.get_or_load(1, load("value")).await?, "value");
    Ok(())
}

/// A load that takes longer than its lease would last is not overtaken.
#[tokio::test]
async fn a_lease_lasts_for_as_long_as_its_holder_loads() -> anyhow::Result<()> {
    let clock = ManualClock::new();
    let store = MemoryStore::with_clock(clock.clone());
    let node = || {
        let tier = FarTier::new(store.clone()).lease(3 * SECOND);
        let builder = Users::builder("leases").clock(clock.clone()).jitter(0.0);
        let builder = builder.load_timeout(3_600 * SECOND);
        builder.far(tier.wait_for_others(60 * SECOND)).build()
    };
    let (one, other) = (node()?, node()?);
    for ways in ["one", "many"] {
        let (end, may_end) = oneshot::channel::<()>();
        let slow = tokio::spawn({
            let (one, is_one) = (one.clone(), ways == "one");
            let slow = async move || {
                may_end.await.ok();
                Sure::Ok("slow".to_owned())
            };
            async move {
                if is_one {
                    return one.get_or_load(1, slow).await;
                }
                let gate = std::sync::Mutex::new(Some(slow));
                let load = move |keys: Vec<u64>| {
                    let slow = gate.lock().expect("no panic").take().expect("one load");
                    async move {
                        let value = slow().await?;
                        Sure::Ok(keys.into_iter().map(|key| (key, value.clone())).collect())
                    }
                };
                let batch = one.get_or_load_many([1], load).await.into_result();
                batch.map(|mut values| values.remove(&1).unwrap_or_default())
            }
        });
        let turn = async || {
            for _ in 0..30 {
                tokio::task::yield_now().await;
            }
        };
        turn().await;
        let waiting = tokio::spawn({
            let other = other.clone();
            async move { other.get_or_load(1, load("quick")).await }
        });
        for _ in 0..20 {
            clock.advance(SECOND);
            turn().await;
        }
        assert!(!waiting.is_finished(), "the lease has been renewed");
        end.send(()).ok();
        turn().await;
        clock.advance(SECOND);
        assert_eq!(
            (slow.await??, waiting.await??),
            ("slow".into(), "slow".into())
        );
        one.clear().await?;
        other.clear().await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_lease_of_a_holder_that_died_ends() -> anyhow::Result<()> {
    let clock = ManualClock::new();
    let store = MemoryStore::with_clock(clock.clone());
    let tier = FarTier::new(store.clone()).wait_for_others(60 * SECOND);
    let other = Users::builder("leases")
        .clock(clock.clone())
        .far(tier)
        .build()?;
    let dead = perf_cache::envelope::lease(1);
    store.put("leases:v:2", &dead, 3 * SECOND).await?;
    let waiting = tokio::spawn(async move { other.get_or_load(2, load("after")).await });
    for _ in 0..5 {
        tokio::task::yield_now().await;
        clock.advance(SECOND);
    }
    for _ in 0..30 {
        tokio::task::yield_now().await;
        clock.advance(Duration::from_millis(100));
    }
    assert_eq!(waiting.await??, "after");
    Ok(())
}

/// How many listen to a channel of the shared server.
async fn listeners(channel: &str) -> anyhow::Result<u64> {
    let client = ::redis::Client::open(RedisServer::shared()?.url())?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let mut command = ::redis::cmd("PUBSUB");
    command.arg("NUMSUB").arg(channel);
    let (_, listeners): (String, u64) = command.query_async(&mut connection).await?;
    Ok(listeners)
}

#[tokio::test]
async fn who_waits_for_another_process_is_woken_by_word_of_its_end() -> anyhow::Result<()> {
    is_woken(|cache, key| async move { Ok(cache.get_or_load(key, load("quick")).await?) }).await
}

/// It loads a key of its own meanwhile.
#[tokio::test]
async fn a_batch_that_waits_for_another_process_is_woken_by_word_of_its_end() -> anyhow::Result<()>
{
    let quick = async |keys: Vec<u64>| {
        let quick = keys.into_iter().map(|key| (key, "quick".to_owned()));
        Sure::Ok(quick.collect())
    };
    is_woken(move |cache, key| async move {
        let mut found = cache.get_or_load_many([key + 100, key], quick).await.values;
        assert_eq!(found[&(key + 100)], "quick");
        found
            .remove(&key)
            .ok_or_else(|| anyhow::anyhow!("no {key}"))
    })
    .await
}

/// The waiting node's clock stands still, so no look of its own can find the value.
async fn is_woken<F>(wait: impl Fn(Users, u64) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<String>> + Send + 'static,
{
    let (store, name) = redis()?;
    let clock = ManualClock::new();
    let one = node(&name, store)?;
    let tier = FarTier::new(redis()?.0).timeout(3_600 * SECOND);
    let other = Users::builder(name.clone())
        .clock(clock.clone())
        .far(tier.wait_for_others(3_600 * SECOND));
    let other = other.build()?;
    for round in 0..3 {
        let (end, may_end) = oneshot::channel::<()>();
        let (begun, has_begun) = oneshot::channel::<()>();
        let slow = async move || {
            begun.send(()).ok();
            may_end.await.ok();
            Sure::Ok("slow".to_owned())
        };
        let holder = tokio::spawn({
            let one = one.clone();
            async move { one.get_or_load(round, slow).await }
        });
        has_begun.await?;
        let waiting = tokio::spawn({
            let other = other.clone();
            wait(other, round)
        });
        // Its first looks; then it listens, and looks no more.
        while listeners(&format!("{name}:v:{round}")).await? == 0 {
            perf_core::Clock::sleep(&perf_core::SystemClock, Duration::from_millis(2)).await;
            clock.advance(Duration::from_millis(1));
        }
        assert!(!waiting.is_finished());
        end.send(()).ok();
        assert_eq!(
            (holder.await??, waiting.await??),
            ("slow".into(), "slow".into())
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_failed_load_gives_its_lease_back() -> anyhow::Result<()> {
    let store = MemoryStore::new();
    let (one, other) = (
        node("failed", store.clone())?,
        node("failed", store.clone())?,
    );
    let failing = async || Err::<String, _>(std::fmt::Error);
    assert!(one.get_or_load(1, failing).await.is_err());
    assert_eq!(
        store.read(&["failed:v:1".into()], &[]).await?.values,
        [None]
    );
    assert_eq!(other.get_or_load(1, load("value")).await?, "value");
    Ok(())
}
