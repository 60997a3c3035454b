use crate::Entry;
use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

/// A bounded map from keys to entries, shared by threads.
///
/// It decides what to evict and nothing else: expiry, invalidation and single-flight stand above it. It
/// may drop an entry at any time. After [`remove`](LocalStore::remove) or a newer
/// [`insert`](LocalStore::insert) returned, no thread may read the older entry again.
pub trait LocalStore<K, V>: Send + Sync + 'static {
    /// An empty store of that size.
    fn with_capacity(capacity: Capacity<K, V>) -> Self;

    /// The entry of `key`, counted as a use of it.
    fn get<Q>(&self, key: &Q) -> Option<Entry<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized;

    /// The entry of `key`, not counted as a use of it.
    fn peek<Q>(&self, key: &Q) -> Option<Entry<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized;

    /// Keeps `entry` under `key`, replacing what was there even when it declines the new one.
    ///
    /// What it gives up is handed back, so that values are dropped after the caller's locks are.
    fn insert(&self, key: K, entry: Entry<V>) -> Displaced<K, V>;

    /// Gives up the entry of `key`.
    fn remove<Q>(&self, key: &Q) -> Option<Entry<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized;

    /// Gives up all entries whose key `is_meant`, and says how many. It may look at every entry.
    fn remove_if(&self, is_meant: &dyn Fn(&K) -> bool) -> u64;

    /// Gives up all entries.
    fn clear(&self);

    /// How many entries it holds, expired ones included. It may lag.
    fn len(&self) -> u64;

    /// Whether it holds nothing.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What its entries weigh, in the unit of its capacity. It may lag.
    fn weight(&self) -> u64;
}

/// What an insertion pushed out.
#[derive(Debug)]
#[non_exhaustive]
pub struct Displaced<K, V> {
    /// Entries given up, the replaced one included; a store that cannot tell leaves it empty.
    pub entries: Vec<(K, Entry<V>)>,
    /// How many entries were given up for lack of room.
    pub evicted: u64,
    /// Whether the new entry was declined: it is heavier than the store ever holds.
    pub declined: bool,
}

impl<K, V> Displaced<K, V> {
    /// `entries` were given up, `evicted` of them for lack of room.
    #[must_use]
    pub const fn new(entries: Vec<(K, Entry<V>)>, evicted: u64) -> Self {
        Self {
            entries,
            evicted,
            declined: false,
        }
    }

    /// The new entry was declined, and what it was to replace given up.
    #[must_use]
    pub fn declined(replaced: Option<(K, Entry<V>)>) -> Self {
        Self {
            declined: true,
            ..Self::new(replaced.into_iter().collect(), 0)
        }
    }
}

/// A guess at the weight of an entry, which only sizes tables.
const TYPICAL_BYTES: u64 = 1_024;

/// What an entry weighs: a function of key and value that always says the same of the same entry.
pub type Weigher<K, V> = Arc<dyn Fn(&K, &V) -> u64 + Send + Sync>;

/// How much a store holds.
#[non_exhaustive]
pub enum Capacity<K, V> {
    /// That many entries.
    Entries(u64),
    /// Entries of that weight in total, usually in bytes.
    Weight {
        /// The most that all entries may weigh.
        limit: u64,
        /// What one entry weighs.
        weigher: Weigher<K, V>,
    },
}

impl<K, V> Capacity<K, V> {
    /// The limit in the capacity's own unit.
    #[must_use]
    pub const fn limit(&self) -> u64 {
        match self {
            Self::Entries(limit) | Self::Weight { limit, .. } => *limit,
        }
    }

    /// A guess at how many entries that is.
    pub(crate) fn typical_entries(&self) -> u64 {
        match self {
            Self::Entries(entries) => *entries,
            Self::Weight { limit, .. } => (limit / TYPICAL_BYTES).max(32),
        }
    }

    /// What an entry weighs.
    #[inline]
    #[must_use]
    pub fn weigh(&self, key: &K, value: &V) -> u64 {
        match self {
            Self::Entries(_) => 1,
            Self::Weight { weigher, .. } => weigher(key, value),
        }
    }
}

impl<K, V> Clone for Capacity<K, V> {
    fn clone(&self) -> Self {
        match self {
            Self::Entries(limit) => Self::Entries(*limit),
            Self::Weight { limit, weigher } => Self::Weight {
                limit: *limit,
                weigher: Arc::clone(weigher),
            },
        }
    }
}

impl<K, V> fmt::Debug for Capacity<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entries(limit) => f.debug_tuple("Entries").field(limit).finish(),
            Self::Weight { limit, .. } => f.debug_struct("Weight").field("limit", limit).finish(),
        }
    }
}
