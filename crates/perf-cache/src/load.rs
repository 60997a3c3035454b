//! One load per key, however many ask and whoever leaves.
//!
//! The load is a task of its own and its callers only wait for it. Where the first caller runs the load
//! inside its own future instead, dropping that future (a client that hung up, a time-out) kills the
//! load for all who wait; the next in line starts over, and under short deadlines no load ever
//! finishes.
//!
//! A guard travels inside the task. Whatever ends the task ends the flight too: a return, a panic, an
//! abort, the shutdown of the runtime, even a task that was never polled.

use crate::bounds::{Key, Value};
use crate::flight::{Flight, Outcome};
use crate::near::{Boarding, Publication};
use crate::shared::Shared;
use crate::store::LocalStore;
use crate::{Cache, CancelPolicy, EntryPolicy, LoadError};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Handle;

/// The future of `get_or_load`: ready at the first poll when the value is near, without an allocation.
///
/// Written by hand because an `async fn` would carry the state of a whole load through every hit.
pub(crate) struct GetOrLoad<'a, K, V, S, P, F, E> {
    cache: &'a Cache<K, V, S>,
    request: Option<Request<K, P, F>>,
    waiting: Option<Waiting<V, E>>,
}

struct Request<K, P, F> {
    key: K,
    policy: P,
    load: F,
}

type Waiting<V, E> = Pin<Box<dyn Future<Output = Result<V, LoadError<E>>> + Send>>;

/// The cache's defaults, without the size of an [`EntryPolicy`].
pub(crate) struct Defaults;

impl From<Defaults> for EntryPolicy {
    fn from(_: Defaults) -> Self {
        Self::new()
    }
}

impl<'a, K, V, S, P, F, E> GetOrLoad<'a, K, V, S, P, F, E> {
    pub(crate) const fn new(cache: &'a Cache<K, V, S>, key: K, policy: P, load: F) -> Self {
        Self {
            cache,
            request: Some(Request { key, policy, load }),
            waiting: None,
        }
    }
}

/// Nothing inside is pinned but what is boxed.
impl<K, V, S, P, F, E> Unpin for GetOrLoad<'_, K, V, S, P, F, E> {}

impl<K, V, S, P, F, Fut, E> Future for GetOrLoad<'_, K, V, S, P, F, E>
where
    K: Key,
    V: Value,
    S: LocalStore<K, V>,
    P: Into<EntryPolicy>,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<V, E>> + Send + 'static,
    E: Send + Sync + 'static,
{
    type Output = Result<V, LoadError<E>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(request) = &self.request
            && let Some(value) = self.cache.near(&request.key)
        {
            return Poll::Ready(Ok(value));
        }
        self.poll_load(context)
    }
}

impl<K, V, S, P, F, Fut, E> GetOrLoad<'_, K, V, S, P, F, E>
where
    K: Key,
    V: Value,
    S: LocalStore<K, V>,
    P: Into<EntryPolicy>,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<V, E>> + Send + 'static,
    E: Send + Sync + 'static,
{
    #[cold]
    fn poll_load(&mut self, context: &mut Context<'_>) -> Poll<Result<V, LoadError<E>>> {
        if let Some(Request { key, policy, load }) = self.request.take() {
            self.cache.shared.counters.reads.miss();
            let shared = Arc::clone(&self.cache.shared);
            self.waiting = Some(Box::pin(load_or_join(shared, key, policy.into(), load)));
        }
        let waiting = self.waiting.as_mut();
        waiting
            .expect("a request becomes a wait before it is gone")
            .as_mut()
            .poll(context)
    }
}

