use crate::Sure;
use perf_cache::{Cache, CacheBuilder, EntryPolicy, LoadError, Lookup, Source};
use perf_core::ManualClock;
use std::io;
use std::time::Duration;
use tokio::sync::oneshot;

const SECOND: Duration = Duration::from_secs(1);

/// A cache whose entry 1 holds 10 and has been overdue for one second.
async fn overdue(
    configure: impl FnOnce(CacheBuilder<u64, u64>) -> CacheBuilder<u64, u64>,
) -> anyhow::Result<(Cache<u64, u64>, ManualClock)> {
    let clock = ManualClock::new();
    let builder = Cache::builder("stale").jitter(0.0).ttl(60 * SECOND);
    let cache = configure(builder.clock(clock.clone())).build()?;
    cache
        .insert_with(1, 10, EntryPolicy::new().tag("tag"))
        .await?;
    clock.advance(61 * SECOND);
    Ok((cache, clock))
}

async fn failing() -> io::Result<u64> {
    Err(io::Error::other("no database"))
}

async fn look(
    cache: &Cache<u64, u64>,
    load: impl AsyncLoad,
) -> Result<Lookup<u64>, LoadError<io::Error>> {
    cache
        .lookup_or_load(1, EntryPolicy::new().tag("tag"), || load)
        .await
}

trait AsyncLoad: Future<Output = io::Result<u64>> + Send + 'static {}
impl<T: Future<Output = io::Result<u64>> + Send + 'static> AsyncLoad for T {}

