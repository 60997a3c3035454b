use crate::bounds::{Key, Value};
use crate::store::LocalStore;
use crate::{Cache, CacheError, EntryPolicy, Receipt};
use thiserror::Error;

/// Why a [write through](Cache::write_through) failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriteError<E> {
    /// The source was not written, as far as it says. The key has been invalidated.
    #[error("the source cannot be written")]
    Writer(#[source] E),
    /// The source was written, or was not begun to be; what the cache then could not do.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The write panicked, or its runtime shut down. The key has been invalidated if that was possible.
    #[error("the write was aborted")]
    Aborted,
}

impl<E> WriteError<E> {
    /// Whether writing again may succeed. Of the source's own errors that is not known: it is taken as
    /// `false`.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Writer(_) | Self::Aborted => false,
            Self::Cache(error) => error.is_transient(),
        }
    }
}

impl<K: Key, V: Value, S: LocalStore<K, V>> Cache<K, V, S> {
    /// Writes to the source, then to the cache.
    ///
    /// `write` runs as a task of its own: a caller that is dropped leaves neither half done. Two of
    /// one key that race may end in either order here as in the source; where that can be, write to
    /// the source and [`invalidate`](Cache::invalidate).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use perf_cache::{Cache, EntryPolicy, Receipt};
    ///
    /// async fn update(user: u64, name: String) -> Result<(), std::io::Error> {
    ///     assert_eq!((user, &*name), (7, "seven")); // in the database
    ///     Ok(())
    /// }
    ///
    /// let users: Cache<u64, String> = Cache::builder("users").build()?;
    /// let write = |user, name| update(user, name);
    /// let policy = EntryPolicy::new();
    /// let receipt = users.write_through(7, "seven".to_owned(), policy, write).await?;
    /// assert_eq!(receipt, Receipt::Acked);
    /// assert_eq!(users.get(&7).await.as_deref(), Some("seven"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`WriteError::Writer`] with the error of `write`, [`WriteError::Aborted`] if it panics, and those of
    /// [`insert_with`](Cache::insert_with).
    ///
    /// # Cancel safety
    ///
    /// The write goes on, and the cache is told.
    pub async fn write_through<E, F, Fut>(
        &self,
        key: K,
        value: V,
        policy: EntryPolicy,
        write: F,
    ) -> Result<Receipt, WriteError<E>>
    where
        E: Send + 'static,
        F: FnOnce(K, V) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
    {
        self.shared.ensure_open()?;
        let runtime = self.shared.runtime()?;
        let (cache, own) = (self.clone(), key.clone());
        let task = runtime.spawn(async move {
            let written = write(key.clone(), value.clone()).await;
            match written {
                Ok(()) => Ok(cache.shared.insert(key, value, policy).await?),
                Err(error) => {
                    // A source that failed may have been written all the same.
                    drop(cache.shared.invalidate(&key, || key.clone()).await);
                    Err(WriteError::Writer(error))
                }
            }
        });
        match task.await {
            Ok(result) => result,
            Err(_) => {
                drop(self.shared.invalidate(&own, || own.clone()).await);
                Err(WriteError::Aborted)
            }
        }
    }
}