async fn load_or_join<K, V, S, F, Fut, E>(
    shared: Arc<Shared<K, V, S>>,
    key: K,
    policy: EntryPolicy,
    load: F,
) -> Result<V, LoadError<E>>
where
    K: Key,
    V: Value,
    S: LocalStore<K, V>,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<V, E>> + Send + 'static,
    E: Send + Sync + 'static,
{
    shared.ensure_open()?;
    policy.validate()?;
    let runtime = shared.runtime()?;
    let slots = shared.slotting.slots(&policy.tags)?;
    let mut patience = shared.settings.time.sleep(shared.settings.wait_timeout);
    let mut load = Some(load);
    loop {
        let tick = shared.settings.time.tick();
        let flight = match shared.near.board(&key, slots, tick) {
            Boarding::Hit(value) => return Ok(value),
            Boarding::Joins(flight) => {
                shared.counters.joins.increment();
                flight
            }
            Boarding::Leads(flight) => {
                let load = load
                    .take()
                    .expect("who led a flight leaves with its outcome");
                depart(&shared, &runtime, &key, &flight, policy.ttl, load);
                flight
            }
        };
        let seat = Seat::new(&shared, &key, &flight);
        let outcome = tokio::select! {
            biased;
            outcome = flight.landing() => outcome,
            () = &mut patience => return Err(LoadError::TimedOut),
        };
        seat.keep();
        match outcome {
            Outcome::Loaded(value) => return Ok(value),
            Outcome::Failed(error) => {
                if let Ok(error) = error.downcast::<E>() {
                    return Err(LoadError::Loader(error));
                }
                // Another call site loads this key with another error type: try for oneself.
            }
            Outcome::TimedOut => return Err(LoadError::TimedOut),
            Outcome::Panicked => return Err(LoadError::Panicked),
            Outcome::Aborted => return Err(LoadError::Aborted),
        }
    }
}

/// Starts the task of `flight`.
fn depart<K, V, S, F, Fut, E>(
    shared: &Arc<Shared<K, V, S>>,
    runtime: &Handle,
    key: &K,
    flight: &Arc<Flight<V>>,
    ttl: Option<Duration>,
    load: F,
) where
    K: Key,
    V: Value,
    S: LocalStore<K, V>,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<V, E>> + Send + 'static,
    E: Send + Sync + 'static,
{
    let landing = Landing::new(Arc::clone(shared), key.clone(), Arc::clone(flight));
    let task = runtime.spawn(async move {
        let settings = &landing.shared.settings;
        let limit = settings.time.sleep(settings.load_timeout);
        let slots = settings.load_slots.clone();
        let work = async move {
            let _slot = match &slots {
                Some(slots) => slots.acquire().await.ok(),
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
            Some(Ok(value)) => landing.publish(value, ttl),
            Some(Err(error)) => landing.end(Outcome::Failed(Arc::new(error))),
            None => landing.end(Outcome::TimedOut),
        }
    });
    if shared.settings.cancel == CancelPolicy::WhenAbandoned {
        // Nobody else sets it: only the leader departs.
        let _first = flight.abort.set(task.abort_handle());
    }
}

/// Ends its flight exactly once, by the latest when it is dropped.
struct Landing<K: Key, V: Value, S: LocalStore<K, V>> {
    shared: Arc<Shared<K, V, S>>,
    key: K,
    flight: Arc<Flight<V>>,
    landed: bool,
}

impl<K: Key, V: Value, S: LocalStore<K, V>> Landing<K, V, S> {
    fn new(shared: Arc<Shared<K, V, S>>, key: K, flight: Arc<Flight<V>>) -> Self {
        shared.counters.loads.increment();
        shared.running.send_modify(|running| *running += 1);
        Self {
            shared,
            key,
            flight,
            landed: false,
        }
    }

    fn publish(mut self, value: V, ttl: Option<Duration>) {
        let shared = &self.shared;
        let (expiry, tick) = (shared.expiry(ttl), shared.settings.time.tick());
        let near = &shared.near;
        match near.publish(&self.key, &self.flight, value.clone(), expiry, tick) {
            Publication::Kept(displaced) => shared.count_displaced(&displaced),
            Publication::Refused => shared.counters.refused_publications.increment(),
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
        self.shared.near.abandon(&self.key, &self.flight);
        self.flight.finish(outcome);
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

/// A caller's place in a flight, given up when the caller is dropped.
struct Seat<'a, K: Key, V: Value, S: LocalStore<K, V>> {
    shared: &'a Shared<K, V, S>,
    key: &'a K,
    flight: &'a Arc<Flight<V>>,
    kept: bool,
}

impl<'a, K: Key, V: Value, S: LocalStore<K, V>> Seat<'a, K, V, S> {
    const fn new(shared: &'a Shared<K, V, S>, key: &'a K, flight: &'a Arc<Flight<V>>) -> Self {
        Self {
            shared,
            key,
            flight,
            kept: false,
        }
    }

    /// The flight has landed.
    fn keep(mut self) {
        self.kept = true;
    }
}

impl<K: Key, V: Value, S: LocalStore<K, V>> Drop for Seat<'_, K, V, S> {
    fn drop(&mut self) {
        if self.kept || self.shared.settings.cancel == CancelPolicy::Detach {
            return;
        }
        if self.shared.near.leave(self.key, self.flight)
            && let Some(task) = self.flight.abort.get()
        {
            task.abort();
        }
    }
}
