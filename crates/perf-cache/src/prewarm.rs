use std::num::NonZeroUsize;
use std::sync::Arc;
use tokio::task::JoinSet;

use crate::bounds::{Key, Value};
use crate::store::LocalStore;
use crate::{Cache, CacheError, EntryPolicy, Source};

/// How far a prewarming has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Prewarmed {
    /// Keys that a tier held already.
    pub found: u64,
    /// Keys that were loaded.
    pub loaded: u64,
    /// Keys whose load failed.
    pub failed: u64,
}

impl Prewarmed {
    fn count(&mut self, source: Option<Source>) {
        match source {
            Some(Source::Loaded) => self.loaded += 1,
            Some(_) => self.found += 1,
            None => self.failed += 1,
        }
    }
}

impl<K: Key, V: Value, S: LocalStore<K, V>> Cache<K, V, S> {
    /// Loads keys before they are asked for, at most `concurrency` at a time, and tells `progress` after
    /// each.
    ///
    /// A load that fails is counted, and the others go on.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use perf_cache::Cache;
    /// use std::convert::Infallible;
    /// use std::num::NonZeroUsize;
    ///
    /// let squares: Cache<u64, u64> = Cache::builder("squares").build()?;
    /// let eight = NonZeroUsize::new(8).expect("not zero");
    /// let square = |key| async move { Ok::<_, Infallible>(key * key) };
    /// let done = squares.prewarm(0..100, eight, square, |_| {}).await?;
    /// assert_eq!((done.loaded, done.failed), (100, 0));
    /// assert_eq!(squares.near(&12), Some(144));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`CacheError::Closed`], and [`CacheError::NoRuntime`].
    ///
    /// # Cancel safety
    ///
    /// No further loads start; those under way go on.
    pub async fn prewarm<E, I, F, Fut>(
        &self,
        keys: I,
        concurrency: NonZeroUsize,
        load: F,
        mut progress: impl FnMut(Prewarmed) + Send,
    ) -> Result<Prewarmed, CacheError>
    where
        E: Send + Sync + 'static,
        I: IntoIterator<Item = K, IntoIter: Send> + Send,
        F: Fn(K) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        self.shared.ensure_open()?;
        let runtime = self.shared.runtime()?;
        let load = Arc::new(load);
        let mut done = Prewarmed::default();
        let mut running = JoinSet::new();
        let mut keys = keys.into_iter();
        loop {
            while running.len() < concurrency.get()
                && let Some(key) = keys.next()
            {
                let (cache, load) = (self.clone(), Arc::clone(&load));
                let warm = async move {
                    let own = key.clone();
                    let load = move || load(own);
                    let lookup = cache.lookup_or_load(key, EntryPolicy::new(), load).await;
                    lookup.ok().map(|lookup| lookup.source)
                };
                running.spawn_on(warm, &runtime);
            }
            match running.join_next().await {
                Some(source) => done.count(source.ok().flatten()),
                None => return Ok(done),
            }
            progress(done);
        }
    }
}
