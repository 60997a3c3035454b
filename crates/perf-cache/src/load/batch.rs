//! Many keys at once, each with a flight of its own.
//!
//! Every key boards as it would alone: it hits, joins a load that is under way, or leads a flight. All
//! flights that are led travel in one task, which asks the far tier once and loads once. A writer that
//! overtakes one key's flight therefore refuses that key's value and no other's, and a caller of a single
//! key joins a batch without knowing.

use super::call::{Call, Waited};
use super::group;
use super::limit::Patience;
use super::seat::Seat;
use super::task::Landing;
use crate::batch::Batch;
use crate::bounds::{Key, Value};
use crate::fence::Stamp;
use crate::flight::{Flight, Outcome, Tether};
use crate::near::Boarding;
use crate::shared::Shared;
use crate::store::LocalStore;
use crate::{CancelPolicy, EntryPolicy, LoadError, Lookup, Source};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::runtime::Handle;

/// A caller who waits for one flight.
struct Passenger<K: Key, V: Value, S: LocalStore<K, V>> {
    call: Call<K, V, S>,
    flight: Arc<Flight<V>>,
    joined: Stamp,
    leads: bool,
}

/// Callers on their way, and the flights of those who lead.
struct Departure<K: Key, V: Value, S: LocalStore<K, V>> {
    passengers: Vec<Passenger<K, V, S>>,
    landings: Vec<Landing<K, V, S>>,
}

/// What the far tier holds of `keys`.
pub(crate) async fn fetch<K: Key, V: Value, S: LocalStore<K, V>>(
    shared: Arc<Shared<K, V, S>>,
    keys: Vec<K>,
    values: &mut HashMap<K, V>,
) {
    let Ok(runtime) = shared.runtime() else {
        return;
    };
    let look = |key| Call::look(Arc::clone(&shared), key);
    let mut calls: Vec<_> = keys.into_iter().flat_map(look).collect();
    let Some(mut patience) = calls.first().map(|call| call.patience(runtime.clone())) else {
        return;
    };
    let departure = board(&mut calls, false, |key, lookup| {
        values.insert(key, lookup.value);
    });
    let passengers = departure.leave(&shared, &runtime, group::fetch);
    let seats: Vec<_> = passengers.iter().map(Passenger::seat).collect();
    for (passenger, seat) in passengers.iter().zip(seats) {
        let waited = passenger.call.wait(seat, &mut patience).await;
        if let Some(Ok(lookup)) = passenger.conclude::<Infallible>(waited) {
            values.insert(passenger.call.key.clone(), lookup.value);
        }
    }
}

/// The values of the requested keys, by whatever way is shortest for each.
pub(crate) async fn resolve<K, V, S, F, Fut, E>(
    shared: Arc<Shared<K, V, S>>,
    requests: Vec<(K, EntryPolicy)>,
    load: F,
    batch: &mut Batch<K, V, E>,
) where
    K: Key,
    V: Value,
    S: LocalStore<K, V>,
    F: Fn(Vec<K>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<HashMap<K, V>, E>> + Send + 'static,
    E: Send + Sync + 'static,
{
    let load = Arc::new(load);
    let (mut overdue, mut waiting) = sort(&shared, requests, batch);
    let runtime = match shared.runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            let failed = waiting.into_iter();
            let failed = failed.map(|call| (call.key, LoadError::from(error.clone())));
            batch.errors.extend(failed);
            return;
        }
    };
    let task = |landings| group::load(landings, Arc::clone(&load));
    // For those who come later: nobody waits here.
    drop(board(&mut overdue, true, |_, _| {}).leave(&shared, &runtime, task));
    let Some(mut patience) = waiting.first().map(|call| call.patience(runtime.clone())) else {
        return;
    };
    while !waiting.is_empty() {
        let departure = board(&mut waiting, true, |key, lookup| {
            batch.values.insert(key, lookup.value);
        });
        let passengers = departure.leave(&shared, &runtime, task);
        let results = settle(&passengers, &mut patience).await;
        for (passenger, result) in passengers.into_iter().zip(results) {
            match result {
                Settled::Found(lookup) => {
                    batch.values.insert(passenger.call.key, lookup.value);
                }
                Settled::Failed(error) => {
                    batch.errors.insert(passenger.call.key, error);
                }
                Settled::Absent => {}
                Settled::Again => waiting.push(passenger.call),
            }
        }
    }
}

/// What became of one key.
enum Settled<V, E> {
    Found(Lookup<V>),
    Failed(LoadError<E>),
    /// The load left it out.
    Absent,
    /// The flight that was joined brought nothing that may be taken.
    Again,
}