async fn settle() {
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_stale_value_is_served_while_one_load_runs_behind_it() -> anyhow::Result<()> {
    let (cache, clock) = overdue(|builder| builder.stale_while_revalidate(30 * SECOND)).await?;
    for _ in 0..10 {
        let stale = look(&cache, async { Ok(11) }).await?;
        assert_eq!((stale.value, stale.source), (10, Source::Stale));
        assert!(
            stale.age.abs_diff(61 * SECOND) < SECOND * 6 / 10,
            "{:?}",
            stale.age
        );
    }
    settle().await;
    assert_eq!(cache.get(&1).await, Some(11));
    assert_eq!((cache.stats().loads, cache.stats().stale_serves), (1, 10));
    clock.advance(91 * SECOND);
    let anew = look(&cache, async { Ok(12) }).await?;
    assert_eq!(
        (anew.value, anew.source),
        (12, Source::Loaded),
        "the window has closed"
    );
    Ok(())
}

#[tokio::test]
async fn get_never_serves_what_is_stale() -> anyhow::Result<()> {
    let (cache, _clock) = overdue(CacheBuilder::resilient).await?;
    assert_eq!(cache.get(&1).await, None);
    assert!(!cache.contains(&1).await);
    Ok(())
}

#[tokio::test]
async fn a_failed_load_falls_back_on_a_stale_value_and_rests() -> anyhow::Result<()> {
    let (cache, clock) = overdue(|builder| {
        builder
            .stale_if_error(600 * SECOND)
            .rest_after_failure(30 * SECOND)
    })
    .await?;
    for _ in 0..5 {
        let stale = look(&cache, failing()).await?;
        assert_eq!((stale.value, stale.source), (10, Source::Stale));
    }
    assert_eq!(cache.stats().loads, 1, "no second load while the key rests");
    clock.advance(30 * SECOND);
    assert_eq!(look(&cache, async { Ok(11) }).await?.value, 11);
    Ok(())
}

#[tokio::test]
async fn a_panic_falls_back_too_and_an_empty_cache_has_nothing_to_fall_back_on()
-> anyhow::Result<()> {
    let (cache, clock) = overdue(|builder| builder.stale_if_error(600 * SECOND)).await?;
    let stale = look(&cache, async { panic!("a bug in the load") }).await?;
    assert_eq!(stale.value, 10);
    clock.advance(600 * SECOND);
    assert!(matches!(
        look(&cache, failing()).await,
        Err(LoadError::Loader(_))
    ));
    Ok(())
}

#[tokio::test]
async fn a_caller_with_a_stale_value_waits_no_longer_than_the_soft_timeout() -> anyhow::Result<()> {
    let (cache, clock) = overdue(|builder| {
        builder
            .stale_if_error(600 * SECOND)
            .soft_timeout(2 * SECOND)
    })
    .await?;
    let (release, gate) = oneshot::channel::<()>();
    let slow = async move {
        gate.await.ok();
        Ok(11)
    };
    let caller = tokio::spawn({
        let cache = cache.clone();
        async move { look(&cache, slow).await }
    });
    settle().await;
    assert!(!caller.is_finished());
    clock.advance(2 * SECOND);
    assert_eq!(caller.await??.source, Source::Stale);
    release.send(()).expect("the load goes on");
    settle().await;
    assert_eq!(cache.get(&1).await, Some(11), "completed in the background");
    Ok(())
}

/// Each way to invalidate kills the fallback of a load that is under way.
#[tokio::test]
async fn what_was_invalidated_is_no_fallback() -> anyhow::Result<()> {
    for way in ["key", "tag", "clear"] {
        let (cache, _clock) = overdue(CacheBuilder::resilient).await?;
        let open = EntryPolicy::new()
            .stale_while_revalidate(Duration::ZERO)
            .tag("tag");
        let (release, gate) = oneshot::channel::<()>();
        let caller = tokio::spawn({
            let cache = cache.clone();
            let load = async move || {
                gate.await.ok();
                failing().await
            };
            async move { cache.get_or_load_with(1, open, load).await }
        });
        settle().await;
        match way {
            "key" => cache.invalidate(&1).await?,
            "tag" => cache.invalidate_tag("tag").await?,
            _ => cache.clear().await?,
        };
        release.send(()).expect("the load waits");
        let result = caller.await?;
        assert!(
            matches!(result, Err(LoadError::Loader(_))),
            "{way}: {result:?}"
        );
        let next = look(&cache, failing()).await;
        assert!(matches!(next, Err(LoadError::Loader(_))), "{way}: {next:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_refresh_that_was_overtaken_is_not_kept() -> anyhow::Result<()> {
    let (cache, _clock) = overdue(|builder| builder.stale_while_revalidate(30 * SECOND)).await?;
    let (release, gate) = oneshot::channel::<()>();
    let old = async move {
        gate.await.ok();
        Ok(11)
    };
    assert_eq!(look(&cache, old).await?.value, 10);
    settle().await;
    cache.insert(1, 20).await?;
    release.send(()).expect("the refresh waits");
    settle().await;
    assert_eq!(cache.get(&1).await, Some(20));
    assert_eq!(cache.stats().refused_publications, 1);
    Ok(())
}

#[tokio::test]
async fn without_a_runtime_a_stale_value_is_served_and_nothing_loaded() -> anyhow::Result<()> {
    let (cache, _clock) = overdue(CacheBuilder::resilient).await?;
    let served = std::thread::spawn({
        let cache = cache.clone();
        move || {
            let call = std::pin::pin!(look(&cache, failing()));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            matches!(call.poll(&mut context), std::task::Poll::Ready(Ok(_)))
        }
    });
    assert!(served.join().expect("no panic"));
    assert_eq!(cache.stats().loads, 0);
    Ok(())
}

#[tokio::test]
async fn a_value_can_refuse_to_be_kept() -> anyhow::Result<()> {
    let builder = Cache::<u64, Option<u64>>::builder("absent");
    let cache = builder.negative_ttl(Duration::ZERO).build()?;
    assert_eq!(cache.get_or_load(1, async || Sure::Ok(None)).await?, None);
    assert_eq!(
        cache.get_or_load(1, async || Sure::Ok(Some(5))).await?,
        Some(5)
    );
    cache.insert(1, None).await?;
    assert_eq!(
        cache.get(&1).await,
        None,
        "and it still replaces what was there"
    );
    Ok(())
}

#[tokio::test]
async fn absence_and_values_have_times_of_their_own_in_either_order() -> anyhow::Result<()> {
    let by_value = |_: &u64, value: &Option<u64>| value.map(Duration::from_secs);
    for absence_first in [true, false] {
        let clock = ManualClock::new();
        let builder = Cache::builder("absent").jitter(0.0).clock(clock.clone());
        let builder = if absence_first {
            builder.negative_ttl(30 * SECOND).ttl_by(by_value)
        } else {
            builder.ttl_by(by_value).negative_ttl(30 * SECOND)
        };
        let cache = builder.build()?;
        cache.insert(1, Some(10)).await?;
        cache.insert(2, None).await?;
        clock.advance(10 * SECOND);
        assert_eq!(cache.get(&1).await, None, "its value said 10 s");
        assert_eq!(cache.get(&2).await, Some(None));
        clock.advance(20 * SECOND);
        assert_eq!(cache.get(&2).await, None, "absence is known for 30 s");
    }
    Ok(())
}
