use super::{LIMIT, judge};
use crate::store::{StoreError, Watch};
use futures_core::Stream;
use parking_lot::Mutex;
use perf_core::Transience;
use redis::Client;
use redis::aio::{PubSubSink, PubSubStream};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{Mutex as AsyncMutex, Notify};

/// Listens, on one connection for all, to what happens to the keys that somebody waits for.
pub(in crate::store) struct Ears {
    client: Client,
    /// None until somebody waits, and after the connection was lost.
    sink: AsyncMutex<Option<PubSubSink>>,
    awaited: Mutex<HashMap<String, Awaited>>,
}

#[derive(Default)]
struct Awaited {
    waiting: usize,
    changed: Arc<Notify>,
}

impl Ears {
    pub(in crate::store) fn new(client: Client) -> Arc<Self> {
        Arc::new(Self {
            client,
            sink: AsyncMutex::default(),
            awaited: Mutex::default(),
        })
    }

    /// What is ready after the next change of `key`.
    pub(super) async fn watch(self: &Arc<Self>, key: &str) -> Result<Watch, StoreError> {
        // Counted from now on, so that nobody else unsubscribes.
        let place = Place {
            ears: Arc::clone(self),
            key: key.to_owned(),
        };
        let changed = {
            let mut awaited = self.awaited.lock();
            let awaited = awaited.entry(key.to_owned()).or_default();
            awaited.waiting += 1;
            Arc::clone(&awaited.changed).notified_owned()
        };
        let mut changed = Box::pin(changed);
        changed.as_mut().enable();
        let subscribe = async {
            let mut sink = self.sink.lock().await;
            if sink.is_none() {
                let (fresh, stream) = self.client.get_async_pubsub().await?.split();
                *sink = Some(fresh);
                tokio::spawn(listen(Arc::clone(self), stream));
            }
            match &mut *sink {
                // To subscribe once more does no harm.
                Some(sink) => sink.subscribe(key).await,
                None => Ok(()),
            }
        };
        let subscribed = tokio::time::timeout(LIMIT, subscribe).await;
        let subscribed = subscribed.map_err(|late| StoreError::new(late, Transience::Transient))?;
        subscribed.map_err(judge)?;
        Ok(Box::pin(async move {
            changed.await;
            drop(place);
        }))
    }

    /// One less waits for `key`.
    async fn leave(&self, key: &str) {
        let mut sink = self.sink.lock().await;
        let is_last = match self.awaited.lock().entry(key.to_owned()) {
            Entry::Occupied(awaited) if awaited.get().waiting <= 1 => {
                awaited.remove();
                true
            }
            Entry::Occupied(mut awaited) => {
                awaited.get_mut().waiting -= 1;
                false
            }
            Entry::Vacant(_) => false,
        };
        if let Some(sink) = sink.as_mut().filter(|_| is_last) {
            // A connection that fails is given up where it is listened to.
            drop(sink.unsubscribe(key).await);
        }
    }
}

async fn listen(ears: Arc<Ears>, mut stream: PubSubStream) {
    while let Some(message) = poll_fn(|context| Pin::new(&mut stream).poll_next(context)).await {
        let awaited = ears.awaited.lock();
        if let Some(awaited) = awaited.get(message.get_channel_name()) {
            awaited.changed.notify_waiters();
        }
    }
    // The next to wait connects anew. Who waits now looks for itself.
    ears.sink.lock().await.take();
    for awaited in ears.awaited.lock().values() {
        awaited.changed.notify_waiters();
    }
}

/// A place among those who wait for a key, given up when it is dropped.
struct Place {
    ears: Arc<Ears>,
    key: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        // Where no runtime is left, nobody listens any more either.
        if let Ok(runtime) = Handle::try_current() {
            let (ears, key) = (Arc::clone(&self.ears), std::mem::take(&mut self.key));
            runtime.spawn(async move { ears.leave(&key).await });
        }
    }
}
