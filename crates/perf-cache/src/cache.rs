use crate::bounds::{Key, Value};
use crate::load::{self, Call, Defaults, Get, GetOrLoad};
use crate::lookup::Lookup;
use crate::shared::Shared;
use crate::stats::CacheStats;
use crate::store::{LocalStore, QuickStore};
use crate::{Batch, CacheBuilder, CacheError, EntryPolicy, LoadError, Receipt};
use perf_core::{Health, Inspect, Registry, Sample};
use std::borrow::{Borrow, Cow};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

/// A cache. Clones share it.
///
/// After [`insert`](Cache::insert), [`invalidate`](Cache::invalidate),
/// [`invalidate_tag`](Cache::invalidate_tag) or [`clear`](Cache::clear) has returned, no later read
/// returns older data, whatever was being loaded meanwhile.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_cache::Cache;
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// async fn query(user: u64) -> Result<Arc<str>, std::io::Error> {
///     Ok(format!("user {user}").into())
/// }
///
/// let users: Cache<u64, Arc<str>> = Cache::builder("users").ttl(Duration::from_secs(60)).build()?;
/// for _ in 0..3 {
///     assert_eq!(&*users.get_or_load(7, async || query(7).await).await?, "user 7");
/// }
/// assert_eq!(users.stats().loads, 1);
/// # Ok(())
/// # }
/// ```
pub struct Cache<K, V, S = QuickStore<K, V>> {
    pub(crate) shared: Arc<Shared<K, V, S>>,
}

impl<K, V> Cache<K, V> {
    /// Begins a cache. Its name tells its figures from those of others.
    pub fn builder(name: impl Into<Cow<'static, str>>) -> CacheBuilder<K, V> {
        CacheBuilder::new(name.into())
    }
}

impl<K: Key, V: Value, S: LocalStore<K, V>> Cache<K, V, S> {
    pub(crate) const fn new(shared: Arc<Shared<K, V, S>>) -> Self {
        Self { shared }
    }

    /// The value of `key`, if a tier holds it fresh. A near hit is ready at the first poll, without an
    /// allocation.
    ///
    /// # Cancel safety
    ///
    /// A look into the far tier goes on and its value is kept.
    pub fn get<'a, Q>(&'a self, key: &'a Q) -> impl Future<Output = Option<V>> + Send + 'a
    where
        K: Borrow<Q>,
        Q: ToOwned<Owned = K> + Hash + Eq + Sync + ?Sized,
    {
        Get::new(self, key)
    }

