use crate::Sure;
use perf_cache::{Cache, LoadError};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_concurrent_misses_are_one_load() -> anyhow::Result<()> {
    let cache: Cache<u64, Arc<str>> = Cache::builder("misses").build()?;
    let runs = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..10_000 {
        let (cache, runs) = (cache.clone(), Arc::clone(&runs));
        callers.spawn(async move {
            let load = async move || {
                runs.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Sure::Ok(Arc::from("value"))
            };
            cache.get_or_load(7, load).await
        });
    }
    while let Some(value) = callers.join_next().await {
        assert_eq!(&*value??, "value");
    }
    let stats = cache.stats();
    assert_eq!((runs.load(Ordering::Relaxed), stats.loads), (1, 1));
    assert_eq!(stats.requests(), 10_000);
    Ok(())
}

#[tokio::test]
async fn an_error_is_shared_by_all_who_wait_and_not_kept() -> anyhow::Result<()> {
    let cache: Cache<u64, u64> = Cache::builder("errors").build()?;
    let (release, gate) = oneshot::channel::<()>();
    let gate = async move || {
        gate.await.ok();
        Err::<u64, _>(std::io::Error::other("no database"))
    };
    let mut callers = JoinSet::new();
    let leader = cache.clone();
    callers.spawn(async move { leader.get_or_load(1, gate).await });
    tokio::task::yield_now().await;
    for _ in 0..99 {
        let cache = cache.clone();
        let own = async || Err(std::io::Error::other("a second load"));
        callers.spawn(async move { cache.get_or_load(1, own).await });
    }
    tokio::task::yield_now().await;
    release.send(()).expect("the load waits");
    let mut errors = Vec::new();
    while let Some(result) = callers.join_next().await {
        match result? {
            Err(LoadError::Loader(error)) => errors.push(error),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(errors.len(), 100);
    assert!(errors.iter().all(|error| Arc::ptr_eq(error, &errors[0])));
    assert_eq!(errors[0].to_string(), "no database");
    assert_eq!(cache.stats().load_failures, 1);
    assert_eq!(cache.get_or_load(1, async || Sure::Ok(5)).await?, 5);
    Ok(())
}

#[tokio::test]
async fn a_panic_reaches_all_who_wait_and_the_next_call_loads_anew() -> anyhow::Result<()> {
    let cache: Cache<u64, u64> = Cache::builder("panics").build()?;
    let mut callers = JoinSet::new();
    for _ in 0..100 {
        let cache = cache.clone();
        callers.spawn(async move {
            let load = async || -> Sure<u64> {
                tokio::task::yield_now().await;
                panic!("a bug in the load")
            };
            cache.get_or_load(1, load).await
        });
    }
    while let Some(result) = callers.join_next().await {
        assert!(matches!(result?, Err(LoadError::Panicked)));
    }
    assert_eq!((cache.stats().loads, cache.stats().load_panics), (1, 1));
    assert_eq!(cache.get_or_load(1, async || Sure::Ok(5)).await?, 5);
    Ok(())
}

#[tokio::test]
async fn call_sites_with_different_errors_do_not_mix_them_up() -> anyhow::Result<()> {
    let cache: Cache<u64, u64> = Cache::builder("mixed").build()?;
    let (first, second) = (cache.clone(), cache.clone());
    let failing = tokio::spawn(async move {
        let load = async || {
            tokio::task::yield_now().await;
            Err::<u64, _>(std::fmt::Error)
        };
        first.get_or_load(1, load).await
    });
    let other = tokio::spawn(async move {
        let load = async || Ok::<_, std::io::Error>(8);
        second.get_or_load(1, load).await
    });
    assert!(matches!(failing.await?, Err(LoadError::Loader(_))));
    assert_eq!(other.await??, 8, "loaded for itself");
    assert_eq!(cache.stats().loads, 2);
    Ok(())
}

#[tokio::test]
async fn no_more_loads_run_at_a_time_than_allowed() -> anyhow::Result<()> {
    let limit = NonZeroU32::new(3).expect("not zero");
    let cache: Cache<u64, u64> = Cache::builder("capped").max_loads(limit).build()?;
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let gate = Arc::new(Semaphore::new(0));
    let mut callers = JoinSet::new();
    for key in 0..20 {
        let (cache, running, most) = (cache.clone(), Arc::clone(&running), Arc::clone(&most));
        let gate = Arc::clone(&gate);
        let load = async move || {
            let now = running.fetch_add(1, Ordering::AcqRel) + 1;
            most.fetch_max(now, Ordering::AcqRel);
            let _permit = gate.acquire().await.expect("never closed");
            running.fetch_sub(1, Ordering::AcqRel);
            Sure::Ok(key)
        };
        callers.spawn(async move { cache.get_or_load(key, load).await });
    }
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(1);
    let values = callers.join_all().await;
    assert!(values.iter().all(Result::is_ok));
    assert_eq!(most.load(Ordering::Acquire), 3);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_load_that_takes_too_long_is_dropped_and_a_wait_ends_earlier() -> anyhow::Result<()> {
    let limits = Cache::<u64, u64>::builder("limits")
        .load_timeout(Duration::from_secs(10))
        .wait_timeout(Duration::from_secs(1));
    let cache = limits.build()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let load = async move || {
        let _held = stop;
        std::future::pending::<Sure<u64>>().await
    };
    assert!(matches!(
        cache.get_or_load(1, load).await,
        Err(LoadError::TimedOut)
    ));
    assert_eq!(cache.stats().loads_in_progress, 1, "the load goes on");
    assert!(stopped.await.is_err(), "dropped at its own limit");
    tokio::task::yield_now().await;
    assert_eq!(
        (cache.stats().loads_in_progress, cache.stats().load_timeouts),
        (0, 1)
    );
    Ok(())
}
