use super::builder::WriteBehindBuilder;
use super::pending::Change;
use super::work::{Order, Work};
use crate::bounds::{Key, Value};
use crate::store::{LocalStore, QuickStore};
use crate::{Cache, CacheError, LoadError, Receipt};
use parking_lot::Mutex;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, TryAcquireError, mpsc, oneshot};

/// A cache whose writes reach the source later, in batches. Clones share it.
///
/// When the last handle is dropped, what is pending is written for as long as the runtime lives;
/// [`close`](WriteBehind::close) waits for it.
///
/// Other processes see a change in the far tier at once. If the far tier loses it before the source has it,
/// they may load the older value.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_cache::{Cache, Change, WriteBehind};
/// use std::collections::HashMap;
/// use std::convert::Infallible;
/// use std::sync::{Arc, Mutex};
/// use std::time::Duration;
///
/// let database = Arc::new(Mutex::new(HashMap::new()));
/// let table = Arc::clone(&database);
/// let write = move |changes: Vec<Change<u64, String>>| {
///     let mut table = table.lock().expect("no panic");
///     table.extend(changes.into_iter().map(|change| (change.key, change.value)));
///     std::future::ready(Ok::<_, Infallible>(()))
/// };
/// let users: Cache<u64, String> = Cache::builder("users").build()?;
/// let writer = WriteBehind::builder(users.clone(), write).build().await?;
/// writer.put(7, "seven".to_owned()).await?;
/// assert_eq!(users.get(&7).await.as_deref(), Some("seven"));
/// assert!(writer.close(Duration::from_secs(5)).await);
/// assert_eq!(database.lock().expect("no panic")[&7].as_deref(), Some("seven"));
/// # Ok(())
/// # }
/// ```
pub struct WriteBehind<K, V, S = QuickStore<K, V>> {
    work: Arc<Work<K, V, S>>,
    /// None once it is closed, for all handles.
    orders: Arc<Mutex<Option<Orders<K, V>>>>,
}

type Orders<K, V> = mpsc::Sender<Order<K, V>>;

/// A write-behind's figures since it was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteBehindStats {
    /// Changes that wait to be written.
    pub pending: u64,
    /// Changes that were written, or went to the dead letters; several of one key that waited together are
    /// one.
    pub written: u64,
    /// Attempts that failed.
    pub failed_attempts: u64,
    /// Changes that went to the dead letters.
    pub dead_letters: u64,
}

impl<K: Key, V: Value, S: LocalStore<K, V>> WriteBehind<K, V, S> {
    /// Begins a write-behind of `cache`, where `write` makes a batch of changes in the source: all of them,
    /// or none, or again what it has made before.
    pub fn builder<F, Fut, E>(cache: Cache<K, V, S>, write: F) -> WriteBehindBuilder<K, V, S>
    where
        F: Fn(Vec<Change<K, V>>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let write = move |changes| {
            let written = write(changes);
            Box::pin(async move { written.await.map_err(Into::into) }) as _
        };
        WriteBehindBuilder::new(cache, Box::new(write))
    }

    pub(super) fn new(work: Arc<Work<K, V, S>>, orders: Orders<K, V>) -> Self {
        Self {
            work,
            orders: Arc::new(Mutex::new(Some(orders))),
        }
    }

    /// Sets a value, and waits for room if too many changes are pending. It is acknowledged when the
    /// journal has it.
    ///
    /// # Errors
    ///
    /// [`CacheError::Journal`] when the journal cannot be written, and [`CacheError::Closed`]: whether it will
    /// be written is unknown. Those of [`Cache::insert`]: it will be written, and the cache may not know.
    ///
    /// # Cancel safety
    ///
    /// It may or may not have happened.
    pub async fn put(&self, key: K, value: V) -> Result<Receipt, CacheError> {
        let room = Arc::clone(&self.work.room).acquire_owned().await;
        let room = room.map_err(|_| CacheError::Closed)?;
        self.change(Change::new(key, Some(value)), room).await
    }

