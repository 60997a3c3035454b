use super::seat::Seat;
use super::task::{self, Landing, Terms};
use crate::bounds::{Key, Value};
use crate::expiry::Windows;
use crate::flight::{Flight, Landed, Outcome};
use crate::near::Boarding;
use crate::shared::Shared;
use crate::store::LocalStore;
use crate::tags::Slots;
use crate::{CacheError, CancelPolicy, Entry, EntryPolicy, LoadError, Lookup, Source};
use perf_core::clock::Sleep;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// A caller who found no fresh value.
pub(crate) struct Call<K, V, S> {
    pub(super) shared: Arc<Shared<K, V, S>>,
    pub(super) key: K,
    tags: Vec<Box<str>>,
    slots: Slots,
    ttl: Option<Duration>,
    windows: Windows,
}

/// What a wait led to.
enum Waited<V> {
    Landed(Outcome<V>),
    /// The caller's patience ended before the load did.
    Impatient,
    /// A value that is good enough until the load ends.
    Content(Lookup<V>),
}

impl<K: Key, V: Value, S: LocalStore<K, V>> Call<K, V, S> {
    /// The value of `key`, by whatever way is shortest.
    pub(crate) async fn resolve<F, Fut, E>(
        shared: Arc<Shared<K, V, S>>,
        key: K,
        policy: EntryPolicy,
        load: F,
    ) -> Result<Lookup<V>, LoadError<E>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        let call = Self::new(shared, key, policy)?;
        if let Some(stale) = call.stale_within(call.windows.revalidate) {
            call.refresh(load);
            return Ok(stale);
        }
        call.load_or_join(load).await
    }

    fn new(shared: Arc<Shared<K, V, S>>, key: K, policy: EntryPolicy) -> Result<Self, CacheError> {
        shared.ensure_open()?;
        policy.validate()?;
        if let Some(far) = &shared.far {
            far.key(&key)?;
        }
        let defaults = shared.settings.windows;
        Ok(Self {
            slots: shared.slotting.slots(&policy.tags)?,
            tags: policy.tags,
            ttl: policy.ttl,
            windows: Windows {
                revalidate: policy.revalidate.unwrap_or(defaults.revalidate),
                error: policy.error.unwrap_or(defaults.error),
                ..defaults
            },
            shared,
            key,
        })
    }

    /// The value of `key` in the far tier, without a load.
    pub(crate) async fn fetch(shared: Arc<Shared<K, V, S>>, key: K) -> Option<Lookup<V>> {
        let call = Self::new(shared, key, EntryPolicy::new()).ok()?;
        let runtime = call.shared.runtime().ok()?;
        let settings = &call.shared.settings;
        let mut patience = settings.time.sleep_on(&runtime, settings.wait_timeout);
        let (flight, joined) = match call.board(false) {
            Boarding::Hit(entry) => return Some(call.lookup(entry, Source::Near)),
            Boarding::Rests => return None,
            Boarding::Joins(flight, joined) => (flight, joined),
            Boarding::Leads(flight, key) => {
                call.depart(&runtime, &flight, key, task::fetch);
                let stamp = flight.stamp;
                (flight, stamp)
            }
        };
        match call.wait(&runtime, &flight, &mut patience).await {
            Waited::Landed(Outcome::Landed(landed))
                if call
                    .shared
                    .near
                    .admits_joiner(&flight, joined, landed.slots) =>
            {
                Some(arrived(landed))
            }
            Waited::Content(lookup) => Some(lookup),
            _ => None,
        }
    }

    async fn load_or_join<F, Fut, E>(self, load: F) -> Result<Lookup<V>, LoadError<E>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        let settings = &self.shared.settings;
        let runtime = self.shared.runtime()?;
        let mut patience = settings.time.sleep_on(&runtime, settings.wait_timeout);
        let mut load = Some(load);
        loop {
            let may_rest = self.has_fallback();
            let (flight, joined) = match self.board(may_rest) {
                Boarding::Hit(entry) => return Ok(self.lookup(entry, Source::Near)),
                Boarding::Rests => match self.fallback() {
                    Some(stale) => return Ok(stale),
                    None => continue,
                },
                Boarding::Joins(flight, joined) => {
                    self.shared.counters.joins.increment();
                    (flight, joined)
                }
                Boarding::Leads(flight, key) => {
                    let load = load.take();
                    let load = load.expect("who led a flight leaves with its outcome");
                    self.depart(&runtime, &flight, key, |landing| task::load(landing, load));
                    let stamp = flight.stamp;
                    (flight, stamp)
                }
            };
            let failure = match self.wait(&runtime, &flight, &mut patience).await {
                Waited::Content(stale) => return Ok(stale),
                Waited::Landed(Outcome::Landed(landed)) => {
                    if self
                        .shared
                        .near
                        .admits_joiner(&flight, joined, landed.slots)
                    {
                        return Ok(arrived(landed));
                    }
                    continue;
                }
                // It was a look without a load.
                Waited::Landed(Outcome::Absent) => continue,
                Waited::Landed(Outcome::Failed(error)) => match error.downcast::<E>() {
                    Ok(error) => LoadError::Loader(error),
                    // Another call site loads this key, with another error type: load for oneself.
                    Err(_) => continue,
                },
                Waited::Landed(Outcome::TimedOut) | Waited::Impatient => LoadError::TimedOut,
                Waited::Landed(Outcome::Panicked) => LoadError::Panicked,
                Waited::Landed(Outcome::Aborted) => LoadError::Aborted,
                Waited::Landed(Outcome::Closed) => CacheError::Closed.into(),
            };
            return self.fallback().ok_or(failure);
        }
    }

    fn board(&self, may_rest: bool) -> Boarding<K, V> {
        let tick = self.shared.settings.time.tick();
        self.shared
            .near
            .board(&self.key, self.slots, tick, may_rest)
    }

    /// Loads for the next caller, unless someone does already or there is no runtime to do it on.
    fn refresh<F, Fut, E>(&self, load: F)
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        if let Ok(runtime) = self.shared.runtime()
            && let Boarding::Leads(flight, key) = self.board(true)
        {
            self.depart(&runtime, &flight, key, |landing| task::load(landing, load));
        }
    }

    /// Starts the task of `flight`, or ends it if the cache was closed.
    fn depart<T>(
        &self,
        runtime: &Handle,
        flight: &Arc<Flight<V>>,
        key: K,
        task: impl FnOnce(Landing<K, V, S>) -> T,
    ) where
        T: Future<Output = ()> + Send + 'static,
    {
        let terms = Terms {
            ttl: self.ttl,
            tags: self.tags.clone().into(),
            rest: self.windows.rest,
        };
        let shared = Arc::clone(&self.shared);
        let Some(landing) = Landing::begin(shared, key, Arc::clone(flight), terms) else {
            flight.finish(Outcome::Closed);
            self.shared.near.abandon(&self.key, flight, None);
            return;
        };
        let task = runtime.spawn(task(landing));
        if self.shared.settings.cancel == CancelPolicy::WhenAbandoned {
            // Nobody else sets it: only the leader departs.
            let _first = flight.abort.set(task.abort_handle());
        }
    }

    async fn wait(
        &self,
        runtime: &Handle,
        flight: &Arc<Flight<V>>,
        patience: &mut Sleep,
    ) -> Waited<V> {
        let seat = Seat::new(self, flight);
        let soft = self.windows.soft.filter(|_| self.has_fallback());
        let mut soft = soft.map(|limit| self.shared.settings.time.sleep_on(runtime, limit));
        loop {
            tokio::select! {
                biased;
                outcome = flight.landing() => {
                    seat.keep();
                    return Waited::Landed(outcome);
                }
                () = &mut *patience => return Waited::Impatient,
                () = elapsed(soft.as_mut()) => {
                    soft = None;
                    if let Some(stale) = self.fallback() {
                        return Waited::Content(stale);
                    }
                }
            }
        }
    }

    fn has_fallback(&self) -> bool {
        !self.windows.error.is_zero() && self.overdue_within(self.windows.error).is_some()
    }

    /// What may be served instead of an error. It is looked up when it is needed: what was invalidated
    /// during the load is no fallback for it.
    fn fallback(&self) -> Option<Lookup<V>> {
        self.stale_within(self.windows.error)
    }

    fn stale_within(&self, window: Duration) -> Option<Lookup<V>> {
        if window.is_zero() {
            return None;
        }
        let entry = self.overdue_within(window)?;
        if entry.overdue(self.shared.settings.time.tick()).is_zero() {
            return Some(self.lookup(entry, Source::Near));
        }
        self.shared.counters.stale_serves.increment();
        Some(self.lookup(entry, Source::Stale))
    }

    fn overdue_within(&self, window: Duration) -> Option<Entry<V>> {
        let tick = self.shared.settings.time.tick();
        let entry = self.shared.near.kept(&self.key)?;
        (entry.overdue(tick) < window).then_some(entry)
    }

    fn lookup(&self, entry: Entry<V>, source: Source) -> Lookup<V> {
        Lookup {
            age: entry.age(self.shared.settings.time.tick()),
            value: entry.into_value(),
            source,
        }
    }
}

fn arrived<V>(landed: Landed<V>) -> Lookup<V> {
    Lookup {
        value: landed.value,
        age: Duration::ZERO,
        source: landed.source,
    }
}

async fn elapsed(limit: Option<&mut Sleep>) {
    match limit {
        Some(limit) => limit.await,
        None => std::future::pending().await,
    }
}
