use super::produce::{Arrival, Production, far_arrival};
use crate::Entry;
use crate::bounds::{Key, Value};
use crate::expiry::Tick;
use crate::far::Sight;
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

/// Looks for the value in the far tier, loads it as a task if it is not there, and ends the flight.
pub(super) async fn look<K, V, S, F, Fut, E>(landing: Landing<K, V, S>, load: F)
where
    K: Key,
    V: Value,
    S: LocalStore<K, V>,
    F: FnOnce() -> Fut + Send,
    Fut: Future<Output = Result<V, E>> + Send,
    E: Send + Sync + 'static,
{
    match landing.production().look().await {
        Sight::Value(found) => landing.publish(far_arrival(found)),
        sight => {
            landing.departure.flight.becomes_task().await;
            // Boxed, so that who finds the value does not carry a load.
            Box::pin(load_from(sight, landing, load)).await;
        }
    }
}

/// Loads the value, where there is no far tier, and ends the flight.
pub(super) async fn load<K, V, S, F, Fut, E>(landing: Landing<K, V, S>, load: F)
where
    K: Key,
    V: Value,
    S: LocalStore<K, V>,
    F: FnOnce() -> Fut + Send,
    Fut: Future<Output = Result<V, E>> + Send,
    E: Send + Sync + 'static,
{
    load_from(Sight::Down, landing, load).await;
}

/// Loads the value that was not seen, within the cache's limits, and ends the flight.
async fn load_from<K, V, S, F, Fut, E>(sight: Sight<V>, mut landing: Landing<K, V, S>, load: F)
where
    K: Key,
    V: Value,
    S: LocalStore<K, V>,
    F: FnOnce() -> Fut + Send,
    Fut: Future<Output = Result<V, E>> + Send,
    E: Send + Sync + 'static,
{
    if !landing.departs() {
        return;
    }
    let settings = &landing.departure.shared.settings;
    let limit = settings.time.sleep(settings.load_timeout);
    let production = landing.production();
    let result = tokio::select! {
        biased;
        result = production.load(sight, load) => Some(result),
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
    match landing.production().look().await {
        Sight::Value(found) => landing.publish(far_arrival(found)),
        _ => landing.end(Outcome::Absent),
    }
}

/// Ends its flight exactly once, by the latest when it is dropped.
pub(super) struct Landing<K: Key, V: Value, S: LocalStore<K, V>> {
    pub(super) key: K,
    pub(super) terms: Arc<Terms>,
    landed: bool,
    pub(super) departure: Departure<K, V, S>,
}

impl<K: Key, V: Value, S: LocalStore<K, V>> Landing<K, V, S> {
    pub(super) fn new(
        shared: Arc<Shared<K, V, S>>,
        key: K,
        flight: Arc<Flight<V>>,
        terms: Arc<Terms>,
    ) -> Self {
        Self {
            departure: Departure {
                shared,
                flight,
                is_counted: false,
            },
            key,
            terms,
            landed: false,
        }
    }

    /// Counts it among the loads that run, for which a cache that closes waits. `false`, and its end, if the
    /// cache is closed.
    pub(super) fn departs(&mut self) -> bool {
        let departure = &mut self.departure;
        departure.is_counted = departure.is_counted || departure.shared.begin_load();
        if !self.departure.is_counted {
            self.finish(Outcome::Closed);
        }
        self.departure.is_counted
    }

    /// As [`departs`](Self::departs): itself, or nothing.
    pub(super) fn departed(mut self) -> Option<Self> {
        self.departs().then_some(self)
    }

    pub(super) fn production(&self) -> Production<'_, K, V, S> {
        Production {
            shared: &self.departure.shared,
            key: &self.key,
            terms: &self.terms,
        }
    }

    pub(super) fn publish(mut self, arrival: Arrival<V>) {
        if !self.departs() {
            return;
        }
        let slots = self.keep(&arrival);
        self.landed = true;
        self.departure.flight.finish(Outcome::Landed(Landed {
            value: arrival.value,
            source: arrival.source,
            slots,
        }));
        self.departure.flight.let_go();
    }

    /// Keeps the value near if nothing forbids it. Returns the slots of its tags.
    fn keep(&self, arrival: &Arrival<V>) -> Slots {
        let near = &self.departure.shared.near;
        let known = Ok(self.departure.flight.slots);
        let tags = arrival.tags.as_deref();
        let Ok(slots) = tags.map_or(known, |tags| self.departure.shared.slotting.slots(tags))
        else {
            // Written by a process whose entries carry more tags than ours can.
            near.abandon(&self.key, &self.departure.flight, None);
            return self.departure.flight.slots;
        };
        let Some(expiry) = self
            .departure
            .shared
            .near_expiry(arrival.ttl)
            .filter(|_| !arrival.is_overtaken)
        else {
            if arrival.is_overtaken {
                self.departure
                    .shared
                    .counters
                    .refused_publications
                    .increment();
            }
            near.abandon(&self.key, &self.departure.flight, None);
            return slots;
        };
        let born = self.departure.flight.stamp.born();
        let entry = Entry::new(arrival.value.clone(), born, expiry, slots);
        match near.publish(&self.key, &self.departure.flight, entry, arrival.version) {
            Publication::Kept(displaced) => self.departure.shared.count_displaced(&displaced),
            Publication::Refused => self
                .departure
                .shared
                .counters
                .refused_publications
                .increment(),
        }
        slots
    }

    pub(super) fn end(mut self, outcome: Outcome<V>) {
        self.finish(outcome);
    }

    fn finish(&mut self, outcome: Outcome<V>) {
        let counters = &self.departure.shared.counters;
        match outcome {
            Outcome::Landed(_) | Outcome::Absent | Outcome::Closed => {}
            Outcome::Failed(_) => counters.load_failures.increment(),
            Outcome::TimedOut => counters.load_timeouts.increment(),
            Outcome::Panicked => counters.load_panics.increment(),
            Outcome::Aborted => counters.load_aborts.increment(),
        }
        self.landed = true;
        // First out of the register, so that no caller joins a flight that has ended.
        let rest = self
            .rest()
            .filter(|_| !matches!(outcome, Outcome::Absent | Outcome::Closed));
        self.departure
            .shared
            .near
            .abandon(&self.key, &self.departure.flight, rest);
        self.departure.flight.finish(outcome);
        self.departure.flight.let_go();
    }

    fn rest(&self) -> Option<Rest> {
        let now = self.departure.shared.settings.time.now();
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
pub(super) struct Departure<K: Key, V: Value, S: LocalStore<K, V>> {
    pub(super) shared: Arc<Shared<K, V, S>>,
    flight: Arc<Flight<V>>,
    is_counted: bool,
}

impl<K: Key, V: Value, S: LocalStore<K, V>> Drop for Departure<K, V, S> {
    fn drop(&mut self) {
        if !self.flight.has_landed() {
            self.flight.finish(Outcome::Panicked);
        }
        if self.is_counted {
            self.shared.end_load();
        }
    }
}
