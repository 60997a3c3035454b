use super::limit::{Limit, Patience};
use super::seat::Seat;
use super::task::{self, Landing, Terms};
use crate::bounds::{Key, Value};
use crate::expiry::Windows;
use crate::fence::Stamp;
use crate::flight::{Flight, Landed, Outcome, Tether};
use crate::near::Boarding;
use crate::shared::Shared;
use crate::store::LocalStore;
use crate::tags::Slots;
use crate::{CacheError, CancelPolicy, Entry, EntryPolicy, LoadError, Lookup, Source};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// A caller who found no fresh value.
pub(crate) struct Call<K, V, S> {
    pub(super) shared: Arc<Shared<K, V, S>>,
    pub(super) key: K,
    terms: Arc<Terms>,
    slots: Slots,
    pub(super) windows: Windows,
}

/// What a wait led to.
pub(super) enum Waited<V> {
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

    /// Loads anew what is still fresh, for the next caller.
    pub(crate) fn refresh_ahead<F, Fut, E>(
        shared: Arc<Shared<K, V, S>>,
        key: K,
        policy: EntryPolicy,
        load: F,
    ) where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        // A closed cache loads nothing, and has said so to those who missed.
        if let Ok(call) = Self::new(shared, key, policy) {
            call.refresh(load);
        }
    }

    /// A call that wants a fresh value or none.
    pub(super) fn look(shared: Arc<Shared<K, V, S>>, key: K) -> Result<Self, CacheError> {
        let policy = EntryPolicy::new().stale_if_error(Duration::ZERO);
        Self::new(shared, key, policy)
    }

    pub(super) fn new(
        shared: Arc<Shared<K, V, S>>,
        key: K,
        policy: EntryPolicy,
    ) -> Result<Self, CacheError> {
        shared.ensure_open()?;
        policy.validate()?;
        let name = match &shared.far {
            Some(far) => far.key(&key)?,
            None => String::new(),
        };
        let defaults = shared.settings.windows;
        Ok(Self {
            slots: shared.slotting.slots(&policy.tags)?,
            terms: Arc::new(Terms {
                name,
                ttl: policy.ttl,
                tags: policy.tags,
                rest: defaults.rest,
            }),
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
        let call = Self::look(shared, key).ok()?;
        let runtime = call.shared.runtime().ok()?;
        let mut patience = call.patience(&runtime);
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
        match call.wait(Seat::new(&call, &flight), &mut patience).await {
            Waited::Landed(Outcome::Landed(landed))
                if call
                    .shared
                    .near
                    .admits_joiner(&flight, joined, landed.slots) =>
            {
                Some(arrived(landed))
            }
            _ => None,
        }
    }

    async fn load_or_join<F, Fut, E>(self, load: F) -> Result<Lookup<V>, LoadError<E>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        let runtime = self.shared.runtime()?;
        let mut patience = self.patience(&runtime);
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
            let waited = self.wait(Seat::new(&self, &flight), &mut patience).await;
            if let Some(result) = self.conclude(waited, &flight, joined) {
                return result;
            }
        }
    }

    /// What a wait comes to; nothing if the caller must try again.
    pub(super) fn conclude<E: Send + Sync + 'static>(
        &self,
        waited: Waited<V>,
        flight: &Flight<V>,
        joined: Stamp,
    ) -> Option<Result<Lookup<V>, LoadError<E>>> {
        let near = &self.shared.near;
        let failure = match waited {
            Waited::Content(stale) => return Some(Ok(stale)),
            Waited::Landed(Outcome::Landed(landed)) => {
                let admitted = near.admits_joiner(flight, joined, landed.slots);
                return admitted.then(|| Ok(arrived(landed)));
            }
            // It was a look without a load.
            Waited::Landed(Outcome::Absent) => return None,
            // Where another call site loads this key, with another error type, load for oneself.
            Waited::Landed(Outcome::Failed(error)) => LoadError::Loader(error.downcast().ok()?),
            Waited::Landed(Outcome::TimedOut) | Waited::Impatient => LoadError::TimedOut,
            Waited::Landed(Outcome::Panicked) => LoadError::Panicked,
            Waited::Landed(Outcome::Aborted) => LoadError::Aborted,
            Waited::Landed(Outcome::Closed) => CacheError::Closed.into(),
        };
        Some(self.fallback().ok_or(failure))
    }

    /// How long this caller waits, from now.
    pub(super) fn patience(&self, runtime: &Handle) -> Patience {
        let settings = &self.shared.settings;
        let sleep = |limit| settings.time.sleep_on(runtime, limit);
        Patience {
            hard: Limit::new(Some(sleep(settings.wait_timeout))),
            soft: Limit::new(self.windows.soft.map(sleep)),
        }
    }

    pub(super) fn board(&self, may_rest: bool) -> Boarding<K, V> {
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
        let Some(landing) = self.landing(flight, key) else {
            return;
        };
        let task = runtime.spawn(task(landing));
        if self.shared.settings.cancel == CancelPolicy::WhenAbandoned {
            flight.tie(Tether::new(task.abort_handle()));
        }
    }

    /// The landing of a flight that this call leads; none, and its end, if the cache was closed.
    pub(super) fn landing(&self, flight: &Arc<Flight<V>>, key: K) -> Option<Landing<K, V, S>> {
        let (shared, terms) = (Arc::clone(&self.shared), Arc::clone(&self.terms));
        let landing = Landing::begin(shared, key, Arc::clone(flight), terms);
        if landing.is_none() {
            flight.finish(Outcome::Closed);
            self.shared.near.abandon(&self.key, flight, None);
        }
        landing
    }

    pub(super) async fn wait(&self, seat: Seat<'_, K, V, S>, patience: &mut Patience) -> Waited<V> {
        let Patience { hard, soft } = patience;
        let mut may_settle = self.has_fallback();
        loop {
            tokio::select! {
                biased;
                outcome = seat.flight.landing() => {
                    seat.keep();
                    return Waited::Landed(outcome);
                }
                () = hard.reached() => return Waited::Impatient,
                () = soft.reached(), if may_settle => {
                    may_settle = false;
                    if let Some(stale) = self.fallback() {
                        return Waited::Content(stale);
                    }
                }
            }
        }
    }

    pub(super) fn has_fallback(&self) -> bool {
        let error = self.windows.error;
        !error.is_zero() && self.overdue_within(error, true).is_some()
    }

    /// What may be served instead of an error. It is looked up when it is needed: what was invalidated
    /// during the load is no fallback for it.
    pub(super) fn fallback(&self) -> Option<Lookup<V>> {
        self.overdue(self.windows.error, true)
    }

    /// What may be served while a load runs. What is in doubt may not.
    pub(super) fn stale_within(&self, window: Duration) -> Option<Lookup<V>> {
        self.overdue(window, false)
    }

    fn overdue(&self, window: Duration, may_be_doubted: bool) -> Option<Lookup<V>> {
        if window.is_zero() {
            return None;
        }
        let (entry, is_doubted) = self.overdue_within(window, may_be_doubted)?;
        let tick = self.shared.settings.time.tick();
        if self.shared.overdue(&entry, tick).is_zero() && !is_doubted {
            return Some(self.lookup(entry, Source::Near));
        }
        self.shared.counters.stale_serves.increment();
        Some(self.lookup(entry, Source::Stale))
    }

    fn overdue_within(&self, window: Duration, may_be_doubted: bool) -> Option<(Entry<V>, bool)> {
        let tick = self.shared.settings.time.tick();
        let (entry, is_doubted) = self.shared.near.kept(&self.key)?;
        let serves = self.shared.overdue(&entry, tick) < window && (may_be_doubted || !is_doubted);
        serves.then_some((entry, is_doubted))
    }

    pub(super) fn lookup(&self, entry: Entry<V>, source: Source) -> Lookup<V> {
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
