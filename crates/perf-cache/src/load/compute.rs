use super::call::Call;
use super::produce::loaded_arrival;
use super::task::Landing;
use crate::bounds::{Key, Value};
use crate::flight::Outcome;
use crate::near::Boarding;
use crate::store::LocalStore;
use crate::{Cache, EntryPolicy};
use std::convert::Infallible;
use std::sync::Arc;

/// The near value of `key`, or what `compute` returns, which is kept near.
///
/// Threads do not wait for each other: of several that compute one key at once, the first keeps its
/// value. What was invalidated while it was computed is not kept.
pub fn compute<K: Key, V: Value, S: LocalStore<K, V>>(
    cache: &Cache<K, V, S>,
    key: K,
    policy: EntryPolicy,
    compute: impl FnOnce() -> V,
) -> V {
    match try_compute(cache, key, policy, || Ok::<_, Infallible>(compute())) {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// As [`compute()`], and an error is not kept.
///
/// # Errors
///
/// What `compute` returns.
pub fn try_compute<K: Key, V: Value, S: LocalStore<K, V>, E>(
    cache: &Cache<K, V, S>,
    key: K,
    policy: EntryPolicy,
    compute: impl FnOnce() -> Result<V, E>,
) -> Result<V, E> {
    if let Some(value) = cache.near(&key) {
        return Ok(value);
    }
    let shared = &cache.shared;
    shared.counters.reads.miss();
    // A cache that is closed, or refuses the key, must not keep the function from its work.
    let Ok(call) = Call::new(Arc::clone(shared), key, policy) else {
        return compute();
    };
    let landing = match call.board(false) {
        Boarding::Hit(entry) => return Ok(entry.into_value()),
        Boarding::Joins(..) | Boarding::Rests => None,
        Boarding::Leads(flight, key) => Some(call.landing(&flight, key)),
    };
    let Some(landing) = landing.and_then(Landing::departed) else {
        return compute();
    };
    shared.counters.loads.increment();
    match compute() {
        Ok(value) => {
            let (key, terms) = (&landing.key, &landing.terms);
            let arrival = loaded_arrival(shared, key, terms, value.clone());
            landing.publish(arrival);
            Ok(value)
        }
        Err(error) => {
            landing.end(Outcome::Absent);
            Err(error)
        }
    }
}

/// Calls a closure that may lend what it has captured, as one that is called twice may not.
pub fn once<T>(body: impl FnOnce() -> T) -> T {
    body()
}
