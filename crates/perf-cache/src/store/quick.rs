use super::{Capacity, Displaced, LocalStore};
use crate::Entry;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};
use std::borrow::Borrow;
use std::cell::Cell;
use std::fmt;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

/// The default engine: a sharded S3-FIFO of the `quick_cache` crate.
///
/// A tenth of its room is for new entries and it remembers as many evicted keys as it holds. Of the
/// settings tried on real traces, this one stayed closest to the best policy of each.
///
/// Its room is divided among shards, four for each core, and at most 16 where it weighs entries. One
/// that weighs more than nine tenths of a shard's room is declined; a twentieth of the limit is held on
/// every machine.
pub struct QuickStore<K, V> {
    cache: Cache<K, Entry<V>, Weights<K, V>, DefaultHashBuilder, Collect>,
    capacity: Capacity<K, V>,
    /// What the heaviest entry weighs that a shard takes.
    heaviest: u64,
}

/// The share of the room kept for entries that proved themselves.
const HOT: f64 = 0.9;
/// Evicted keys remembered, as a share of the entries held.
const GHOSTS: f64 = 1.0;
/// More of them would take fewer large entries, fewer would slow down writers on many cores.
const MAX_WEIGHING_SHARDS: usize = 16;

impl<K, V> LocalStore<K, V> for QuickStore<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn with_capacity(capacity: Capacity<K, V>) -> Self {
        let cores = available_parallelism().map_or(1, NonZeroUsize::get);
        let entries = capacity.typical_entries();
        let options = OptionsBuilder::new()
            .shards(shards(&capacity, cores))
            .estimated_items_capacity(usize::try_from(entries).unwrap_or(usize::MAX))
            .weight_capacity(capacity.limit())
            .hot_allocation(HOT)
            .ghost_allocation(GHOSTS)
            .build()
            .expect("both capacities are set");
        let cache = Cache::with_options(
            options,
            Weights(capacity.clone()),
            DefaultHashBuilder::default(),
            Collect,
        );
        Self {
            heaviest: (cache.shard_capacity() / 10 * 9).max(1),
            cache,
            capacity,
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

    fn peek<Q>(&self, key: &Q) -> Option<Entry<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.cache.peek(key)
    }

    fn insert(&self, key: K, entry: Entry<V>) -> Displaced<K, V> {
        if self.capacity.weigh(&key, entry.value()) > self.heaviest {
            return Displaced::declined(self.cache.remove(&key));
        }
        let replaces = self.cache.contains_key(&key);
        let mut entries = Vec::new();
        self.cache.insert_with_lifecycle(key, entry, &mut entries);
        // The engine reports a replaced entry as it does an evicted one.
        let evicted = entries.len().saturating_sub(usize::from(replaces));
        Displaced::new(entries, u64::try_from(evicted).unwrap_or(u64::MAX))
    }

    fn remove<Q>(&self, key: &Q) -> Option<Entry<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.cache.remove(key).map(|(_, entry)| entry)
    }

    fn remove_if(&self, is_meant: &dyn Fn(&K) -> bool) -> u64 {
        let removed = Cell::new(0);
        self.cache.retain(|key, _| {
            let is_meant = is_meant(key);
            removed.set(removed.get() + u64::from(is_meant));
            !is_meant
        });
        removed.get()
    }

    fn clear(&self) {
        self.cache.clear();
    }

    fn len(&self) -> u64 {
        u64::try_from(self.cache.len()).unwrap_or(u64::MAX)
    }

    fn weight(&self) -> u64 {
        self.cache.weight()
    }
}

impl<K, V> fmt::Debug for QuickStore<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuickStore").finish_non_exhaustive()
    }
}

fn shards<K, V>(capacity: &Capacity<K, V>, cores: usize) -> usize {
    let most = match capacity {
        Capacity::Entries(_) => usize::MAX,
        Capacity::Weight { .. } => MAX_WEIGHING_SHARDS,
    };
    cores.saturating_mul(4).min(most)
}

struct Weights<K, V>(Capacity<K, V>);

impl<K, V> Clone for Weights<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, V> Weighter<K, Entry<V>> for Weights<K, V> {
    #[inline]
    fn weight(&self, key: &K, entry: &Entry<V>) -> u64 {
        // The engine never evicts what weighs nothing.
        self.0.weigh(key, entry.value()).max(1)
    }
}

/// Hands displaced entries to the caller instead of dropping them under a lock.
#[derive(Clone)]
struct Collect;

impl<K, V> Lifecycle<K, Entry<V>> for Collect {
    type RequestState = Vec<(K, Entry<V>)>;

    fn on_evict(&self, displaced: &mut Self::RequestState, key: K, entry: Entry<V>) {
        displaced.push((key, entry));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn the_heaviest_entry_does_not_depend_on_the_number_of_cores() {
        for cores in [4, 64, 1_024] {
            assert_eq!(shards(&Capacity::<(), ()>::Entries(9), cores), cores * 4);
            let weighed = Capacity::<(), ()>::Weight {
                limit: 64 << 20,
                weigher: Arc::new(|(), ()| 1),
            };
            assert_eq!(shards(&weighed, cores), MAX_WEIGHING_SHARDS);
        }
    }
}
