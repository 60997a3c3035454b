//! A load in progress and those who wait for it.

mod work;

use crate::Source;
use crate::expiry::Tick;
use crate::fence::Stamp;
use crate::sync::Mutex;
use crate::tags::Slots;
use parking_lot::Mutex as OnlyLock;
use std::any::Any;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::future::poll_fn;
use std::hash::Hash;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
pub(crate) use work::Errand;
use work::Work;

/// How a load ended.
#[derive(Clone, Debug)]
pub(crate) enum Outcome<V> {
    Landed(Landed<V>),
    /// The far tier holds nothing, and nobody was there to load.
    Absent,
    /// Its callers' error type is known to them alone: two call sites may load one key.
    Failed(Arc<dyn Any + Send + Sync>),
    TimedOut,
    Panicked,
    /// The runtime shut down, or everyone who waited has left.
    Aborted,
    /// The cache was closed before the load could start.
    Closed,
}

/// A value, where it was found, and the slots of its tags.
#[derive(Clone, Debug)]
pub(crate) struct Landed<V> {
    pub(crate) value: V,
    pub(crate) source: Source,
    pub(crate) slots: Slots,
}

/// Drops a task when all flights that it carries have let it go.
#[derive(Debug)]
pub(crate) struct Tether(AbortHandle);

impl Tether {
    pub(crate) fn new(task: AbortHandle) -> Arc<Self> {
        Arc::new(Self(task))
    }
}

impl Drop for Tether {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One load: begun at `stamp`, with the tags known then. What it loads carries these.
#[derive(Debug)]
pub(crate) struct Flight<V> {
    pub(crate) stamp: Stamp,
    pub(crate) slots: Slots,
    work: Work,
    tether: OnlyLock<Option<Arc<Tether>>>,
    outcome: OnceLock<Outcome<V>>,
    landed: Notify,
}

impl<V: Clone> Flight<V> {
    pub(crate) fn new(stamp: Stamp, slots: Slots) -> Self {
        Self {
            stamp,
            slots,
            work: Work::new(),
            tether: OnlyLock::new(None),
            outcome: OnceLock::new(),
            landed: Notify::new(),
        }
    }

    /// Ties the task to this flight, and to others that it carries.
    pub(crate) fn tie(&self, tether: Arc<Tether>) {
        *self.tether.lock() = Some(tether);
    }

    /// Nobody waits any more: the task is dropped if that is true of all its flights.
    pub(crate) fn let_go(&self) {
        self.work.give_up();
        let tether = self.tether.lock().take();
        drop(tether);
    }

    /// Has its leader do the work, for as long as that concerns nobody else.
    pub(crate) fn carry(&self, errand: Errand) {
        if let Poll::Ready(tether) = self.work.bring(errand) {
            self.tie_to(tether);
        }
    }

    /// Others depend on the work from now on: it becomes a task.
    pub(crate) fn launch(&self) {
        self.tie_to(self.work.launch());
    }

    /// From within the work: goes on as a task.
    pub(crate) async fn becomes_task(&self) {
        self.work.becomes_task().await;
    }

    /// Whether the work is no task.
    pub(crate) fn is_with_leader(&self) -> bool {
        self.work.is_with_leader()
    }

    fn tie_to(&self, tether: Option<Arc<Tether>>) {
        if let Some(tether) = tether {
            self.tie(tether);
        }
    }

    /// Tells everyone who waits. The first outcome stands.
    pub(crate) fn finish(&self, outcome: Outcome<V>) {
        let _first = self.outcome.set(outcome);
        self.landed.notify_waiters();
    }

    pub(crate) fn has_landed(&self) -> bool {
        self.outcome.get().is_some()
    }

    /// The outcome, if it is there.
    pub(crate) fn outcome(&self) -> Option<Outcome<V>> {
        self.outcome.get().cloned()
    }

