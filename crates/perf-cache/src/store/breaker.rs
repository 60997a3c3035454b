use super::StoreInfo;
use super::remote::{LeaseRequest, Leased, Reading, RemoteStore, Scanned, Settlement, StoreError};
use crate::pattern::Pattern;
use async_trait::async_trait;
use perf_breaker::{CircuitBreaker, GuardError};
use perf_core::Transience;
use std::time::Duration;

/// A far store behind a circuit breaker.
///
/// The cache itself leaves a store alone for a second after a failure
/// ([`cool_down`](crate::FarTier::cool_down)), and then lets all its readers try. A breaker judges by
/// rates, lets a few probes through, and can be shared by all caches that use one server. Give it a
/// [`timeout`](perf_breaker::BreakerBuilder::timeout) below the tier's own, or a request that hangs is
/// judged by its age when the cache drops it.
///
/// A refused request is an error that is transient. Invalidations go through the breaker, too, and tell
/// their caller of a refusal.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_breaker::{CircuitBreaker, Hold};
/// use perf_cache::store::{BreakerStore, MemoryStore};
/// use perf_cache::{Cache, CacheError, FarTier};
/// use std::convert::Infallible;
///
/// let breaker = CircuitBreaker::new("cache store");
/// let store = BreakerStore::new(MemoryStore::new(), breaker.clone());
/// let users: Cache<u64, String> = Cache::builder("users").far(FarTier::new(store)).build()?;
///
/// breaker.hold(Hold::Open);
/// let user = users.get_or_load(7, async || Ok::<_, Infallible>("seven".to_owned())).await?;
/// assert_eq!(user, "seven"); // a reader does not notice
/// assert!(matches!(users.invalidate(&7).await, Err(CacheError::Far { .. }))); // a writer is told
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct BreakerStore<S> {
    store: S,
    breaker: CircuitBreaker,
}

impl<S> BreakerStore<S> {
    /// Puts `breaker` before `store`.
    pub const fn new(store: S, breaker: CircuitBreaker) -> Self {
        Self { store, breaker }
    }

    async fn call<T>(
        &self,
        request: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let answer = self.breaker.call(request).await;
        answer.map_err(|error| match error {
            GuardError::Inner(error) => error,
            refusal => {
                let transience = if refusal.is_transient() {
                    Transience::Transient
                } else {
                    Transience::Permanent
                };
                StoreError::new(refusal, transience)
            }
        })
    }
}

#[async_trait]
impl<S: RemoteStore> RemoteStore for BreakerStore<S> {
    async fn read(&self, keys: &[String], tags: &[String]) -> Result<Reading, StoreError> {
        self.call(self.store.read(keys, tags)).await
    }

    async fn lease(
        &self,
        requests: &[LeaseRequest<'_>],
        hold: Duration,
        tags: &[(String, u64)],
    ) -> Result<Leased, StoreError> {
        self.call(self.store.lease(requests, hold, tags)).await
    }

    async fn settle(&self, settlements: &[Settlement<'_>]) -> Result<Vec<bool>, StoreError> {
        self.call(self.store.settle(settlements)).await
    }

    async fn put(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), StoreError> {
        self.call(self.store.put(key, value, ttl)).await
    }

    async fn remove(&self, keys: &[String]) -> Result<(), StoreError> {
        self.call(self.store.remove(keys)).await
    }

    async fn generations(&self, tags: &[(String, u64)]) -> Result<Vec<u64>, StoreError> {
        self.call(self.store.generations(tags)).await
    }

    async fn renew(&self, tags: &[(String, u64)]) -> Result<(), StoreError> {
        self.call(self.store.renew(tags)).await
    }

    async fn scan(&self, pattern: &Pattern, position: u64) -> Result<Scanned, StoreError> {
        self.call(self.store.scan(pattern, position)).await
    }

    async fn info(&self) -> Result<StoreInfo, StoreError> {
        self.call(self.store.info()).await
    }
}
