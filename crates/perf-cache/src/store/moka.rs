use super::{Capacity, Displaced, LocalStore};
use crate::Entry;
use moka::notification::RemovalCause;
use moka::sync::Cache;
use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// An engine on the `moka` crate: TinyLFU over a segmented LRU.
///
/// It keeps what is asked for most often longer than [`QuickStore`](super::QuickStore) does, and what
/// was asked for last shorter; its hits cost several times as much. It serves as storage only: loads and
/// invalidations are the cache's own. Its evictions happen, and are counted, some time after the
/// insertion that caused them. It declines what weighs more than the whole limit.
pub struct MokaStore<K, V> {
    cache: Cache<K, Entry<V>, ahash::RandomState>,
    capacity: Capacity<K, V>,
    evicted: Arc<AtomicU64>,
}

impl<K, V> LocalStore<K, V> for MokaStore<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn with_capacity(capacity: Capacity<K, V>) -> Self {
        let evicted = Arc::new(AtomicU64::new(0));
        let listener = {
            let evicted = Arc::clone(&evicted);
            move |_, _, cause| {
                if cause == RemovalCause::Size {
                    evicted.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        let builder = Cache::builder()
            .max_capacity(capacity.limit())
            .eviction_listener(listener);
        let builder = match capacity.clone() {
            Capacity::Entries(_) => builder,
            // The engine counts in 32 bits: what weighs more than 4 GiB weighs that.
            Capacity::Weight { weigher, .. } => builder.weigher(move |key, entry: &Entry<V>| {
                u32::try_from(weigher(key, entry.value())).unwrap_or(u32::MAX)
            }),
        };
        Self {
            cache: builder.build_with_hasher(ahash::RandomState::new()),
            capacity,
            evicted,
        }
    }

    #[inline]
    fn get<Q>(&self, key: &Q) -> Option<Entry<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.cache.get(key)
    }

    /// The engine has no look without use.
    fn peek<Q>(&self, key: &Q) -> Option<Entry<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.cache.get(key)
    }

    fn insert(&self, key: K, entry: Entry<V>) -> Displaced<K, V> {
        if self.capacity.weigh(&key, entry.value()) > self.capacity.limit() {
            let replaced = self.cache.remove(&key);
            return Displaced::declined(replaced.map(|replaced| (key, replaced)));
        }
        self.cache.insert(key, entry);
        Displaced::new(Vec::new(), self.evicted.swap(0, Ordering::Relaxed))
    }

    fn remove<Q>(&self, key: &Q) -> Option<Entry<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.cache.remove(key)
    }

    fn remove_if(&self, is_meant: &dyn Fn(&K) -> bool) -> u64 {
        let keys = self.cache.iter().map(|(key, _)| key);
        let removed = keys
            .filter(|key| is_meant(key))
            .filter_map(|key| self.cache.remove(&*key));
        u64::try_from(removed.count()).unwrap_or(u64::MAX)
    }

    fn clear(&self) {
        self.cache.invalidate_all();
    }

    fn len(&self) -> u64 {
        self.cache.run_pending_tasks();
        self.cache.entry_count()
    }

    fn weight(&self) -> u64 {
        self.cache.weighted_size()
    }
}

impl<K, V> fmt::Debug for MokaStore<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MokaStore").finish_non_exhaustive()
    }
}
