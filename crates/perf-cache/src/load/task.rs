use crate::bounds::{Key, Value};
use crate::expiry::Tick;
use crate::flight::{Flight, Outcome, Rest};
use crate::near::Publication;
use crate::shared::Shared;
use crate::store::LocalStore;
use std::sync::Arc;
use std::time::Duration;

/// What a load needs to know of the call that started it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) ttl: Option<Duration>,
    pub(super) rest: Duration,
}

/// Loads, within the cache's limits, and ends the flight.
pub(super) async fn run<K, V, S, F, Fut, E>(landing: Landing<K, V, S>, load: F)
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
    let turns = settings.load_slots.clone();
    let work = async move {
        let _turn = match &turns {
            Some(turns) => turns.acquire().await.ok(),
            None => None,
        };
        load().await
    };
    let result = tokio::select! {
        biased;
        result = work => Some(result),
        () = limit => None,
    };
    match result {
        Some(Ok(value)) => landing.publish(value),
        Some(Err(error)) => landing.end(Outcome::Failed(Arc::new(error))),
        None => landing.end(Outcome::TimedOut),
    }
}

/// Ends its flight exactly once, by the latest when it is dropped.
pub(super) struct Landing<K: Key, V: Value, S: LocalStore<K, V>> {
    shared: Arc<Shared<K, V, S>>,
    key: K,
    flight: Arc<Flight<V>>,
    terms: Terms,
    landed: bool,
}

impl<K: Key, V: Value, S: LocalStore<K, V>> Landing<K, V, S> {
    pub(super) fn new(
        shared: Arc<Shared<K, V, S>>,
        key: K,
        flight: Arc<Flight<V>>,
        terms: Terms,
    ) -> Self {
        shared.counters.loads.increment();
        shared.running.send_modify(|running| *running += 1);
        Self {
            shared,
            key,
            flight,
            terms,
            landed: false,
        }
    }

    fn publish(mut self, value: V) {
        let shared = &self.shared;
        let near = &shared.near;
        match shared.expiry(&self.key, &value, self.terms.ttl) {
            None => near.abandon(&self.key, &self.flight, None),
            Some(expiry) => {
                let tick = shared.settings.time.tick();
                match near.publish(&self.key, &self.flight, value.clone(), expiry, tick) {
                    Publication::Kept(displaced) => shared.count_displaced(&displaced),
                    Publication::Refused => shared.counters.refused_publications.increment(),
                }
            }
        }
        self.landed = true;
        self.flight.finish(Outcome::Loaded(value));
    }

    fn end(mut self, outcome: Outcome<V>) {
        self.finish(outcome);
    }

    fn finish(&mut self, outcome: Outcome<V>) {
        let counters = &self.shared.counters;
        match outcome {
            Outcome::Loaded(_) => {}
            Outcome::Failed(_) => counters.load_failures.increment(),
            Outcome::TimedOut => counters.load_timeouts.increment(),
            Outcome::Panicked => counters.load_panics.increment(),
            Outcome::Aborted => counters.load_aborts.increment(),
        }
        self.landed = true;
        // First out of the register, so that no caller joins a flight that has ended.
        self.shared
            .near
            .abandon(&self.key, &self.flight, self.rest());
        self.flight.finish(outcome);
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
        self.shared.running.send_modify(|running| *running -= 1);
    }
}
