use super::StoreInfo;
use crate::pattern::Pattern;
use async_trait::async_trait;
use perf_core::Transience;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// The first twelve bytes of whatever lies under a key, by which a lease is compared.
pub type Lease = [u8; crate::envelope::SEAL_BYTES];

/// What is ready after a change.
pub type Watch = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A store of bytes that processes share.
///
/// It offers the least that the cache's protocol needs; what the bytes mean is the cache's affair. Each
/// method is one round trip. A *generation* is a number under a tag's name. A store may forget anything
/// at any time.
#[async_trait]
pub trait RemoteStore: fmt::Debug + Send + Sync + 'static {
    /// What lies under each key, and the generation of each tag.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// It changes nothing.
    async fn read(&self, keys: &[String], tags: &[String]) -> Result<Reading, StoreError>;

    /// The first `bytes` bytes of what lies under each key. An empty answer may stand for no value.
    ///
    /// By default it reads all of them.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// It changes nothing.
    async fn heads(
        &self,
        keys: &[String],
        bytes: usize,
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let mut values = self.read(keys, &[]).await?.values;
        for value in values.iter_mut().flatten() {
            value.truncate(bytes);
        }
        Ok(values)
    }

    /// For each request, puts its lease under its key if nothing lies there, or no bytes, or what begins
    /// with `replacing`. Creates generations that do not exist, and returns all of them.
    ///
    /// The store drops a lease after `hold`. The generations are those from before the lease's holder
    /// begins to load. Requests need not be one atomic step together.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked. Whether it acted is then unknown.
    ///
    /// # Cancel safety
    ///
    /// Leases may be left behind, which the store drops after `hold`.
    async fn lease(
        &self,
        requests: &[LeaseRequest<'_>],
        hold: Duration,
        tags: &[(String, u64)],
    ) -> Result<Leased, StoreError>;

    /// For each settlement, replaces its lease by its value, or removes it, if it still lies under its
    /// key; says for each whether it did.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked. Whether it acted is then unknown.
    ///
    /// # Cancel safety
    ///
    /// Whether it acted is unknown.
    async fn settle(&self, settlements: &[Settlement<'_>]) -> Result<Vec<bool>, StoreError>;

    /// Listens to `key`: what it returns is ready when a lease under the key was settled afterwards, or
    /// might have been.
    ///
    /// By default it is none, and who waits for a lease looks again now and then.
    ///
    /// # Errors
    ///
    /// When the store cannot be listened to.
    ///
    /// # Cancel safety
    ///
    /// It changes nothing.
    async fn watch(&self, key: &str) -> Result<Option<Watch>, StoreError> {
        let _ = key;
        Ok(None)
    }

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

    /// Removes whatever lies under these keys, leases included.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked. Whether it acted is then unknown.
    ///
    /// # Cancel safety
    ///
    /// Whether it acted is unknown.
    async fn remove(&self, keys: &[String]) -> Result<(), StoreError>;

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

    /// One step of a walk over the keys that match, from `position` on; a walk begins at 0.
    ///
    /// A key that is there for the whole walk comes up at least once. For administrators: it may look at
    /// every key of the store.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// It changes nothing.
    async fn scan(&self, pattern: &Pattern, position: u64) -> Result<Scanned, StoreError>;

    /// What the store tells of itself.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// It changes nothing.
    async fn info(&self) -> Result<StoreInfo, StoreError>;
}

/// What a store holds at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// What lies under each key asked for, in that order.
    pub values: Vec<Option<Vec<u8>>>,
    /// The generation of each tag asked for, in that order.
    pub generations: Vec<Option<u64>>,
}

/// A wish to be the one who loads a key.
#[derive(Clone, Copy, Debug)]
pub struct LeaseRequest<'a> {
    /// The key.
    pub key: &'a str,
    /// What to put under it.
    pub lease: Lease,
    /// What it may replace: something that begins so. Empty: nothing that has bytes.
    pub replacing: &'a [u8],
}

/// What became of requests for leases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leased {
    /// Whether each was granted.
    pub granted: Vec<bool>,
    /// The generation of each tag.
    pub generations: Vec<u64>,
}

/// The end of a lease.
#[derive(Clone, Copy, Debug)]
pub struct Settlement<'a> {
    /// The key.
    pub key: &'a str,
    /// What must still lie under it.
    pub lease: Lease,
    /// What replaces the lease, and for how long; nothing removes it.
    pub value: Option<(&'a [u8], Duration)>,
}

/// A step of a walk over keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Keys that match; one may come up twice in a walk.
    pub keys: Vec<String>,
    /// Where the next step begins, unless the walk has ended.
    pub next: Option<u64>,
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
