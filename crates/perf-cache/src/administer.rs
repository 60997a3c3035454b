//! What an operator asks of a cache.

use crate::bounds::{Key, Value};
use crate::pattern::Pattern;
use crate::store::{LocalStore, StoreInfo};
use crate::{Cache, CacheError, Receipt};
use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;

impl<K: Key, V: Value, S: LocalStore<K, V>> Cache<K, V, S> {
    /// Forgets every entry with a tag that the builder named for this
    /// [`event`](crate::CacheBuilder::event).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use perf_cache::{Cache, EntryPolicy};
    ///
    /// let pages: Cache<String, &str> = Cache::builder("pages")
    ///     .event("agent_created", ["agents", "dashboard"])
    ///     .build()?;
    /// let policy = EntryPolicy::new().tag("dashboard");
    /// pages.insert_with("home".into(), "12 agents", policy).await?;
    /// pages.invalidate_event("agent_created").await?;
    /// assert_eq!(pages.get("home").await, None);
    /// assert!(pages.invalidate_event("agent_retired").await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`CacheError::UnknownEvent`], and those of [`invalidate_tags`](Cache::invalidate_tags).
    ///
    /// # Cancel safety
    ///
    /// As [`invalidate_tags`](Cache::invalidate_tags).
    pub async fn invalidate_event(&self, event: &str) -> Result<Receipt, CacheError> {
        self.shared.invalidate_event(event).await
    }

    /// Forgets every key whose displayed form matches, and whatever is being loaded for it: `*` stands
    /// for any text and `\` takes the next character as it is. Returns how many keys the far tier held,
    /// or the near one where there is no other, and tells `progress` the number so far after each batch.
    ///
    /// This is for administrators. It looks at every entry near and every key far, those of others
    /// included: on a Redis of a million keys, a thousand requests. Give entries that go together a tag,
    /// and [`invalidate_tag`](Cache::invalidate_tag) costs one.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use perf_cache::Cache;
    ///
    /// let cache: Cache<String, u64> = Cache::builder("cache").build()?;
    /// cache.insert("agents:7".into(), 7).await?;
    /// cache.insert("users:7".into(), 7).await?;
    /// assert_eq!(cache.delete_pattern("agents:*", |_| {}).await?, 1);
    /// assert_eq!((cache.near("agents:7"), cache.near("users:7")), (None, Some(7)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`CacheError::Closed`]; [`CacheError::Far`] and [`CacheError::FarTimeout`] when it may not have
    /// happened, or happened in part, in the far tier.
    ///
    /// # Cancel safety
    ///
    /// Some of the keys may be gone.
    pub async fn delete_pattern(
        &self,
        pattern: &str,
        progress: impl FnMut(u64) + Send,
    ) -> Result<u64, CacheError>
    where
        K: fmt::Display,
    {
        let pattern = Pattern::new(pattern);
        self.shared.delete_pattern(pattern, progress).await
    }

    /// Forgets `key` near, and whatever is being loaded for it. The far tier is not asked.
    ///
    /// For functions that are not async, over a cache without a far tier.
    pub fn forget<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.shared.counters.invalidations.increment();
        drop(self.shared.near.remove(key));
    }

    /// Forgets every near entry with this tag, and such loads. The far tier is not asked.
    pub fn forget_tag(&self, tag: &str) {
        self.shared.counters.invalidations.increment();
        self.shared.near.move_slot(self.shared.slotting.slot(tag));
    }

    /// Forgets everything near, and all that is being loaded. The far tier is not asked.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), perf_cache::CacheError> {
    /// use perf_cache::Cache;
    ///
    /// let squares: Cache<u64, u64> = Cache::builder("squares").build()?;
    /// squares.insert(3, 9).await?;
    /// squares.forget_all();
    /// assert_eq!(squares.near(&3), None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn forget_all(&self) {
        self.shared.counters.invalidations.increment();
        self.shared.near.clear();
    }

    /// What the far store tells of itself; `None` without one.
    ///
    /// # Errors
    ///
    /// [`CacheError::Far`] and [`CacheError::FarTimeout`].
    ///
    /// # Cancel safety
    ///
    /// It changes nothing.
    pub async fn backend_info(&self) -> Result<Option<StoreInfo>, CacheError> {
        match &self.shared.far {
            Some(far) => far.info().await.map(Some),
            None => Ok(None),
        }
    }
}
