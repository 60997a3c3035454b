//! The near tier: a store, the loads in progress, and the fence that keeps old results out.
//!
//! # Why no invalidation is lost
//!
//! A load takes time, and whoever changes the data meanwhile invalidates a key that is not there yet. If
//! the load then publishes what it read before the change, the old value stays until it expires. Here a
//! publication is conditional:
//!
//! - A load registers a [`Flight`] under its key and notes the fence's stamp *before* it reads anything.
//! - `insert` and `remove` of a key take the flight out of the register, under the lock of the key's
//!   shard, and only then touch the store.
//! - Publication holds the same lock, and happens only while the register holds this very flight.
//! - An insertion that goes through the far tier first registers as a writer there, and is kept near only if
//!   it is still registered afterwards.
//! - A tag or a clear moves the fence and looks for nobody: the published entry carries the stamp of its
//!   load, and every hit compares it.
//! - A caller joins a flight only if that knows all tags the caller names; the value would lose the
//!   others. Otherwise it takes the flight's place, with the tags of both, so that callers with
//!   different tags do not load in turns.
//!
//! So a load that was overtaken gives its value to those who had joined it and leaves no trace. Who
//! comes later finds no flight, or one that the fence no longer admits, and loads anew. No epoch is kept
//! per key: memory is proportional to loads in progress.

use crate::entry::Entry;
use crate::expiry::Tick;
use crate::fence::{Fence, Stamp};
use crate::flight::{Flight, Flights, Passage, Rest};
use crate::store::{Displaced, LocalStore};
use crate::tags::Slots;
use crate::versions::{Version, Versions};
use std::borrow::Borrow;
use std::cell::RefCell;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct NearTier<K, V, S> {
    store: S,
    pub(crate) fence: Fence,
    flights: Flights<K, V>,
    /// Which writing of its key each entry is, where the far tier can be asked whether it still stands.
    versions: Versions,
    value: PhantomData<fn() -> V>,
}

/// What a caller who missed does next.
#[derive(Debug)]
pub(crate) enum Boarding<K, V> {
    /// Another load published in the meantime.
    Hit(Entry<V>),
    /// Someone loads this key, and the sequence stood there when this caller came: wait with them.
    Joins(Arc<Flight<V>>, Stamp),
    /// Nobody does: start the load of this flight. The key is a copy for it, made before the flight was
    /// registered: nothing that may fail stands between that and the start.
    Leads(Arc<Flight<V>>, K),
    /// The last load failed a short while ago: be content with what there is.
    Rests,
}

/// What became of a load's result.
#[derive(Debug)]
pub(crate) enum Publication<K, V> {
    Kept(Displaced<K, V>),
    /// A later write or invalidation forbids it, or a load with more tags took its place.
    Refused,
}

