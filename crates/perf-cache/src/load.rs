//! One load per key, however many ask and whoever leaves.
//!
//! The load is a task of its own and its callers only wait for it. Where the first caller runs the load
//! inside its own future instead, dropping that future (a client that hung up, a time-out) kills the
//! load for all who wait; the next in line starts over, and under short deadlines no load ever
//! finishes.
//!
//! Only a look into the far tier is done by its caller, for as long as nobody else depends on it: see
//! `flight::work`.
//!
//! A guard travels inside the task. Whatever ends the task ends the flight too: a return, a panic, an
//! abort, the shutdown of the runtime, even a task that was never polled.

mod batch;
mod call;
#[cfg(feature = "macros")]
mod compute;
mod get;
mod group;
mod limit;
mod produce;
mod seat;
mod task;

use crate::bounds::{Key, Value};
use crate::store::LocalStore;
use crate::{Cache, EntryPolicy, LoadError, Lookup};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

pub(crate) use batch::{fetch, resolve};
pub(crate) use call::Call;
#[cfg(feature = "macros")]
pub use compute::{compute, once, try_compute};
pub(crate) use get::Get;

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

type Waiting<V, E> = Pin<Box<dyn Future<Output = Result<Lookup<V>, LoadError<E>>> + Send>>;

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

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(request) = &self.request
            && let Some(value) = self.cache.fresh(&request.key)
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
        if let Some(value) = self.late() {
            return Poll::Ready(Ok(value));
        }
        if let Some(Request { key, policy, load }) = self.request.take() {
            self.cache.shared.counters.reads.miss();
            let shared = Arc::clone(&self.cache.shared);
            self.waiting = Some(Box::pin(Call::resolve(shared, key, policy.into(), load)));
        }
        let waiting = self.waiting.as_mut();
        let waiting = waiting.expect("a request becomes a wait before it is gone");
        let lookup = waiting.as_mut().poll(context);
        lookup.map_ok(|lookup| lookup.value)
    }

    /// A value in the last part of its time to live, which this read may have loaded anew.
    fn late(&mut self) -> Option<V> {
        let shared = &self.cache.shared;
        let tick = shared.settings.time.tick();
        let (entry, left) = shared.late(&self.request.as_ref()?.key, tick)?;
        shared.counters.reads.hit();
        if shared.refreshes(left)
            && let Some(Request { key, policy, load }) = self.request.take()
        {
            Call::refresh_ahead(Arc::clone(shared), key, policy.into(), load);
        }
        Some(entry.into_value())
    }
}
