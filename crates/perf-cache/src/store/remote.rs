use async_trait::async_trait;
use perf_core::Transience;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The first twelve bytes of whatever lies under a key, by which a lease is compared.
pub type Lease = [u8; crate::envelope::SEAL_BYTES];

/// A store of bytes that processes share.
///
/// It offers the least that the cache's protocol needs; what the bytes mean is the cache's affair. Each
/// method is one round trip. A *generation* is a number under a tag's name. A store may forget anything
/// at any time.
#[async_trait]
pub trait RemoteStore: fmt::Debug + Send + Sync + 'static {
    /// What lies under `key`, and the generation of each tag.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// It changes nothing.
    async fn read(&self, key: &str, tags: &[String]) -> Result<Reading, StoreError>;

    /// Puts `request.lease` under `key` if nothing lies there, or no bytes, or what begins with
    /// `request.replacing`; creates generations that do not exist. Returns all of them, or `None` if the lease is refused.
    ///
    /// The generations are those from before the lease's holder begins to load.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked. Whether it acted is then unknown.
    ///
    /// # Cancel safety
    ///
    /// A lease may be left behind, which the store drops after `request.hold`.
    async fn lease(
        &self,
        key: &str,
        request: LeaseRequest<'_>,
    ) -> Result<Option<Vec<u64>>, StoreError>;

    /// Replaces `lease` by `value` for `ttl`, or removes it, if it still lies under `key`; says whether
    /// it did.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked. Whether it acted is then unknown.
    ///
    /// # Cancel safety
    ///
    /// Whether it acted is unknown.
    async fn settle(
        &self,
        key: &str,
        lease: &Lease,
        value: Option<(&[u8], Duration)>,
    ) -> Result<bool, StoreError>;

    /// Puts `value` under `key` for `ttl`, whatever lies there.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked. Whether it acted is then unknown.
    ///
    /// # Cancel safety
    ///
    /// Whether it acted is unknown.
    async fn put(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), StoreError>;

    /// Removes whatever lies under `key`, a lease included.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked. Whether it acted is then unknown.
    ///
    /// # Cancel safety
    ///
    /// Whether it acted is unknown.
    async fn remove(&self, key: &str) -> Result<(), StoreError>;

    /// The generations of these tags; those that do not exist are created with the given ones.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// Some may have been created.
    async fn generations(&self, tags: &[(String, u64)]) -> Result<Vec<u64>, StoreError>;

    /// Replaces the generations of these tags by the given ones.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked. Whether it acted is then unknown.
    ///
    /// # Cancel safety
    ///
    /// Whether it acted is unknown.
    async fn renew(&self, tags: &[(String, u64)]) -> Result<(), StoreError>;
}

/// What a store holds at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// What lies under the key.
    pub value: Option<Vec<u8>>,
    /// The generation of each tag asked for, in that order.
    pub generations: Vec<Option<u64>>,
}

/// A wish to be the one who loads.
#[derive(Clone, Copy, Debug)]
pub struct LeaseRequest<'a> {
    /// What to put under the key.
    pub lease: Lease,
    /// What it may replace: something that begins so. Empty: nothing that has bytes.
    pub replacing: &'a [u8],
    /// After how long the store drops it.
    pub hold: Duration,
    /// The tags, each with the generation it gets if it has none.
    pub tags: &'a [(String, u64)],
}

/// Why a store could not be asked.
#[derive(Clone, Debug)]
pub struct StoreError {
    source: Arc<dyn Error + Send + Sync>,
    transience: Transience,
}

impl StoreError {
    /// Wraps the error of a driver.
    #[must_use]
    pub fn new(source: impl Error + Send + Sync + 'static, transience: Transience) -> Self {
        Self {
            source: Arc::new(source),
            transience,
        }
    }

    /// Whether asking again may succeed.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        self.transience.is_transient()
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the far store cannot be asked")
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}