async fn settle<K: Key, V: Value, S: LocalStore<K, V>, E: Send + Sync + 'static>(
    passengers: &[Passenger<K, V, S>],
    patience: &mut Patience,
) -> Vec<Settled<V, E>> {
    // All take their seats before the first waits: whoever is dropped gives up every one.
    let seats: Vec<_> = passengers.iter().map(Passenger::seat).collect();
    let mut results = Vec::with_capacity(passengers.len());
    for (passenger, seat) in passengers.iter().zip(seats) {
        let waited = passenger.call.wait(seat, patience).await;
        let is_absent = matches!(waited, Waited::Landed(Outcome::Absent));
        results.push(match passenger.conclude(waited) {
            Some(Ok(lookup)) => Settled::Found(lookup),
            Some(Err(error)) => Settled::Failed(error),
            None if is_absent && passenger.leads => Settled::Absent,
            None => Settled::Again,
        });
    }
    results
}

/// Calls that are content, and calls that wait.
type Sorted<T> = (Vec<T>, Vec<T>);

/// Calls that may be content with a stale value, which they get, and calls that wait.
fn sort<K: Key, V: Value, S: LocalStore<K, V>, E>(
    shared: &Arc<Shared<K, V, S>>,
    requests: Vec<(K, EntryPolicy)>,
    batch: &mut Batch<K, V, E>,
) -> Sorted<Call<K, V, S>> {
    let (mut overdue, mut waiting) = (Vec::new(), Vec::new());
    for (key, policy) in requests {
        let call = match Call::new(Arc::clone(shared), key.clone(), policy) {
            Ok(call) => call,
            Err(error) => {
                batch.errors.insert(key, error.into());
                continue;
            }
        };
        match call.stale_within(call.windows.revalidate) {
            Some(stale) => {
                batch.values.insert(key, stale.value);
                overdue.push(call);
            }
            None => waiting.push(call),
        }
    }
    (overdue, waiting)
}

/// Boards all calls. Those that have their value at once are told to `found`; those that must try again
/// stay in `calls`.
fn board<K: Key, V: Value, S: LocalStore<K, V>>(
    calls: &mut Vec<Call<K, V, S>>,
    may_rest: bool,
    mut found: impl FnMut(K, Lookup<V>),
) -> Departure<K, V, S> {
    let mut departure = Departure {
        passengers: Vec::new(),
        landings: Vec::new(),
    };
    for call in std::mem::take(calls) {
        match call.board(may_rest && call.has_fallback()) {
            Boarding::Hit(entry) => {
                let lookup = call.lookup(entry, Source::Near);
                found(call.key, lookup);
            }
            Boarding::Rests => match call.fallback() {
                Some(stale) => found(call.key, stale),
                None => calls.push(call),
            },
            Boarding::Joins(flight, joined) => {
                call.shared.counters.joins.increment();
                departure.passengers.push(Passenger {
                    call,
                    flight,
                    joined,
                    leads: false,
                });
            }
            Boarding::Leads(flight, key) => {
                let landing = call.landing(&flight, key);
                departure.landings.extend(landing.departed());
                departure.passengers.push(Passenger {
                    joined: flight.stamp,
                    call,
                    flight,
                    leads: true,
                });
            }
        }
    }
    departure
}

impl<K: Key, V: Value, S: LocalStore<K, V>> Departure<K, V, S> {
    /// Starts one task for all flights that are led.
    fn leave<T>(
        self,
        shared: &Shared<K, V, S>,
        runtime: &Handle,
        task: impl Fn(Vec<Landing<K, V, S>>) -> T,
    ) -> Vec<Passenger<K, V, S>>
    where
        T: Future<Output = ()> + Send + 'static,
    {
        if self.landings.is_empty() {
            return self.passengers;
        }
        let task = runtime.spawn(task(self.landings));
        if shared.settings.cancel == CancelPolicy::WhenAbandoned {
            let tether = Tether::new(task.abort_handle());
            for passenger in self.passengers.iter().filter(|passenger| passenger.leads) {
                passenger.flight.tie(Arc::clone(&tether));
            }
        }
        self.passengers
    }
}

impl<K: Key, V: Value, S: LocalStore<K, V>> Passenger<K, V, S> {
    const fn seat(&self) -> Seat<'_, K, V, S> {
        Seat::new(&self.call, &self.flight)
    }

    fn conclude<E: Send + Sync + 'static>(
        &self,
        waited: Waited<V>,
    ) -> Option<Result<Lookup<V>, LoadError<E>>> {
        self.call.conclude(waited, &self.flight, self.joined)
    }
}
