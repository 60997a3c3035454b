use super::produce::{Arrival, Production};
use crate::Entry;
use crate::bounds::{Key, Value};
use crate::expiry::Tick;
use crate::flight::{Flight, Landed, Outcome, Rest};
use crate::near::Publication;
use crate::shared::Shared;
use crate::store::LocalStore;
use crate::tags::Slots;
use std::sync::Arc;
use std::time::Duration;

/// What a load needs to know of the call that started it.
#[derive(Debug)]
pub(super) struct Terms {
    /// The far tier's name of the key; empty without one.
    pub(super) name: String,
    pub(super) ttl: Option<Duration>,
    pub(super) tags: Vec<Box<str>>,
    pub(super) rest: Duration,
}

/// Looks for the value, loads it if it is nowhere, within the cache's limits, and ends the flight.
pub(super) async fn load<K, V, S, F, Fut, E>(landing: Landing<K, V, S>, load: F)
where
    K: Key,
    V: Value,
    S: LocalStore<K, V>,
    F: FnOnce() -> Fut + Send,
    Fut: Future<Output = Result<V, E>> + Send,
    E: Send + Sync + 'static,
{
    let settings = &landing.shared.settings;
    let limit = settings.time.sleep(settings.load_timeout);
    let production = landing.production();
    let result = tokio::select! {
        biased;
        result = production.load(load) => Some(result),
        () = limit => None,
    };
    match result {
        Some(Ok(arrival)) => landing.publish(arrival),
        Some(Err(error)) => landing.end(Outcome::Failed(Arc::new(error))),
        None => landing.end(Outcome::TimedOut),
    }
}

/// Looks for the value in the far tier and ends the flight.
pub(super) async fn fetch<K: Key, V: Value, S: LocalStore<K, V>>(landing: Landing<K, V, S>) {
    let arrival = landing.production().fetch().await;
    match arrival {
        Some(arrival) => landing.publish(arrival),
        None => landing.end(Outcome::Absent),
    }
}

/// Ends its flight exactly once, by the latest when it is dropped.
pub(super) struct Landing<K: Key, V: Value, S: LocalStore<K, V>> {
    pub(super) shared: Arc<Shared<K, V, S>>,
    pub(super) key: K,
    flight: Arc<Flight<V>>,
    pub(super) terms: Arc<Terms>,
    landed: bool,
    _departure: Departure<K, V, S>,
}

impl<K: Key, V: Value, S: LocalStore<K, V>> Landing<K, V, S> {
    /// `None` if the cache is closed.
    pub(super) fn begin(
        shared: Arc<Shared<K, V, S>>,
        key: K,
        flight: Arc<Flight<V>>,
        terms: Arc<Terms>,
    ) -> Option<Self> {
        shared.begin_load().then(|| Self {
            _departure: Departure {
                shared: Arc::clone(&shared),
                flight: Arc::clone(&flight),
            },
            shared,
            key,
            flight,
            terms,
            landed: false,
        })
    }

    pub(super) fn production(&self) -> Production<'_, K, V, S> {
        Production {
            shared: &self.shared,
            key: &self.key,
            terms: &self.terms,
        }
    }

    pub(super) fn publish(mut self, arrival: Arrival<V>) {
        let slots = self.keep(&arrival);
        self.landed = true;
        self.flight.finish(Outcome::Landed(Landed {
            value: arrival.value,
            source: arrival.source,
            slots,
        }));
        self.flight.let_go();
    }

    /// Keeps the value near if nothing forbids it. Returns the slots of its tags.
    fn keep(&self, arrival: &Arrival<V>) -> Slots {
        let near = &self.shared.near;
        let known = Ok(self.flight.slots);
        let tags = arrival.tags.as_deref();
        let Ok(slots) = tags.map_or(known, |tags| self.shared.slotting.slots(tags)) else {
            // Written by a process whose entries carry more tags than ours can.
            near.abandon(&self.key, &self.flight, None);
            return self.flight.slots;
        };
        let Some(expiry) = self
            .shared
            .near_expiry(arrival.ttl)
            .filter(|_| !arrival.is_overtaken)
        else {
            if arrival.is_overtaken {
                self.shared.counters.refused_publications.increment();
            }
            near.abandon(&self.key, &self.flight, None);
            return slots;
        };
        let born = self.flight.stamp.born();
        let entry = Entry::new(arrival.value.clone(), born, expiry, slots);
        match near.publish(&self.key, &self.flight, entry, arrival.version) {
            Publication::Kept(displaced) => self.shared.count_displaced(&displaced),
            Publication::Refused => self.shared.counters.refused_publications.increment(),
        }
        slots
    }

    pub(super) fn end(mut self, outcome: Outcome<V>) {
        self.finish(outcome);
    }

    fn finish(&mut self, outcome: Outcome<V>) {
        let counters = &self.shared.counters;
        match outcome {
            Outcome::Landed(_) | Outcome::Absent | Outcome::Closed => {}
            Outcome::Failed(_) => counters.load_failures.increment(),
            Outcome::TimedOut => counters.load_timeouts.increment(),
            Outcome::Panicked => counters.load_panics.increment(),
            Outcome::Aborted => counters.load_aborts.increment(),
        }
        self.landed = true;
        // First out of the register, so that no caller joins a flight that has ended.
        let rest = self.rest().filter(|_| !matches!(outcome, Outcome::Absent));
        self.shared.near.abandon(&self.key, &self.flight, rest);
        self.flight.finish(outcome);
        self.flight.let_go();
    }

    fn rest(&self) -> Option<Rest> {
        let now = self.shared.settings.time.now();
        (!self.terms.rest.is_zero()).then(|| Rest {
            now: Tick::of(now),
            until: Tick::of(now.saturating_add(self.terms.rest)),
        })
    }
}

impl<K: Key, V: Value, S: LocalStore<K, V>> Drop for Landing<K, V, S> {
    fn drop(&mut self) {
        if !self.landed {
            self.finish(if std::thread::panicking() {
                Outcome::Panicked
            } else {
                Outcome::Aborted
            });
        }
    }
}

/// Counts a load as running and ends its flight even where the landing itself panics, in code of the
/// key's or the clock's.
struct Departure<K: Key, V: Value, S: LocalStore<K, V>> {
    shared: Arc<Shared<K, V, S>>,
    flight: Arc<Flight<V>>,
}

impl<K: Key, V: Value, S: LocalStore<K, V>> Drop for Departure<K, V, S> {
    fn drop(&mut self) {
        if !self.flight.has_landed() {
            self.flight.finish(Outcome::Panicked);
        }
        self.shared.end_load();
    }
}
