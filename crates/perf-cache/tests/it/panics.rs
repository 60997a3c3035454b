//! A key whose code panics hurts the call that it panics in, and nobody after it.

use crate::Sure;
use perf_cache::{Cache, LoadError};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use tokio::runtime::Builder;

/// A key that panics when told to.
#[derive(Debug)]
struct Brittle(Arc<Faults>);

#[derive(Debug, Default)]
struct Faults {
    /// Which clone from now on panics.
    at_clone: AtomicI64,
    at_hash: AtomicBool,
}

impl Clone for Brittle {
    fn clone(&self) -> Self {
        let count = self.0.at_clone.fetch_sub(1, Ordering::AcqRel);
        assert_ne!(count, 1, "a clone that fails");
        Self(Arc::clone(&self.0))
    }
}

impl Hash for Brittle {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        assert!(!self.0.at_hash.load(Ordering::Acquire), "a hash that fails");
        hasher.write_u8(1);
    }
}

impl PartialEq for Brittle {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Brittle {}

#[tokio::test(start_paused = true)]
async fn a_clone_that_panics_leaves_no_load_behind() -> anyhow::Result<()> {
    let mut panics = 0;
    for clone in 1..=5 {
        let faults = Arc::new(Faults::default());
        let cache: Cache<Brittle, u64> = Cache::builder("clones").build()?;
        faults.at_clone.store(clone, Ordering::Release);
        let broken = tokio::spawn({
            let (cache, key) = (cache.clone(), Brittle(Arc::clone(&faults)));
            async move { cache.get_or_load(key, async || Sure::Ok(1)).await }
        });
        panics += usize::from(!matches!(broken.await, Ok(Ok(1))));
        faults.at_clone.store(0, Ordering::Release);
        let next = Brittle(Arc::clone(&faults));
        cache.get_or_load(next, async || Sure::Ok(2)).await?;
        cache.close().await;
    }
    assert!(panics > 1, "no clone failed");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_hash_that_panics_when_a_load_ends_ends_it_all_the_same() -> anyhow::Result<()> {
    let faults = Arc::new(Faults::default());
    let cache: Cache<Brittle, u64> = Cache::builder("hashes").build()?;
    let load = {
        let faults = Arc::clone(&faults);
        async move || {
            tokio::task::yield_now().await;
            faults.at_hash.store(true, Ordering::Release);
            Err::<u64, _>(std::fmt::Error)
        }
    };
    let ended = cache.get_or_load(Brittle(Arc::clone(&faults)), load).await;
    assert!(matches!(ended, Err(LoadError::Panicked)), "{ended:?}");
    faults.at_hash.store(false, Ordering::Release);
    let next = Brittle(Arc::clone(&faults));
    assert_eq!(cache.get_or_load(next, async || Sure::Ok(2)).await?, 2);
    cache.close().await;
    Ok(())
}

#[test]
fn a_hash_that_panics_when_a_load_is_dropped_does_not_keep_the_cache_from_closing()
-> anyhow::Result<()> {
    let faults = Arc::new(Faults::default());
    let cache: Cache<Brittle, u64> = Cache::builder("drops").build()?;
    let runtime = Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(async {
        let (cache, key) = (cache.clone(), Brittle(Arc::clone(&faults)));
        let load = async || std::future::pending::<Sure<u64>>().await;
        tokio::spawn(async move { cache.get_or_load(key, load).await });
        tokio::task::yield_now().await;
    });
    assert_eq!(cache.stats().loads_in_progress, 1);
    faults.at_hash.store(true, Ordering::Release);
    drop(runtime);
    assert_eq!(
        cache.stats().loads_in_progress,
        0,
        "close would wait for it"
    );
    Ok(())
}
