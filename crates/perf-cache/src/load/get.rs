use super::Call;
use crate::bounds::{Key, Value};
use crate::store::LocalStore;
use crate::{Cache, Lookup};
use std::borrow::Borrow;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The future of `get`: ready at the first poll when the value is near, or when there is no far tier.
pub(crate) struct Get<'a, K, V, S, Q: ?Sized> {
    cache: &'a Cache<K, V, S>,
    key: &'a Q,
    fetch: Option<Fetch<V>>,
}

/// A look into the far tier, boxed so that a near hit does not carry it.
pub(crate) type Fetch<V> = Pin<Box<dyn Future<Output = Option<Lookup<V>>> + Send>>;

impl<'a, K, V, S, Q: ?Sized> Get<'a, K, V, S, Q> {
    pub(crate) const fn new(cache: &'a Cache<K, V, S>, key: &'a Q) -> Self {
        Self {
            cache,
            key,
            fetch: None,
        }
    }
}

impl<K, V, S, Q> Future for Get<'_, K, V, S, Q>
where
    K: Key + Borrow<Q>,
    V: Value,
    S: LocalStore<K, V>,
    Q: ToOwned<Owned = K> + Hash + Eq + ?Sized,
{
    type Output = Option<V>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<V>> {
        let Self { cache, key, .. } = *self;
        if self.fetch.is_none()
            && let Some(value) = cache.fresh(key)
        {
            return Poll::Ready(Some(value));
        }
        // Handed over and back: a borrow would keep the future in memory on the way of a hit too.
        let (found, fetch) = cache.poll_fetch(key, self.fetch.take(), context);
        self.fetch = fetch;
        found
    }
}

impl<K: Key, V: Value, S: LocalStore<K, V>> Cache<K, V, S> {
    #[cold]
    fn poll_fetch<Q>(
        &self,
        key: &Q,
        fetch: Option<Fetch<V>>,
        context: &mut Context<'_>,
    ) -> (Poll<Option<V>>, Option<Fetch<V>>)
    where
        K: Borrow<Q>,
        Q: ToOwned<Owned = K> + Hash + Eq + ?Sized,
    {
        if fetch.is_none()
            && let Some(value) = self.late(key)
        {
            return (Poll::Ready(Some(value)), None);
        }
        let fetch = fetch.or_else(|| {
            self.shared.counters.reads.miss();
            self.fetch(key)
        });
        let Some(mut fetch) = fetch else {
            return (Poll::Ready(None), None);
        };
        match fetch.as_mut().poll(context) {
            Poll::Ready(lookup) => (Poll::Ready(lookup.map(|lookup| lookup.value)), None),
            Poll::Pending => (Poll::Pending, Some(fetch)),
        }
    }

    /// The way to the far tier, if there is one.
    pub(crate) fn fetch<Q>(&self, key: &Q) -> Option<Fetch<V>>
    where
        Q: ToOwned<Owned = K> + ?Sized,
    {
        self.shared.far.as_ref()?;
        let shared = Arc::clone(&self.shared);
        Some(Box::pin(Call::fetch(shared, key.to_owned())))
    }
}
