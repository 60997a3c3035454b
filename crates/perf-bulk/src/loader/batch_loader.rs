//! The handle and its construction.

use super::Loader;
use super::cache::RequestCache;
use super::load::Load;
use super::shared::Shared;
use crate::error::{BulkError, LoadError};
use futures_util::future::join_all;
use perf_core::{Clock, Inspect, Registry, Sample, SystemClock};
use std::borrow::Cow;
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

/// Turns single look-ups that wait at the same time into one call of a [`Loader`]. Clones share their
/// queue.
///
/// Loads need a tokio runtime; without one they are answered with [`LoadError::Abandoned`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_bulk::BatchLoader;
/// use std::collections::HashMap;
/// use std::convert::Infallible;
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// static QUERIES: AtomicU32 = AtomicU32::new(0);
/// let names = BatchLoader::new(|carriers: Vec<&'static str>| async move {
///     QUERIES.fetch_add(1, Ordering::Relaxed); // SELECT … WHERE carrier IN (…)
///     let known = HashMap::from([("DL", "Delta"), ("UA", "United")]);
///     Ok::<_, Infallible>(
///         carriers.into_iter().filter_map(|c| Some((c, *known.get(c)?))).collect(),
///     )
/// });
///
/// let (delta, united, nobody) = tokio::join!(names.load("DL"), names.load("UA"), names.load("ZZ"));
/// assert_eq!((delta?, united?, nobody?), (Some("Delta"), Some("United"), None));
/// assert_eq!(QUERIES.load(Ordering::Relaxed), 1);
/// # Ok(())
/// # }
/// ```
pub struct BatchLoader<K, V, E: Error + 'static> {
    pub(super) shared: Arc<Shared<K, V, E>>,
}

impl<K, V, E> BatchLoader<K, V, E>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    /// The most keys of one call, unless [`max_batch`](BatchLoaderBuilder::max_batch) says otherwise.
    pub const DEFAULT_MAX_BATCH: usize = 1_000;

    /// A loader with all settings at their defaults.
    pub fn new<L: Loader<K, Value = V, Error = E>>(loader: L) -> Self {
        let clock = Arc::new(SystemClock);
        let name = "batch_loader".to_owned();
        Self {
            shared: Shared::new(loader, name, Self::DEFAULT_MAX_BATCH, clock),
        }
    }

    /// A loader to be set up.
    pub fn builder<L: Loader<K, Value = V, Error = E>>(loader: L) -> BatchLoaderBuilder<L> {
        BatchLoaderBuilder {
            loader,
            name: "batch_loader".to_owned(),
            max_batch: Self::DEFAULT_MAX_BATCH,
            clock: Arc::new(SystemClock),
        }
    }

    /// Loads the value of `key`; `None` if there is none.
    ///
    /// The load starts after this call: a value written before is seen.
    ///
    /// # Errors
    ///
    /// [`LoadError::Failed`] when the loader failed for the key or its batch, [`LoadError::Abandoned`]
    /// when it panicked or its runtime ended.
    ///
    /// # Cancel safety
    ///
    /// Dropped at any point, nobody else is held up, and a key that nobody else waits for is not asked for.
    pub const fn load(&self, key: K) -> Load<'_, K, V, E> {
        Load::new(self, None, key)
    }

    /// Loads the values of many keys; those without one are left out.
    ///
    /// # Errors
    ///
    /// That of the first key that has one, as [`BatchLoader::load`].
    ///
    /// # Cancel safety
    ///
    /// As [`BatchLoader::load`].
    pub async fn load_many(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<HashMap<K, V>, LoadError<E>> {
        let loads = keys.into_iter().map(|key| async {
            let value = self.load(key.clone()).await?;
            Ok(value.map(|value| (key, value)))
        });
        let found: Result<Vec<_>, _> = join_all(loads).await.into_iter().collect();
        Ok(found?.into_iter().flatten().collect())
    }

    /// Shows the loader in `registry` for as long as a handle of it lives.
    pub fn register(&self, registry: &Registry) {
        registry.register(&self.shared);
    }

    /// A cache in front of this loader, for the duration of one request.
    #[must_use]
    pub fn request_cache(&self) -> RequestCache<K, V, E> {
        RequestCache::new(self.clone())
    }
}

impl<K, V, E: Error> Clone for BatchLoader<K, V, E> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<K, V, E: Error> fmt::Debug for BatchLoader<K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchLoader")
            .field("name", &self.shared.name)
            .finish_non_exhaustive()
    }
}

impl<K, V, E> Inspect for BatchLoader<K, V, E>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    fn name(&self) -> Cow<'_, str> {
        self.shared.name()
    }

    fn kind(&self) -> &'static str {
        self.shared.kind()
    }

    fn samples(&self, samples: &mut Vec<Sample>) {
        self.shared.samples(samples);
    }
}

/// Sets up a [`BatchLoader`].
#[must_use]
pub struct BatchLoaderBuilder<L> {
    loader: L,
    name: String,
    max_batch: usize,
    clock: Arc<dyn Clock>,
}

impl<L> BatchLoaderBuilder<L> {
    /// The name under which it shows its figures; default `batch_loader`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The most keys of one call; default 1,000. Zero, as it may stand in a configuration file, is an
    /// error of [`build`](Self::build).
    pub const fn max_batch(mut self, keys: usize) -> Self {
        self.max_batch = keys;
        self
    }

    /// The clock of the watchdog; default [`SystemClock`].
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The loader.
    ///
    /// # Errors
    ///
    /// [`BulkError::Config`] for a maximum of zero keys.
    pub fn build<K>(self) -> Result<BatchLoader<K, L::Value, L::Error>, BulkError>
    where
        K: Clone + Eq + Hash + Send + 'static,
        L: Loader<K>,
    {
        if self.max_batch == 0 {
            return Err(BulkError::Config("a batch needs at least one key"));
        }
        Ok(BatchLoader {
            shared: Shared::new(self.loader, self.name, self.max_batch, self.clock),
        })
    }
}

impl<L> fmt::Debug for BatchLoaderBuilder<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchLoaderBuilder")
            .field("name", &self.name)
            .field("max_batch", &self.max_batch)
            .finish_non_exhaustive()
    }
}