impl<K, V, S> NearTier<K, V, S>
where
    K: Hash + Eq + Clone,
    V: Clone,
    S: LocalStore<K, V>,
{
    pub(crate) fn new(store: S, versions: Versions) -> Self {
        Self {
            store,
            versions,
            fence: Fence::new(),
            flights: Flights::new(),
            value: PhantomData,
        }
    }

    /// The value of `key`, if it is fresh.
    #[inline(always)]
    pub(crate) fn fresh<Q>(&self, key: &Q, now: Tick) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let entry = self.store.get(key)?;
        entry.is_fresh(now, &self.fence).then(|| entry.into_value())
    }

    /// The entry of `key`, if it is fresh, not counted as a use.
    pub(crate) fn peek<Q>(&self, key: &Q, now: Tick) -> Option<Entry<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let entry = self.store.peek(key)?;
        entry.is_fresh(now, &self.fence).then_some(entry)
    }

    /// The entry of `key`, fresh or not, unless it was invalidated; and whether it is in doubt.
    pub(crate) fn kept<Q>(&self, key: &Q) -> Option<(Entry<V>, bool)>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let entry = self.store.peek(key)?;
        let is_doubted = entry.is_doubted(&self.fence);
        (is_doubted || entry.is_admitted(&self.fence)).then_some((entry, is_doubted))
    }

    /// Puts every entry in doubt: none is served as current before it is confirmed.
    pub(crate) fn doubt(&self) {
        if self.fence.doubt_all() {
            self.renew();
        }
    }

    /// The keys of the entries that are in doubt. It looks at every entry.
    pub(crate) fn doubted_keys(&self) -> Vec<K> {
        let keys = RefCell::new(Vec::new());
        self.store.remove_if(&|key| {
            keys.borrow_mut().push(key.clone());
            false
        });
        let mut keys = keys.into_inner();
        keys.retain(|key| self.kept(key).is_some_and(|(_, is_doubted)| is_doubted));
        keys
    }

    /// Takes the entry of `key` out of doubt if it is the writing `version`, which stood in the far tier
    /// after `stamp`.
    pub(crate) fn confirm(
        &self,
        key: &K,
        version: Version,
        stamp: Stamp,
    ) -> Option<Displaced<K, V>> {
        let _lane = self.flights.lane(key).lock();
        let (entry, is_doubted) = self.kept(key)?;
        let stands = is_doubted && self.versions.of(key) == Some(version);
        stands.then(|| self.store.insert(key.clone(), entry.reborn(stamp.born())))
    }

    /// Joins the load of `key` or registers a new one, unless the caller may rest and the key does.
    pub(crate) fn board(&self, key: &K, slots: Slots, now: Tick, may_rest: bool) -> Boarding<K, V> {
        let mut lane = self.flights.lane(key).lock();
        if let Some(entry) = self.peek(key, now) {
            return Boarding::Hit(entry);
        }
        if may_rest && lane.is_resting(key, now) {
            return Boarding::Rests;
        }
        let flights = &mut lane.flights;
        let mut all = slots;
        // One that has landed and still stands here was left behind by a panic.
        if let Some(passage) = flights
            .get_mut(key)
            .filter(|passage| !passage.flight.has_landed())
        {
            let Flight {
                stamp,
                slots: theirs,
                ..
            } = *passage.flight;
            if slots.are_within(theirs)
                && self.fence.admits_load(stamp, theirs)
                && self.fence.admits_load(stamp, slots)
            {
                passage.waiting += 1;
                return Boarding::Joins(Arc::clone(&passage.flight), self.fence.stamp());
            }
            all = slots.with(theirs).unwrap_or(slots);
        }
        let flight = Arc::new(Flight::new(self.fence.stamp(), all));
        let passage = Passage {
            flight: Arc::clone(&flight),
            waiting: 1,
        };
        let own = key.clone();
        flights.insert(key.clone(), passage);
        Boarding::Leads(flight, own)
    }

    /// One who waited for `flight` has left; `true` if nobody is left and nobody can join any more.
    pub(crate) fn leave(&self, key: &K, flight: &Arc<Flight<V>>) -> bool {
        let mut lane = self.flights.lane(key).lock();
        let Some(passage) = lane.flights.get_mut(key) else {
            return false;
        };
        if !Arc::ptr_eq(&passage.flight, flight) {
            return false;
        }
        passage.waiting -= 1;
        passage.waiting == 0 && lane.flights.remove(key).is_some()
    }

    /// Ends `flight` with a value, kept if nothing overtook it.
    pub(crate) fn publish(
        &self,
        key: &K,
        flight: &Arc<Flight<V>>,
        entry: Entry<V>,
        version: Option<Version>,
    ) -> Publication<K, V> {
        let mut lane = self.flights.lane(key).lock();
        if !lane.retire(key, flight) || !self.fence.admits_load(flight.stamp, entry.slots()) {
            return Publication::Refused;
        }
        lane.resting.remove(key);
        self.versions.note(key, version);
        Publication::Kept(self.store.insert(key.clone(), entry))
    }

    /// Ends `flight` without a value kept. Its key then rests for a while, if that is asked for, nothing
    /// overtook the load, and the store holds a value to serve meanwhile: a source that is down must not
    /// make this remember every key that is asked for.
    pub(crate) fn abandon(&self, key: &K, flight: &Arc<Flight<V>>, rest: Option<Rest>) {
        let mut lane = self.flights.lane(key).lock();
        if lane.retire(key, flight)
            && let Some(rest) = rest
            && self.store.peek(key).is_some()
        {
            lane.rest(key.clone(), rest);
        }
    }

    /// Whether a caller who joined `flight` when the sequence stood at `joined` may take its value. The
    /// tags are known only now: one of them may have been invalidated before the caller came.
    pub(crate) fn admits_joiner(&self, flight: &Flight<V>, joined: Stamp, slots: Slots) -> bool {
        joined == flight.stamp || self.fence.admits_load(flight.stamp, slots)
    }

    /// What an insertion notes before it begins.
    pub(crate) fn stamp(&self) -> Stamp {
        self.fence.stamp()
    }

    /// Keeps `entry`, whatever is being loaded.
    pub(crate) fn insert(&self, key: K, entry: Entry<V>) -> Displaced<K, V> {
        let mut lane = self.flights.lane(&key).lock();
        lane.forget(&key);
        self.versions.note(&key, None);
        self.store.insert(key, entry)
    }

    /// Gives up the entry of `key` and whatever is being loaded, and registers a writer of it.
    pub(crate) fn begin_write(&self, key: &K) -> (u64, Option<Entry<V>>) {
        let number = fastrand::u64(..);
        let mut lane = self.flights.lane(key).lock();
        lane.forget(key);
        lane.writers.insert(key.clone(), number);
        (number, self.store.remove(key))
    }

    /// Ends a writer. Its entry is kept if no other writer and no invalidation came after it.
    pub(crate) fn end_write(
        &self,
        key: &K,
        number: u64,
        entry: Option<Entry<V>>,
        version: Option<Version>,
    ) -> Option<Displaced<K, V>> {
        let mut lane = self.flights.lane(key).lock();
        if lane.writers.get(key) != Some(&number) {
            return None;
        }
        lane.forget(key);
        let entry = entry?;
        self.versions.note(key, version);
        Some(self.store.insert(key.clone(), entry))
    }

    /// Gives up the entry of `key` and whatever is being loaded.
    pub(crate) fn remove<Q>(&self, key: &Q) -> Option<Entry<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let mut lane = self.flights.lane(key).lock();
        lane.forget(key);
        self.store.remove(key)
    }

    /// Gives up the entries of all keys that are meant and whatever is being loaded for them. Loads that
    /// begin meanwhile see what there is now: the flights of the others are gone before the entries are.
    pub(crate) fn remove_if(&self, is_meant: &dyn Fn(&K) -> bool) -> u64 {
        self.flights.forget_if(is_meant);
        self.store.remove_if(is_meant)
    }

    /// Invalidates every entry with a tag in this slot.
    pub(crate) fn move_slot(&self, slot: u16) {
        if self.fence.move_slot(slot) {
            self.renew();
        }
    }

    /// Invalidates every entry.
    pub(crate) fn clear(&self) {
        if self.fence.move_all() {
            self.fence.renew();
        }
        self.store.clear();
    }

    pub(crate) const fn store(&self) -> &S {
        &self.store
    }

    fn renew(&self) {
        self.fence.renew();
        self.store.clear();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::expiry::Expiry;
    use crate::store::{Capacity, QuickStore};
    use perf_core::Moment;
    use std::time::Duration;

    #[test]
    fn a_key_rests_only_while_there_is_a_value_to_serve() {
        let now = Tick::of(Moment::ORIGIN);
        let later = Moment::ORIGIN.saturating_add(Duration::from_secs(30));
        let rest = Rest {
            now,
            until: Tick::of(later),
        };
        let near: NearTier<u64, (), _> = NearTier::new(
            QuickStore::with_capacity(Capacity::Entries(8)),
            Versions::none(),
        );
        let expiry = Expiry::after(Moment::ORIGIN, Duration::from_secs(1), 0.0, 0.0);
        let entry = Entry::new((), near.stamp().born(), expiry, Slots::NONE);
        drop(near.insert(0, entry));
        let overdue = Tick::of(Moment::ORIGIN.saturating_add(Duration::from_secs(2)));
        for key in 0..1_000 {
            let Boarding::Leads(flight, _) = near.board(&key, Slots::NONE, overdue, true) else {
                panic!("nobody loads {key}");
            };
            near.abandon(&key, &flight, Some(rest));
            let lane = near.flights.lane(&key).lock();
            assert_eq!(lane.is_resting(&key, overdue), key == 0, "key {key}");
        }
    }
}