    /// The value of `key`, or what `load` returns.
    ///
    /// However many callers miss a key at once, one load runs, as a task of its own; the callers wait
    /// for it and share its value or its error. A caller that is dropped does not disturb the load. What
    /// was invalidated while it was being loaded reaches those who called before the invalidation, and
    /// is not kept.
    ///
    /// A value that is near is returned at the first poll, without an allocation.
    ///
    /// # Errors
    ///
    /// [`LoadError::Loader`] with the load's own error; others when the load panicked or took too long,
    /// when the cache is closed, or when there is no tokio runtime to load on.
    ///
    /// # Cancel safety
    ///
    /// The caller stops waiting. The load goes on, unless
    /// [`cancel_policy`](CacheBuilder::cancel_policy) says otherwise and nobody else waits.
    pub fn get_or_load<E, F, Fut>(
        &self,
        key: K,
        load: F,
    ) -> impl Future<Output = Result<V, LoadError<E>>> + Send
    where
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        GetOrLoad::new(self, key, Defaults, load)
    }

    /// As [`get_or_load`](Cache::get_or_load), and what is loaded follows `policy`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use perf_cache::{Cache, EntryPolicy};
    /// use std::convert::Infallible;
    ///
    /// let orders: Cache<u64, u32> = Cache::builder("orders").build()?;
    /// let policy = EntryPolicy::new().tag("user:7");
    /// orders.get_or_load_with(1, policy, async || Ok::<_, Infallible>(100)).await?;
    /// orders.invalidate_tag("user:7").await?;
    /// assert_eq!(orders.get(&1).await, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get_or_load`](Cache::get_or_load); also [`CacheError::TooManyTags`], and
    /// [`CacheError::Setting`] for a tag without a name.
    ///
    /// # Cancel safety
    ///
    /// As [`get_or_load`](Cache::get_or_load).
    pub fn get_or_load_with<E, F, Fut>(
        &self,
        key: K,
        policy: EntryPolicy,
        load: F,
    ) -> impl Future<Output = Result<V, LoadError<E>>> + Send
    where
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        GetOrLoad::new(self, key, policy, load)
    }

    /// As [`get_or_load_with`](Cache::get_or_load_with), with the value's age and source.
    ///
    /// # Errors
    ///
    /// As [`get_or_load_with`](Cache::get_or_load_with).
    ///
    /// # Cancel safety
    ///
    /// As [`get_or_load`](Cache::get_or_load).
    pub async fn lookup_or_load<E, F, Fut>(
        &self,
        key: K,
        policy: EntryPolicy,
        load: F,
    ) -> Result<Lookup<V>, LoadError<E>>
    where
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let shared = &self.shared;
        let tick = shared.settings.time.tick();
        if let Some(entry) = shared.near.peek(&key, tick) {
            shared.counters.reads.hit();
            return Ok(Lookup::near(entry, tick));
        }
        if let Some((entry, left)) = shared.late(&key, tick) {
            shared.counters.reads.hit();
            if shared.refreshes(left) {
                Call::refresh_ahead(Arc::clone(shared), key, policy, load);
            }
            return Ok(Lookup::near(entry, tick));
        }
        shared.counters.reads.miss();
        Call::resolve(Arc::clone(shared), key, policy, load).await
    }

    /// The values of those keys that a tier holds fresh, with at most two round trips to the far tier.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use perf_cache::Cache;
    ///
    /// let users: Cache<u64, &str> = Cache::builder("users").build()?;
    /// users.insert(7, "seven").await?;
    /// let found = users.get_many([7, 8]).await;
    /// assert_eq!(found.len(), 1);
    /// assert_eq!(found[&7], "seven");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// A look into the far tier goes on and its values are kept.
    pub async fn get_many<I>(&self, keys: I) -> HashMap<K, V>
    where
        I: IntoIterator<Item = K, IntoIter: Send> + Send,
    {
        let (mut values, missing) = self.near_many(keys, |key| key);
        if self.shared.far.is_some() && !missing.is_empty() {
            load::fetch(Arc::clone(&self.shared), missing, &mut values).await;
        }
        values
    }

    /// The values of the keys, where `load` returns those that no tier holds and nobody loads.
    ///
    /// The far tier is asked once for all keys, and `load` is called once with all that are missing. It
    /// is called again only for keys whose load elsewhere came to nothing. Each key is fenced by itself:
    /// an invalidation of one refuses its value and no other's. A key that `load` leaves out has neither
    /// value nor error.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use perf_cache::Cache;
    /// use std::collections::{HashMap, HashSet};
    /// use std::convert::Infallible;
    ///
    /// async fn query(users: Vec<u64>) -> Result<HashMap<u64, String>, Infallible> {
    ///     Ok(users.into_iter().map(|user| (user, format!("user {user}"))).collect())
    /// }
    ///
    /// let users: Cache<u64, String> = Cache::builder("users").build()?;
    /// users.insert(1, "known".into()).await?;
    /// let found = users.get_or_load_many([1, 2, 3], query).await.into_result()?;
    /// assert_eq!((&*found[&1], &*found[&2], &*found[&3]), ("known", "user 2", "user 3"));
    /// assert_eq!(users.stats().loads, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// As [`get_or_load`](Cache::get_or_load).
    pub async fn get_or_load_many<E, I, F, Fut>(&self, keys: I, load: F) -> Batch<K, V, E>
    where
        E: Send + Sync + 'static,
        I: IntoIterator<Item = K, IntoIter: Send> + Send,
        F: Fn(Vec<K>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<HashMap<K, V>, E>> + Send + 'static,
    {
        let policy = |_: &K| EntryPolicy::new();
        self.get_or_load_many_with(keys, policy, load).await
    }

    /// As [`get_or_load_many`](Cache::get_or_load_many), and what is loaded follows the policy of its key.
    ///
    /// # Cancel safety
    ///
    /// As [`get_or_load`](Cache::get_or_load).
    pub async fn get_or_load_many_with<E, I, P, F, Fut>(
        &self,
        keys: I,
        policy: P,
        load: F,
    ) -> Batch<K, V, E>
    where
        E: Send + Sync + 'static,
        I: IntoIterator<Item = K, IntoIter: Send> + Send,
        P: Fn(&K) -> EntryPolicy + Send,
        F: Fn(Vec<K>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<HashMap<K, V>, E>> + Send + 'static,
    {
        let (values, missing) = self.near_many(keys, |key| {
            let policy = policy(&key);
            (key, policy)
        });
        let mut batch = Batch::new(values);
        if !missing.is_empty() {
            load::resolve(Arc::clone(&self.shared), missing, load, &mut batch).await;
        }
        batch
    }

    /// What is near, and what `miss` makes of the other keys.
    fn near_many<T>(
        &self,
        keys: impl IntoIterator<Item = K>,
        miss: impl Fn(K) -> T,
    ) -> (HashMap<K, V>, Vec<T>) {
        let keys = keys.into_iter();
        let mut values = HashMap::with_capacity(keys.size_hint().0);
        let (mut missing, mut seen) = (Vec::new(), HashSet::new());
        for key in keys {
            if let Some(value) = self.near(&key) {
                values.insert(key, value);
            } else if seen.insert(key.clone()) {
                self.shared.counters.reads.miss();
                missing.push(miss(key));
            }
        }
        (values, missing)
    }

    /// The value of `key` with its age and source, if a tier holds it fresh. Neither a use of a near
    /// entry nor a request in the figures.
    ///
    /// # Cancel safety
    ///
    /// As [`get`](Cache::get).
    pub async fn lookup<Q>(&self, key: &Q) -> Option<Lookup<V>>
    where
        K: Borrow<Q>,
        Q: ToOwned<Owned = K> + Hash + Eq + Sync + ?Sized,
    {
        if let Some(lookup) = self.peek(key) {
            return Some(lookup);
        }
        self.fetch(key)?.await
    }

    /// Whether a tier holds `key` fresh. Neither a use of a near entry nor a request in the figures.
    ///
    /// # Cancel safety
    ///
    /// As [`get`](Cache::get).
    pub async fn contains<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: ToOwned<Owned = K> + Hash + Eq + Sync + ?Sized,
    {
        self.lookup(key).await.is_some()
    }

    /// Sets the value of `key`. A load of it that is under way will not replace it.
    ///
    /// # Errors
    ///
    /// [`CacheError::Closed`]; [`CacheError::Far`] and [`CacheError::FarTimeout`] when it may not have
    /// happened in the far tier.
    ///
    /// # Cancel safety
    ///
    /// It may or may not have happened. Alone in its process it is ready at the first poll.
    pub async fn insert(&self, key: K, value: V) -> Result<Receipt, CacheError> {
        self.insert_with(key, value, EntryPolicy::new()).await
    }

    /// As [`insert`](Cache::insert), and the entry follows `policy`.
    ///
    /// # Errors
    ///
    /// As [`insert`](Cache::insert); also [`CacheError::TooManyTags`], [`CacheError::Setting`] for a tag
    /// without a name, and with a far tier [`CacheError::KeyTooLong`], [`CacheError::TooLarge`] and [`CacheError::Unencodable`].
    ///
    /// # Cancel safety
    ///
    /// As [`insert`](Cache::insert).
    pub async fn insert_with(
        &self,
        key: K,
        value: V,
        policy: EntryPolicy,
    ) -> Result<Receipt, CacheError> {
        self.shared.insert(key, value, policy).await
    }

    /// Forgets `key`, and whatever is being loaded for it.
    ///
    /// Change the data first, commit, then invalidate: a load that starts between the two is forgotten
    /// as well.
    ///
    /// # Errors
    ///
    /// [`CacheError::Closed`]; [`CacheError::Far`] and [`CacheError::FarTimeout`] when it may not have
    /// happened in the far tier.
    ///
    /// # Cancel safety
    ///
    /// It may or may not have happened. Alone in its process it is ready at the first poll.
    pub async fn invalidate<Q>(&self, key: &Q) -> Result<Receipt, CacheError>
    where
        K: Borrow<Q>,
        Q: ToOwned<Owned = K> + Hash + Eq + Sync + ?Sized,
    {
        self.shared.invalidate(key, || key.to_owned()).await
    }

    /// Forgets every entry with this tag, and such loads. It costs the same for one entry and a million.
    ///
    /// # Errors
    ///
    /// [`CacheError::Closed`]; [`CacheError::Setting`] for a tag without a name; [`CacheError::Far`] and
    /// [`CacheError::FarTimeout`] when it may not have happened in the far tier.
    ///
    /// # Cancel safety
    ///
    /// It may or may not have happened. Alone in its process it is ready at the first poll.
    pub async fn invalidate_tag(&self, tag: &str) -> Result<Receipt, CacheError> {
        self.invalidate_tags([tag]).await
    }

    /// Forgets every entry with at least one of these tags, and such loads.
    ///
    /// # Errors
    ///
    /// [`CacheError::Closed`]; [`CacheError::Setting`] for a tag without a name; [`CacheError::Far`] and
    /// [`CacheError::FarTimeout`] when it may not have happened in the far tier.
    ///
    /// # Cancel safety
    ///
    /// It may or may not have happened. Alone in its process it is ready at the first poll.
    pub async fn invalidate_tags<I>(&self, tags: I) -> Result<Receipt, CacheError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let tags = tags.into_iter().map(|tag| tag.as_ref().into()).collect();
        self.shared.invalidate_tags(tags).await
    }

    /// Forgets everything, and all that is being loaded.
    ///
    /// # Errors
    ///
    /// [`CacheError::Closed`]; [`CacheError::Far`] and [`CacheError::FarTimeout`] when it may not have
    /// happened in the far tier.
    ///
    /// # Cancel safety
    ///
    /// It may or may not have happened. Alone in its process it is ready at the first poll.
    pub async fn clear(&self) -> Result<Receipt, CacheError> {
        self.shared.clear().await
    }

    /// Refuses further writes and loads, waits for the loads that run, and forgets everything. What other
    /// processes have not been told is told them first, if that takes no longer than the window of
    /// [`Coherence`](crate::Coherence).
    ///
    /// # Cancel safety
    ///
    /// The cache stays closed; calling again waits again.
    pub async fn close(&self) {
        self.shared.close().await;
    }

    /// The cache's figures.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        self.shared.stats()
    }

    /// Shows the cache in `registry` for as long as a handle of it lives.
    pub fn register(&self, registry: &Registry) {
        registry.register(&self.shared);
    }

    /// The value of `key` in this process's memory, if it is fresh there. It needs no runtime. Of the
    /// figures it moves `hits` alone.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), perf_cache::CacheError> {
    /// use perf_cache::Cache;
    ///
    /// let cache: Cache<String, u64> = Cache::builder("sizes").build()?;
    /// cache.insert("a.txt".into(), 12).await?;
    /// assert_eq!(cache.near("a.txt"), Some(12));
    /// # Ok(())
    /// # }
    /// ```
    #[inline(always)]
    pub fn near<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.fresh(key).or_else(|| self.late(key))
    }

    /// As [`near`](Cache::near), before the last part of a time to live.
    #[inline(always)]
    pub(crate) fn fresh<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let shared = &*self.shared;
        let value = shared.near.fresh(key, shared.settings.time.tick())?;
        shared.counters.reads.hit();
        Some(value)
    }

    /// As [`near`](Cache::near), in the last part of a time to live.
    #[cold]
    pub(crate) fn late<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let tick = self.shared.settings.time.tick();
        let (entry, _) = self.shared.late(key, tick)?;
        self.shared.counters.reads.hit();
        Some(entry.into_value())
    }

    fn peek<Q>(&self, key: &Q) -> Option<Lookup<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let tick = self.shared.settings.time.tick();
        let entry = self.shared.near.peek(key, tick);
        let late = || Some(self.shared.late(key, tick)?.0);
        let entry = entry.or_else(late)?;
        Some(Lookup::near(entry, tick))
    }
}

impl<K: Key, V: Value, S: LocalStore<K, V>> Inspect for Cache<K, V, S> {
    fn name(&self) -> Cow<'_, str> {
        self.shared.name()
    }

    fn kind(&self) -> &'static str {
        self.shared.kind()
    }

    fn health(&self) -> Health {
        self.shared.health()
    }

    fn samples(&self, samples: &mut Vec<Sample>) {
        Inspect::samples(&*self.shared, samples);
    }
}

impl<K, V, S> Clone for Cache<K, V, S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<K, V, S> fmt::Debug for Cache<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("name", &self.shared.settings.name)
            .finish_non_exhaustive()
    }
}
