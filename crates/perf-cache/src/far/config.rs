use crate::CacheError;
use crate::store::RemoteStore;
use perf_core::{Codec, CodecError, Compressed, MessagePack};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A far tier: a [`RemoteStore`] and how this cache writes to it.
///
/// Keys become `name:v:key` and tags `name:t:tag`, where `name` is the cache's and `key` the key's
/// `Display`: two keys must not display alike. Processes should agree on the time: by as much as their
/// clocks differ, a copy may outlive its original.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_cache::store::MemoryStore;
/// use perf_cache::{Cache, FarTier};
/// use std::convert::Infallible;
///
/// let store = MemoryStore::new();
/// let node = || Cache::<u64, String>::builder("users").far(FarTier::new(store.clone())).build();
/// let (one, other) = (node()?, node()?);
/// one.get_or_load(7, async || Ok::<_, Infallible>("loaded once".to_owned())).await?;
/// assert_eq!(other.get(&7).await.as_deref(), Some("loaded once"));
/// # Ok(())
/// # }
/// ```
pub struct FarTier<K, V> {
    pub(super) store: Arc<dyn RemoteStore>,
    pub(super) name: KeyName<K>,
    pub(super) encode: Encode<V>,
    pub(super) decode: Decode<V>,
    pub(super) codec: u8,
    pub(super) schema: u32,
    pub(super) timeout: Duration,
    pub(super) wait: Duration,
    pub(super) lease: Duration,
    pub(super) cool_down: Duration,
    pub(super) max_bytes: usize,
    pub(super) near_ttl: Option<Duration>,
}

type KeyName<K> = Box<dyn Fn(&K) -> String + Send + Sync>;
type Encode<V> = Box<dyn Fn(&V) -> Result<Vec<u8>, CodecError> + Send + Sync>;
type Decode<V> = Box<dyn Fn(&[u8]) -> Result<V, CodecError> + Send + Sync>;

impl<K: fmt::Display, V: Serialize + DeserializeOwned> FarTier<K, V> {
    /// Writes MessagePack, gzipped from 1 KiB on.
    pub fn new(store: impl RemoteStore) -> Self {
        Self::with_codec(store, Compressed::new(MessagePack))
    }

    /// Writes what `codec` makes of a value.
    pub fn with_codec<C: Codec>(store: impl RemoteStore, codec: C) -> Self {
        let codec = Arc::new(codec);
        let decoder = Arc::clone(&codec);
        Self {
            store: Arc::new(store),
            name: Box::new(|key| key.to_string()),
            encode: Box::new(move |value| codec.encode(value)),
            decode: Box::new(move |bytes| decoder.decode(bytes)),
            codec: C::ID,
            schema: 0,
            timeout: Duration::from_millis(250),
            wait: Duration::from_secs(5),
            lease: Duration::from_secs(10),
            cool_down: Duration::from_secs(1),
            max_bytes: 1 << 20,
            near_ttl: None,
        }
    }
}

impl<K, V> FarTier<K, V> {
    /// The version of the value's type. What was written under another is a miss. Default: 0.
    #[must_use]
    pub const fn schema(mut self, version: u32) -> Self {
        self.schema = version;
        self
    }

    /// How long one request to the store may take. Default: 250 ms.
    #[must_use]
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// How long a load waits for that of another process before it loads itself. Default: 5 s.
    #[must_use]
    pub const fn wait_for_others(mut self, limit: Duration) -> Self {
        self.wait = limit;
        self
    }

    /// How long a lease lasts unless it is renewed, which its holder does three times as often for as long
    /// as it loads. One whose holder died is free for others after this time at the latest. Default: 10 s.
    #[must_use]
    pub const fn lease(mut self, time: Duration) -> Self {
        self.lease = time;
        self
    }

    /// How long reads go without the store after it failed. Default: 1 s.
    #[must_use]
    pub const fn cool_down(mut self, pause: Duration) -> Self {
        self.cool_down = pause;
        self
    }

    /// The largest encoded value in bytes. A larger one is kept near only. Default: 1 MiB.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How long a value is fresh near, at most. Default: as long as it is far.
    ///
    /// An invalidation reaches the far tier and the process that makes it. Other processes that hold the
    /// value near serve it until then.
    #[must_use]
    pub const fn near_ttl(mut self, limit: Duration) -> Self {
        self.near_ttl = Some(limit);
        self
    }
}

impl<K, V> FarTier<K, V> {
    pub(crate) const fn validate(&self) -> Result<(), CacheError> {
        let setting = match () {
            () if self.timeout.is_zero() => "timeout",
            () if self.lease.is_zero() => "lease",
            () => return Ok(()),
        };
        Err(CacheError::Setting {
            setting,
            problem: "must be greater than zero",
        })
    }
}

impl<K, V> fmt::Debug for FarTier<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FarTier")
            .field("store", &self.store)
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}
