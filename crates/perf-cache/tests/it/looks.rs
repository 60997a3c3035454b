//! A look into the far tier is done by the caller who is first, until others depend on it.

use crate::far::{Users, load};
use crate::lossy::{Late, pass};
use perf_cache::store::MemoryStore;
use perf_cache::{Cache, CacheBuilder, CacheError, CancelPolicy, FarTier, LoadError};
use perf_core::{Codec, CodecError, Json, ManualClock};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::timeout;

const GENEROUS: Duration = Duration::from_secs(30);

/// A cache whose near tier is empty, on a store that holds `7` and never answers at the first poll.
async fn cache(
    change: impl FnOnce(CacheBuilder<u64, String>) -> CacheBuilder<u64, String>,
) -> anyhow::Result<Users> {
    let store = Late::new(&ManualClock::new(), 3, 0);
    let builder = || Cache::builder("looks").far(FarTier::new(store.clone()));
    builder().build()?.insert(7, "seven".into()).await?;
    Ok(change(builder()).build()?)
}

fn poll_once<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn a_caller_whom_nobody_polls_keeps_nobody_waiting() -> anyhow::Result<()> {
    let cache = cache(|builder| builder).await?;
    let mut first = pin!(cache.get(&7));
    assert!(poll_once(first.as_mut()).is_pending());
    let second = timeout(GENEROUS, cache.get_or_load(7, load("loaded"))).await?;
    assert_eq!(second?, "seven");
    assert_eq!(first.await.as_deref(), Some("seven"));
    assert_eq!(cache.stats().far_hits, 1, "they shared one look");
    Ok(())
}

/// One who polls the work takes the wake-up too, so nobody who comes later may poll it for the first.
#[tokio::test]
async fn a_caller_who_joins_and_is_not_polled_keeps_nobody_waiting() -> anyhow::Result<()> {
    let cache = cache(|builder| builder).await?;
    for key in 10..60 {
        let own = cache.clone();
        let first = tokio::spawn(async move { own.get(&key).await });
        tokio::task::yield_now().await;
        let mut second = pin!(cache.get(&key));
        let _pending = poll_once(second.as_mut());
        assert_eq!(timeout(GENEROUS, first).await??, None);
        assert_eq!(second.await, None);
    }
    Ok(())
}

#[tokio::test]
async fn a_batch_does_not_wait_for_a_caller_whom_nobody_polls() -> anyhow::Result<()> {
    let cache = cache(|builder| builder).await?;
    let mut first = pin!(cache.get_or_load(7, load("loaded")));
    assert!(poll_once(first.as_mut()).is_pending());
    let batch = timeout(GENEROUS, cache.get_many([7])).await?;
    assert_eq!(batch[&7], "seven");
    assert_eq!(first.await?, "seven");
    assert_eq!(cache.stats().far_hits, 1, "they shared one look");
    Ok(())
}

#[tokio::test]
async fn a_look_begun_in_one_task_ends_in_another() -> anyhow::Result<()> {
    let cache = cache(|builder| builder).await?;
    let own = cache.clone();
    let mut call = Box::pin(async move { own.get(&7).await });
    assert!(poll_once(call.as_mut()).is_pending());
    let found = timeout(GENEROUS, tokio::spawn(call)).await??;
    assert_eq!(found.as_deref(), Some("seven"));
    Ok(())
}

#[tokio::test]
async fn a_look_goes_on_without_its_caller() -> anyhow::Result<()> {
    let cache = cache(|builder| builder).await?;
    assert!(poll_once(pin!(cache.get(&7))).is_pending());
    let arrives = async {
        while cache.near(&7).is_none() {
            tokio::task::yield_now().await;
        }
    };
    timeout(GENEROUS, arrives).await?;
    Ok(())
}

#[tokio::test]
async fn an_abandoned_look_ends_if_so_configured() -> anyhow::Result<()> {
    let cache = cache(|builder| builder.cancel_policy(CancelPolicy::WhenAbandoned)).await?;
    assert!(poll_once(pin!(cache.get(&7))).is_pending());
    pass(100).await;
    assert_eq!((cache.near(&7), cache.stats().far_hits), (None, 0));
    assert_eq!(cache.get(&7).await.as_deref(), Some("seven"));
    Ok(())
}

#[tokio::test]
async fn what_was_invalidated_during_a_look_is_not_kept() -> anyhow::Result<()> {
    let cache = cache(|builder| builder).await?;
    let mut first = pin!(cache.get(&7));
    assert!(poll_once(first.as_mut()).is_pending());
    cache.invalidate(&7).await?;
    first.await;
    assert_eq!(cache.near(&7), None);
    assert_eq!(cache.get_or_load(7, load("new")).await?, "new");
    Ok(())
}

/// It waits for loads, and a look is none: nobody may ever poll it again.
#[tokio::test]
async fn closing_does_not_wait_for_a_look() -> anyhow::Result<()> {
    let cache = cache(|builder| builder).await?;
    let mut first = pin!(cache.get_or_load(7, load("loaded")));
    assert!(poll_once(first.as_mut()).is_pending());
    timeout(GENEROUS, cache.close()).await?;
    let refused = first.await;
    assert!(
        matches!(refused, Err(LoadError::Cache(CacheError::Closed))),
        "{refused:?}"
    );
    assert_eq!((cache.near(&7), cache.stats().loads), (None, 0));
    Ok(())
}

/// JSON that can be made to panic.
#[derive(Clone, Debug)]
struct Trap(Arc<AtomicBool>);

impl Codec for Trap {
    const ID: u8 = Json::ID;

    fn encode_into<T: Serialize + ?Sized>(
        &self,
        value: &T,
        bytes: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        Json.encode_into(value, bytes)
    }

    fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, CodecError> {
        assert!(!self.0.load(Ordering::SeqCst), "the codec panics");
        Json.decode(bytes)
    }
}

#[tokio::test]
async fn a_codec_that_panics_is_an_error_to_its_caller_and_nothing_else() -> anyhow::Result<()> {
    let (store, is_set) = (MemoryStore::new(), Arc::new(AtomicBool::new(true)));
    let trap = Trap(Arc::clone(&is_set));
    let node = || Users::builder("trap").far(FarTier::with_codec(store.clone(), trap.clone()));
    node().build()?.insert(7, "seven".into()).await?;
    let cache = node().build()?;
    let failed = cache.get_or_load(7, load("loaded")).await;
    assert!(matches!(failed, Err(LoadError::Panicked)), "{failed:?}");
    assert_eq!(cache.get(&7).await, None);
    is_set.store(false, Ordering::SeqCst);
    assert_eq!(cache.get(&7).await.as_deref(), Some("seven"));
    Ok(())
}
