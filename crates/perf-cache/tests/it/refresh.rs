//! Values that are loaded anew before they expire.

use crate::Sure;
use perf_cache::{Cache, CacheBuilder, EntryPolicy, Source};
use perf_core::ManualClock;
use std::io;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// A cache whose entry 1 holds 10 for 100 seconds.
async fn cache(
    configure: impl FnOnce(CacheBuilder<u64, u64>) -> CacheBuilder<u64, u64>,
) -> anyhow::Result<(Cache<u64, u64>, ManualClock)> {
    let clock = ManualClock::new();
    let builder = Cache::builder("refreshed").jitter(0.0).ttl(100 * SECOND);
    let cache = configure(builder.clock(clock.clone())).build()?;
    let policy = EntryPolicy::new().tag("tag");
    cache.insert_with(1, 10, policy).await?;
    Ok((cache, clock))
}

async fn settle() {
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn one_load_runs_behind_the_reads_of_the_last_part() -> anyhow::Result<()> {
    let (cache, clock) = cache(|builder| builder.eager_refresh(0.8)).await?;
    clock.advance(79 * SECOND);
    assert_eq!(cache.get_or_load(1, async || Sure::Ok(11)).await?, 10);
    settle().await;
    assert_eq!(cache.stats().loads, 0, "it is not the last part yet");
    clock.advance(2 * SECOND);
    for _ in 0..5 {
        assert_eq!(cache.get_or_load(1, async || Sure::Ok(11)).await?, 10);
        let policy = EntryPolicy::new();
        let found = cache
            .lookup_or_load(1, policy, async || Sure::Ok(11))
            .await?;
        assert_eq!((found.value, found.source), (10, Source::Near));
    }
    settle().await;
    assert_eq!(cache.get_or_load(1, async || Sure::Ok(12)).await?, 11);
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.loads), (12, 0, 1));
    assert_eq!(stats.stale_serves, 0);
    clock.advance(79 * SECOND);
    assert_eq!(cache.get(&1).await, Some(11), "its time has begun anew");
    Ok(())
}

#[tokio::test]
async fn reads_that_cannot_load_find_the_value_for_all_its_time() -> anyhow::Result<()> {
    let (cache, clock) = cache(|builder| builder.eager_refresh(0.5)).await?;
    clock.advance(98 * SECOND);
    assert_eq!((cache.get(&1).await, cache.near(&1)), (Some(10), Some(10)));
    assert!(cache.contains(&1).await);
    let age = cache.lookup(&1).await.expect("it is fresh").age;
    assert!(age.abs_diff(98 * SECOND) < SECOND, "{age:?}");
    assert_eq!(cache.get_many([1]).await[&1], 10);
    assert_eq!(cache.stats().loads, 0);
    clock.advance(2 * SECOND);
    assert_eq!((cache.get(&1).await, cache.near(&1)), (None, None));
    assert!(cache.lookup(&1).await.is_none());
    Ok(())
}

#[tokio::test]
async fn what_was_invalidated_has_no_last_part() -> anyhow::Result<()> {
    let (cache, clock) = cache(|builder| builder.eager_refresh(0.5)).await?;
    clock.advance(90 * SECOND);
    cache.invalidate_tag("tag").await?;
    assert_eq!(cache.near(&1), None);
    assert_eq!(cache.get_or_load(1, async || Sure::Ok(11)).await?, 11);
    Ok(())
}

#[tokio::test]
async fn a_refresh_that_fails_leaves_the_value_for_its_time() -> anyhow::Result<()> {
    let (cache, clock) = cache(|builder| {
        let builder = builder.eager_refresh(0.5).rest_after_failure(30 * SECOND);
        builder.stale_if_error(10 * SECOND)
    })
    .await?;
    let failing = async || Err::<u64, _>(io::Error::other("no database"));
    clock.advance(60 * SECOND);
    for _ in 0..5 {
        assert_eq!(cache.get_or_load(1, failing).await?, 10);
        settle().await;
    }
    assert_eq!(
        (cache.stats().loads, cache.stats().load_failures),
        (1, 1),
        "it rests"
    );
    clock.advance(45 * SECOND);
    assert_eq!(
        cache.get_or_load(1, failing).await?,
        10,
        "stale now, within its window"
    );
    assert_eq!(cache.stats().stale_serves, 1);
    clock.advance(6 * SECOND);
    assert!(
        cache.get_or_load(1, failing).await.is_err(),
        "the window began with the end"
    );
    Ok(())
}

#[tokio::test]
async fn an_invalidation_reaches_a_refresh_under_way() -> anyhow::Result<()> {
    let (cache, clock) = cache(|builder| builder.eager_refresh(0.5)).await?;
    clock.advance(60 * SECOND);
    let (release, gate) = tokio::sync::oneshot::channel::<()>();
    let load = async move || {
        gate.await.ok();
        Sure::Ok(11)
    };
    assert_eq!(cache.get_or_load(1, load).await?, 10);
    cache.invalidate(&1).await?;
    release.send(()).ok();
    settle().await;
    assert_eq!(
        (cache.get(&1).await, cache.stats().refused_publications),
        (None, 1)
    );
    Ok(())
}

/// Loads take ten seconds: fifty seconds before the end a refresh is unlikely, one before nearly certain.
#[tokio::test]
async fn by_chance_a_read_near_the_end_refreshes() -> anyhow::Result<()> {
    fastrand::seed(7);
    let (mut early, mut late) = (0, 0);
    for _ in 0..40 {
        let (cache, clock) = cache(|builder| builder.xfetch(1.0)).await?;
        let slow = || {
            let clock = clock.clone();
            async move || {
                clock.advance(10 * SECOND);
                Sure::Ok(11)
            }
        };
        cache.get_or_load(2, slow()).await?;
        cache.insert(1, 10).await?;
        clock.advance(51 * SECOND);
        assert_eq!(cache.get_or_load(1, slow()).await?, 10);
        settle().await;
        early += cache.stats().loads - 1;
        cache.insert(1, 10).await?;
        let before = cache.stats().loads;
        clock.advance(98 * SECOND);
        assert_eq!(cache.get_or_load(1, slow()).await?, 10);
        settle().await;
        late += cache.stats().loads - before;
    }
    assert!(early <= 5 && late >= 20, "{early} early, {late} late");
    Ok(())
}

#[test]
fn a_share_or_an_eagerness_without_meaning_is_an_error() {
    use perf_cache::CacheError;
    let builder = || Cache::<u64, u64>::builder("refreshed");
    let shares =
        [0.0, 1.0, -0.5, f64::NAN].map(|share| (builder().eager_refresh(share), "eager_refresh"));
    let betas = [0.0, -1.0, f64::INFINITY, f64::NAN].map(|beta| (builder().xfetch(beta), "xfetch"));
    for (builder, name) in shares.into_iter().chain(betas) {
        let error = builder.build().expect_err(name);
        assert!(
            matches!(&error, CacheError::Setting { setting, .. } if *setting == name),
            "{error}"
        );
    }
}
