//! What the near tier promises, on each engine.

use crate::Sure;
use perf_cache::store::{LocalStore, MokaStore, QuickStore};
use perf_cache::{Cache, CacheBuilder, EntryPolicy};
use perf_core::ManualClock;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Runs each of these tests on each engine.
macro_rules! on_each_engine {
    ($($test:ident)*) => {
        mod quick {
            $(#[tokio::test]
            async fn $test() -> anyhow::Result<()> {
                super::$test::<super::QuickStore<u64, u64>>().await
            })*
        }

        mod moka {
            $(#[tokio::test]
            async fn $test() -> anyhow::Result<()> {
                super::$test::<super::MokaStore<u64, u64>>().await
            })*
        }
    };
}

on_each_engine! {
    what_is_written_is_read_until_it_is_replaced_or_forgotten
    a_tag_takes_its_own
    an_entry_expires
    many_misses_are_one_load
    an_overtaken_load_leaves_no_trace
    the_limit_holds
    what_is_too_heavy_replaces_the_old_value_and_is_counted
}

fn builder() -> CacheBuilder<u64, u64> {
    Cache::builder("engines").jitter(0.0)
}

async fn what_is_written_is_read_until_it_is_replaced_or_forgotten<S: LocalStore<u64, u64>>()
-> anyhow::Result<()> {
    let cache = builder().build_in::<S>()?;
    for round in 0..100 {
        assert_eq!(cache.get(&1).await, None, "round {round}");
        cache.insert(1, round).await?;
        assert_eq!(cache.get(&1).await, Some(round));
        cache.insert(1, round + 1).await?;
        assert_eq!(cache.get(&1).await, Some(round + 1));
        cache.insert(2, round).await?;
        if round % 2 == 0 {
            cache.invalidate(&1).await?;
            assert_eq!(cache.get(&2).await, Some(round));
        } else {
            cache.clear().await?;
            assert_eq!(cache.get(&2).await, None);
        }
    }
    Ok(())
}

async fn a_tag_takes_its_own<S: LocalStore<u64, u64>>() -> anyhow::Result<()> {
    let cache = builder().build_in::<S>()?;
    for (key, tag) in [(1, "red"), (2, "blue")] {
        let policy = EntryPolicy::new().tag(tag);
        cache.insert_with(key, key, policy).await?;
    }
    cache.invalidate_tag("red").await?;
    assert_eq!((cache.get(&1).await, cache.get(&2).await), (None, Some(2)));
    Ok(())
}

async fn an_entry_expires<S: LocalStore<u64, u64>>() -> anyhow::Result<()> {
    let clock = ManualClock::new();
    let builder = builder().clock(clock.clone()).ttl(Duration::from_secs(60));
    let cache = builder.build_in::<S>()?;
    cache.insert(1, 1).await?;
    clock.advance(Duration::from_secs(59));
    assert_eq!(cache.get(&1).await, Some(1));
    clock.advance(Duration::from_secs(1));
    assert_eq!(cache.get(&1).await, None);
    Ok(())
}

async fn many_misses_are_one_load<S: LocalStore<u64, u64>>() -> anyhow::Result<()> {
    let cache = builder().build_in::<S>()?;
    let runs = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..1_000 {
        let (cache, runs) = (cache.clone(), Arc::clone(&runs));
        let load = async move || {
            runs.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Sure::Ok(7)
        };
        callers.spawn(async move { cache.get_or_load(1, load).await });
    }
    assert!(callers.join_all().await.iter().all(Result::is_ok));
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    assert_eq!(cache.get(&1).await, Some(7));
    Ok(())
}

async fn an_overtaken_load_leaves_no_trace<S: LocalStore<u64, u64>>() -> anyhow::Result<()> {
    for way in ["insert", "invalidate", "tag", "clear"] {
        let cache = builder().build_in::<S>()?;
        let (release, gate) = oneshot::channel::<()>();
        let caller = tokio::spawn({
            let cache = cache.clone();
            let load = async move || {
                gate.await.ok();
                Sure::Ok(1)
            };
            let policy = EntryPolicy::new().tag("tag");
            async move { cache.get_or_load_with(1, policy, load).await }
        });
        tokio::task::yield_now().await;
        match way {
            "insert" => cache.insert(1, 2).await?,
            "invalidate" => cache.invalidate(&1).await?,
            "tag" => cache.invalidate_tag("tag").await?,
            _ => cache.clear().await?,
        };
        release.send(()).expect("the load waits");
        assert_eq!(caller.await??, 1, "{way}");
        let left = (way == "insert").then_some(2);
        assert_eq!(cache.get(&1).await, left, "{way}");
        assert_eq!(cache.stats().refused_publications, 1, "{way}");
    }
    Ok(())
}

async fn the_limit_holds<S: LocalStore<u64, u64>>() -> anyhow::Result<()> {
    let cache = builder().max_entries(100).build_in::<S>()?;
    for key in 0..1_000 {
        cache.insert(key, key).await?;
    }
    let entries = cache.stats().entries;
    assert!((1..=100).contains(&entries), "{entries} entries");
    Ok(())
}

async fn what_is_too_heavy_replaces_the_old_value_and_is_counted<S: LocalStore<u64, u64>>()
-> anyhow::Result<()> {
    let builder = builder().max_weight(10_000, |_, weight| *weight);
    let cache = builder.build_in::<S>()?;
    cache.insert(1, 500).await?;
    assert_eq!(cache.get(&1).await, Some(500));
    cache.insert(1, 10_001).await?;
    assert_eq!(cache.get(&1).await, None);
    assert_eq!((cache.stats().oversized, cache.stats().evictions), (1, 0));
    Ok(())
}