    /// Waits for the outcome; meanwhile its leader does the work.
    pub(crate) async fn landing(&self) -> Outcome<V> {
        let tether = poll_fn(|context| self.work.poll(context)).await;
        self.tie_to(tether);
        if let Some(outcome) = self.outcome() {
            return outcome;
        }
        loop {
            let landed = self.landed.notified();
            tokio::pin!(landed);
            // Enrol before looking: an outcome that comes between the two must not be missed.
            landed.as_mut().enable();
            if let Some(outcome) = self.outcome() {
                return outcome;
            }
            landed.await;
        }
    }
}

/// The loads in progress, by key, in shards.
///
/// Whatever decides whether a load's result may be published happens under its key's lock.
#[derive(Debug)]
pub(crate) struct Flights<K, V> {
    hasher: ahash::RandomState,
    lanes: Box<[Aligned<K, V>]>,
}

/// Alone on its cache lines, so that neighbours' locks do not slow each other.
#[derive(Debug)]
#[repr(align(128))]
struct Aligned<K, V>(Mutex<Lane<K, V>>);

/// One shard.
#[derive(Debug)]
pub(crate) struct Lane<K, V> {
    pub(crate) flights: HashMap<K, Passage<V>, ahash::RandomState>,
    /// Keys whose last load failed, and until when no other is started while a stale value serves.
    pub(crate) resting: HashMap<K, Tick, ahash::RandomState>,
    /// Keys that are being written through both tiers, each with its last writer's number.
    pub(crate) writers: HashMap<K, u64, ahash::RandomState>,
    /// The number of resting keys at which those that have rested are dropped.
    crowded: usize,
}

/// A flight and how many wait for it.
#[derive(Debug)]
pub(crate) struct Passage<V> {
    pub(crate) flight: Arc<Flight<V>>,
    pub(crate) waiting: usize,
}

/// A pause after a failed load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rest {
    pub(crate) now: Tick,
    pub(crate) until: Tick,
}

const LANES: usize = if cfg!(loom) { 1 } else { 32 };
const MIN_CROWD: usize = 64;

impl<K: Hash + Eq, V> Flights<K, V> {
    pub(crate) fn new() -> Self {
        let hasher = ahash::RandomState::new();
        let lanes = (0..LANES)
            .map(|_| Aligned(Mutex::new(Lane::new(&hasher))))
            .collect();
        Self { hasher, lanes }
    }

    /// Takes out whatever concerns keys that are meant.
    pub(crate) fn forget_if(&self, is_meant: &dyn Fn(&K) -> bool) {
        for Aligned(lane) in &self.lanes {
            let mut lane = lane.lock();
            lane.flights.retain(|key, _| !is_meant(key));
            lane.resting.retain(|key, _| !is_meant(key));
            lane.writers.retain(|key, _| !is_meant(key));
        }
    }

    /// The lane that decides over `key`.
    pub(crate) fn lane<Q: Hash + ?Sized>(&self, key: &Q) -> &Mutex<Lane<K, V>> {
        let hash = usize::try_from(self.hasher.hash_one(key) >> 32).unwrap_or(0);
        &self.lanes[hash % LANES].0
    }
}

impl<K: Hash + Eq, V> Lane<K, V> {
    fn new(hasher: &ahash::RandomState) -> Self {
        Self {
            flights: HashMap::with_hasher(hasher.clone()),
            resting: HashMap::with_hasher(hasher.clone()),
            writers: HashMap::with_hasher(hasher.clone()),
            crowded: MIN_CROWD,
        }
    }

    /// Takes `flight` out, if it still stands there.
    pub(crate) fn retire(&mut self, key: &K, flight: &Arc<Flight<V>>) -> bool {
        let stands = self
            .flights
            .get(key)
            .is_some_and(|passage| Arc::ptr_eq(&passage.flight, flight));
        stands && self.flights.remove(key).is_some()
    }

    /// Takes out whatever concerns `key`.
    pub(crate) fn forget<Q>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.flights.remove(key);
        self.resting.remove(key);
        self.writers.remove(key);
    }

    pub(crate) fn is_resting(&self, key: &K, now: Tick) -> bool {
        self.resting.get(key).is_some_and(|until| *until > now)
    }

    pub(crate) fn rest(&mut self, key: K, rest: Rest) {
        if self.resting.len() >= self.crowded {
            self.resting.retain(|_, until| *until > rest.now);
            self.crowded = MIN_CROWD.max(self.resting.len() * 2);
        }
        self.resting.insert(key, rest.until);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use perf_core::Moment;

    #[test]
    fn keys_that_have_rested_are_not_remembered() {
        let flights = Flights::<u64, ()>::new();
        let at = |seconds| Tick::of(Moment::from_nanos(seconds * 1_000_000_000));
        for key in 0..100_000 {
            let mut lane = flights.lane(&key).lock();
            let rest = Rest {
                now: at(key),
                until: at(key + 10),
            };
            lane.rest(key, rest);
            assert!(lane.is_resting(&key, at(key)));
            assert!(!lane.is_resting(&key, at(key + 11)));
            assert!(lane.resting.len() <= MIN_CROWD, "{}", lane.resting.len());
        }
    }
}
