//! A load in progress and those who wait for it.

use crate::fence::Stamp;
use crate::sync::Mutex;
use crate::tags::Slots;
use std::any::Any;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, OnceLock};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// How a load ended.
#[derive(Clone, Debug)]
pub(crate) enum Outcome<V> {
    Loaded(V),
    /// Its callers' error type is known to them alone: two call sites may load one key.
    Failed(Arc<dyn Any + Send + Sync>),
    TimedOut,
    Panicked,
    /// The runtime shut down, or everyone who waited has left.
    Aborted,
}

/// One load: begun at `stamp`, with the tags known then.
#[derive(Debug)]
pub(crate) struct Flight<V> {
    pub(crate) stamp: Stamp,
    pub(crate) slots: Slots,
    pub(crate) abort: OnceLock<AbortHandle>,
    outcome: OnceLock<Outcome<V>>,
    landed: Notify,
}

impl<V: Clone> Flight<V> {
    pub(crate) fn new(stamp: Stamp, slots: Slots) -> Self {
        Self {
            stamp,
            slots,
            abort: OnceLock::new(),
            outcome: OnceLock::new(),
            landed: Notify::new(),
        }
    }

    /// Tells everyone who waits. The first outcome stands.
    pub(crate) fn finish(&self, outcome: Outcome<V>) {
        // A flight is finished by its task or, if that was dropped, by the task's guard: never by both.
        let _first = self.outcome.set(outcome);
        self.landed.notify_waiters();
    }

    /// Waits for the outcome.
    pub(crate) async fn landing(&self) -> Outcome<V> {
        loop {
            let landed = self.landed.notified();
            tokio::pin!(landed);
            // Enrol before looking: an outcome that comes between the two must not be missed.
            landed.as_mut().enable();
            if let Some(outcome) = self.outcome.get() {
                return outcome.clone();
            }
            landed.await;
        }
    }
}

/// The loads in progress, by key, in shards.
///
/// Whatever decides whether a load's result may be published happens under its key's shard lock.
#[derive(Debug)]
pub(crate) struct Flights<K, V> {
    hasher: ahash::RandomState,
    shards: Box<[Shard<K, V>]>,
}

/// The flights of one shard.
pub(crate) type InFlight<K, V> = HashMap<K, Passage<V>, ahash::RandomState>;

/// A flight and how many wait for it.
#[derive(Debug)]
pub(crate) struct Passage<V> {
    pub(crate) flight: Arc<Flight<V>>,
    pub(crate) waiting: usize,
}

/// Alone on its cache lines, so that neighbours' locks do not slow each other.
#[derive(Debug)]
#[repr(align(128))]
struct Shard<K, V>(Mutex<InFlight<K, V>>);

const SHARDS: usize = if cfg!(loom) { 1 } else { 32 };

impl<K: Hash + Eq, V> Flights<K, V> {
    pub(crate) fn new() -> Self {
        let hasher = ahash::RandomState::new();
        let shards = (0..SHARDS)
            .map(|_| Shard(Mutex::new(HashMap::with_hasher(hasher.clone()))))
            .collect();
        Self { hasher, shards }
    }

    /// The shard that decides over `key`.
    pub(crate) fn shard<Q: Hash + ?Sized>(&self, key: &Q) -> &Mutex<InFlight<K, V>> {
        let hash = usize::try_from(self.hasher.hash_one(key) >> 32).unwrap_or(0);
        &self.shards[hash % SHARDS].0
    }
}
