//! The near tier as the loom model sees it: one key, one tag, no time.

use crate::Source;
use crate::entry::Entry;
use crate::expiry::{Expiry, Tick};
use crate::fence::Stamp;
use crate::flight::{Flight, Landed, Outcome};
use crate::near::{Boarding, NearTier};
use crate::store::{Capacity, Displaced, LocalStore};
use crate::sync::Mutex;
use crate::tags::Slots;
use crate::versions::Versions;
use perf_core::Moment;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

/// One key's cache.
#[derive(Debug)]
pub struct Model(NearTier<u8, u64, MapStore<u8, u64>>);

/// A load that was begun or joined.
#[derive(Debug)]
pub struct Load(Arc<Flight<u64>>, Stamp);

/// What a caller who wants the value does next.
#[derive(Debug)]
pub enum Begun {
    /// It has it.
    Found(u64),
    /// It waits for another's load.
    Joined(Load),
    /// It loads.
    Leads(Load),
}

const KEY: u8 = 1;
const TAG: u16 = 1;
const SLOTS: Slots = Slots([TAG, 0, 0]);

impl Model {
    /// An empty cache.
    pub fn new() -> Self {
        let store = MapStore::with_capacity(Capacity::Entries(1));
        Self(NearTier::new(store, Versions::none()))
    }

    /// A hit's value.
    pub fn read(&self) -> Option<u64> {
        self.0.fresh(&KEY, now())
    }

    /// Joins the load or leads one.
    pub fn begin(&self) -> Begun {
        match self.0.board(&KEY, SLOTS, now(), false) {
            Boarding::Hit(entry) => Begun::Found(entry.into_value()),
            Boarding::Joins(flight, joined) => Begun::Joined(Load(flight, joined)),
            Boarding::Leads(flight, _) => {
                let stamp = flight.stamp;
                Begun::Leads(Load(flight, stamp))
            }
            Boarding::Rests => unreachable!("nobody asked for rest"),
        }
    }

    /// Ends a load that one leads.
    pub fn publish(&self, load: &Load, value: u64) {
        let entry = entry(value, load.0.stamp);
        let _publication = self.0.publish(&KEY, &load.0, entry, None);
        let source = Source::Loaded;
        let slots = SLOTS;
        load.0.finish(Outcome::Landed(Landed {
            value,
            source,
            slots,
        }));
    }

    /// What one who joined a load takes from it, if it has ended.
    pub fn take(&self, load: &Load) -> Option<u64> {
        // The outcome is no primitive of the model's: let the others go on before it is looked at.
        loom::thread::yield_now();
        match load.0.outcome()? {
            Outcome::Landed(landed) if self.0.admits_joiner(&load.0, load.1, landed.slots) => {
                Some(landed.value)
            }
            _ => None,
        }
    }

    /// A write through the cache.
    pub fn insert(&self, value: u64) {
        let entry = entry(value, self.0.stamp());
        let _displaced = self.0.insert(KEY, entry);
    }

    /// Forgets the key.
    pub fn invalidate(&self) {
        let _forgotten = self.0.remove(&KEY);
    }

    /// Forgets the tag.
    pub fn invalidate_tag(&self) {
        self.0.move_slot(TAG);
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.0.clear();
    }
}

fn now() -> Tick {
    Tick::of(Moment::ORIGIN)
}

fn entry(value: u64, stamp: Stamp) -> Entry<u64> {
    let expiry = Expiry::after(Moment::ORIGIN, Duration::from_secs(60), 0.0, 0.0);
    Entry::new(value, stamp.born(), expiry, SLOTS)
}

#[derive(Debug)]
struct MapStore<K, V>(Mutex<HashMap<K, Entry<V>>>);

impl<K, V> LocalStore<K, V> for MapStore<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn with_capacity(_: Capacity<K, V>) -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    fn get<Q>(&self, key: &Q) -> Option<Entry<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.lock().get(key).cloned()
    }

    fn peek<Q>(&self, key: &Q) -> Option<Entry<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.get(key)
    }

    fn insert(&self, key: K, entry: Entry<V>) -> Displaced<K, V> {
        self.0.lock().insert(key, entry);
        Displaced::new(Vec::new(), 0)
    }

    fn remove<Q>(&self, key: &Q) -> Option<Entry<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.lock().remove(key)
    }

    fn remove_if(&self, is_meant: &dyn Fn(&K) -> bool) -> u64 {
        let mut entries = self.0.lock();
        let before = entries.len();
        entries.retain(|key, _| !is_meant(key));
        u64::try_from(before - entries.len()).unwrap_or(u64::MAX)
    }

    fn clear(&self) {
        self.0.lock().clear();
    }

    fn len(&self) -> u64 {
        0
    }

    fn weight(&self) -> u64 {
        0
    }
}
