use crate::breaker::{BreakerBuilder, CircuitBreaker};
use crate::error::ConfigError;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// A part of a registry, behind one lock.
///
/// The breakers stand in a row, so that a hand can go round them as a clock's: a newcomer that finds no
/// room looks at the next few only, and the next newcomer goes on from there.
#[derive(Debug)]
pub(super) struct Shard<K, C> {
    places: HashMap<K, usize, ahash::RandomState>,
    row: Vec<Entry<K, C>>,
    hand: usize,
    capacity: usize,
}

#[derive(Debug)]
struct Entry<K, C> {
    key: K,
    breaker: CircuitBreaker<C>,
    /// Whether it has settings of its own.
    own: bool,
}

pub(super) enum Found<C> {
    There(CircuitBreaker<C>),
    InPlaceOfAnother(CircuitBreaker<C>),
    NoRoom,
}

/// How many breakers a newcomer looks at in search of room.
const LOOKS: usize = 64;

impl<K, C> Shard<K, C> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            places: HashMap::with_hasher(crate::sync::hasher()),
            row: Vec::new(),
            hand: 0,
            capacity,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &CircuitBreaker<C>)> {
        self.row.iter().map(|entry| (&entry.key, &entry.breaker))
    }

    pub(super) const fn len(&self) -> usize {
        self.row.len()
    }
}

impl<K: Clone + Eq + Hash, C: Clone> Shard<K, C> {
    pub(super) fn find<Q>(
        &mut self,
        key: &Q,
        build: impl FnOnce(&K) -> Result<CircuitBreaker<C>, ConfigError>,
        own: bool,
    ) -> Result<Found<C>, ConfigError>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        if let Some(place) = self.places.get(key) {
            return Ok(Found::There(self.row[*place].breaker.clone()));
        }
        let is_full = self.row.len() >= self.capacity;
        if is_full && !self.make_room() {
            return Ok(Found::NoRoom);
        }
        let key = key.to_owned();
        let breaker = build(&key)?;
        self.places.insert(key.clone(), self.row.len());
        self.row.push(Entry {
            key,
            breaker: breaker.clone(),
            own,
        });
        Ok(if is_full {
            Found::InPlaceOfAnother(breaker)
        } else {
            Found::There(breaker)
        })
    }

    /// Its breakers decide by `settings`, but for those that have their own.
    pub(super) fn reconfigure(&self, settings: &BreakerBuilder<C>) {
        for entry in self.row.iter().filter(|entry| !entry.own) {
            entry
                .breaker
                .reconfigure(settings)
                .expect("the settings fit the template that this breaker was built from");
        }
    }

    /// The key's breaker has settings of its own from now on.
    pub(super) fn disown<Q: Eq + Hash + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        if let Some(place) = self.places.get(key) {
            self.row[*place].own = true;
        }
    }

    pub(super) fn evict_fresh(&mut self) -> usize {
        let before = self.row.len();
        for place in (0..before).rev() {
            self.evict_if_fresh(place);
        }
        before - self.row.len()
    }

    fn make_room(&mut self) -> bool {
        for _ in 0..LOOKS.min(self.row.len()) {
            self.hand = if self.hand == 0 {
                self.row.len() - 1
            } else {
                self.hand - 1
            };
            if self.evict_if_fresh(self.hand) {
                return true;
            }
        }
        false
    }

    fn evict_if_fresh(&mut self, place: usize) -> bool {
        if !self.row[place].breaker.is_dispensable() {
            return false;
        }
        let entry = self.row.swap_remove(place);
        self.places.remove(&entry.key);
        if let Some(moved) = self.row.get(place) {
            self.places.insert(moved.key.clone(), place);
        }
        true
    }
}