    /// As [`put`](WriteBehind::put), and refused if too many changes are pending.
    ///
    /// # Errors
    ///
    /// [`CacheError::WriteQueueFull`], and those of [`put`](WriteBehind::put).
    ///
    /// # Cancel safety
    ///
    /// It may or may not have happened.
    pub async fn try_put(&self, key: K, value: V) -> Result<Receipt, CacheError> {
        let room = Arc::clone(&self.work.room).try_acquire_owned();
        let room = room.map_err(|error| match error {
            TryAcquireError::NoPermits => CacheError::WriteQueueFull,
            TryAcquireError::Closed => CacheError::Closed,
        })?;
        self.change(Change::new(key, Some(value)), room).await
    }

    /// Deletes a key, and waits for room if too many changes are pending.
    ///
    /// # Errors
    ///
    /// As [`put`](WriteBehind::put).
    ///
    /// # Cancel safety
    ///
    /// It may or may not have happened.
    pub async fn delete(&self, key: K) -> Result<Receipt, CacheError> {
        let room = Arc::clone(&self.work.room).acquire_owned().await;
        let room = room.map_err(|_| CacheError::Closed)?;
        self.change(Change::new(key, None), room).await
    }

    async fn change(
        &self,
        change: Change<K, V>,
        room: OwnedSemaphorePermit,
    ) -> Result<Receipt, CacheError> {
        let orders = self.orders.lock().clone().ok_or(CacheError::Closed)?;
        let (taken, is_taken) = oneshot::channel();
        let key = change.key.clone();
        let order = Order {
            change,
            room,
            taken,
        };
        orders.send(order).await.map_err(|_| CacheError::Closed)?;
        is_taken.await.map_err(|_| CacheError::Closed)??;
        self.work.tell(key).await
    }

    /// The value of `key`: what is pending, or what the cache holds, or what `load` returns; none if its
    /// deletion is pending.
    ///
    /// # Errors
    ///
    /// As [`Cache::get_or_load`].
    ///
    /// # Cancel safety
    ///
    /// As [`Cache::get_or_load`].
    pub async fn get_or_load<E, F, Fut>(&self, key: K, load: F) -> Result<Option<V>, LoadError<E>>
    where
        E: Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let pending = self.work.pending.lock().of(&key);
        match pending {
            Some(value) => Ok(value),
            None => self.work.cache().get_or_load(key, load).await.map(Some),
        }
    }

    /// Writes what is pending without waiting for more, and returns when nothing is.
    ///
    /// # Cancel safety
    ///
    /// Writing goes on.
    pub async fn flush(&self) {
        self.work.is_hasty.store(true, Ordering::Release);
        self.work.called.notify_one();
        let mut left = self.work.left.subscribe();
        // The sender lives as long as `self`, so the wait ends without an error.
        drop(left.wait_for(|left| *left == 0).await);
    }

    /// Refuses further changes and writes what is pending; `false` if `limit` is over before that. Writing
    /// goes on then, and what a journal holds is not lost.
    ///
    /// # Cancel safety
    ///
    /// Writing goes on; calling again waits again.
    pub async fn close(&self, limit: Duration) -> bool {
        self.orders.lock().take();
        self.work.room.close();
        tokio::select! {
            biased;
            () = self.flush() => true,
            () = self.work.cache().shared.settings.time.sleep(limit) => false,
        }
    }

    /// The figures.
    #[must_use]
    pub fn stats(&self) -> WriteBehindStats {
        let work = &*self.work;
        WriteBehindStats {
            pending: u64::try_from(work.pending.lock().len()).unwrap_or(u64::MAX),
            written: work.written.load(Ordering::Relaxed),
            failed_attempts: work.retries.load(Ordering::Relaxed),
            dead_letters: work.buried.load(Ordering::Relaxed),
        }
    }
}

impl<K, V, S> Clone for WriteBehind<K, V, S> {
    fn clone(&self) -> Self {
        Self {
            work: Arc::clone(&self.work),
            orders: Arc::clone(&self.orders),
        }
    }
}

impl<K, V, S> fmt::Debug for WriteBehind<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteBehind")
            .field("cache", &self.work.settings.cache)
            .finish_non_exhaustive()
    }
}
