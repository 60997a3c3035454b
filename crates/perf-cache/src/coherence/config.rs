use crate::CacheError;
use crate::backplane::Backplane;
use perf_core::{Codec, MessagePack};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

/// How a cache hears what other processes invalidate.
///
/// Every process whose cache has the same name and listens to the same [`Backplane`] drops from its near
/// tier what any of them inserts or invalidates. Where messages are lost, near entries are confirmed by the
/// far tier before they are served again: what another process has invalidated is served no
/// longer than twice the [`window`](Coherence::window), for as long as the far tier can be reached. Without
/// a far tier, entries in doubt are loaded anew.
///
/// Keys travel as MessagePack. The cache is built within a tokio runtime, or given one.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_cache::backplane::MemoryBackplane;
/// use perf_cache::store::MemoryStore;
/// use perf_cache::{Cache, Coherence, FarTier, Receipt};
///
/// let (store, plane) = (MemoryStore::new(), MemoryBackplane::new());
/// let node = || {
///     Cache::<u64, String>::builder("users")
///         .far(FarTier::new(store.clone()))
///         .coherence(Coherence::new(plane.clone()))
///         .build()
/// };
/// let (one, other) = (node()?, node()?);
/// one.insert(7, "old".to_owned()).await?;
/// assert_eq!(other.get(&7).await.as_deref(), Some("old"));
/// assert_eq!(one.insert(7, "new".to_owned()).await?, Receipt::Acked);
/// while other.get(&7).await.as_deref() != Some("new") {
///     tokio::task::yield_now().await; // the message is on its way
/// }
/// # Ok(())
/// # }
/// ```
pub struct Coherence<K> {
    pub(super) plane: Arc<dyn Backplane>,
    pub(super) window: Duration,
    pub(super) max_queued: NonZeroUsize,
    pub(super) encode: fn(&K) -> Option<Vec<u8>>,
    pub(super) decode: fn(&[u8]) -> Option<K>,
}

/// An outbox of this size takes a few megabytes at most.
const MAX_QUEUED: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");

impl<K: Serialize + DeserializeOwned> Coherence<K> {
    /// Hears and tells by `plane`, with a window of 3 s.
    pub fn new(plane: impl Backplane) -> Self {
        Self {
            plane: Arc::new(plane),
            window: Duration::from_secs(3),
            max_queued: MAX_QUEUED,
            encode: |key| MessagePack.encode(key).ok(),
            decode: |bytes| MessagePack.decode(bytes).ok(),
        }
    }
}

impl<K> Coherence<K> {
    /// How long another process, or one's own echo, may be silent before near entries are in doubt. A
    /// heartbeat is sent three times in it. Default: 3 s. The same in all processes.
    #[must_use]
    pub const fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// How many invalidations may wait to be told. One more turns them all into a single
    /// [`clear`](crate::Cache::clear): nothing is lost, and everything is loaded anew. Default: 10,000.
    #[must_use]
    pub const fn max_queued(mut self, invalidations: NonZeroUsize) -> Self {
        self.max_queued = invalidations;
        self
    }

    pub(crate) const fn validate(&self) -> Result<(), CacheError> {
        if self.window.is_zero() {
            return Err(CacheError::Setting {
                setting: "window",
                problem: "must be greater than zero",
            });
        }
        Ok(())
    }
}

impl<K> fmt::Debug for Coherence<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coherence")
            .field("plane", &self.plane)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}
