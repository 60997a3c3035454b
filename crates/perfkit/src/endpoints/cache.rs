use super::EndpointsBuilder;
use super::actions::Operable;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use perf_cache::store::LocalStore;
use perf_cache::{Cache, Key, Value};
use perf_core::Inspect;
use std::sync::Arc;

impl EndpointsBuilder {
    /// Lets those who may act clear a cache, or what in it has a tag. To be seen, it is registered besides.
    ///
    /// ```
    /// # fn main() -> Result<(), perfkit::cache::CacheError> {
    /// use perfkit::cache::Cache;
    /// use perfkit::core::Registry;
    /// use perfkit::endpoints::Endpoints;
    ///
    /// let registry = Registry::new();
    /// let airports: Cache<u32, String> = Cache::builder("airports").build()?;
    /// airports.register(&registry);
    /// let endpoints = Endpoints::builder(&registry)
    ///     .cache(&airports)
    ///     .actions(|head| head.headers.contains_key("x-operator"))
    ///     .build();
    /// # Ok(())
    /// # }
    /// ```
    pub fn cache<K: Key, V: Value, S: LocalStore<K, V>>(mut self, cache: &Cache<K, V, S>) -> Self {
        self.operables.push(Arc::new(cache.clone()));
        self
    }
}

impl<K: Key, V: Value, S: LocalStore<K, V>> Operable for Cache<K, V, S> {
    fn kind(&self) -> &'static str {
        Inspect::kind(self)
    }

    fn name(&self) -> String {
        Inspect::name(self).into_owned()
    }

    fn actions(&self) -> &'static [&'static str] {
        &["clear"]
    }

    fn actions_of(&self) -> &'static [&'static str] {
        &["clear tag"]
    }

    fn perform<'a>(&'a self, _: &'a str, of: Option<&'a str>) -> BoxFuture<'a, Result<(), String>> {
        let told = async move {
            let told = match of {
                Some(tag) => self.invalidate_tag(tag).await,
                None => self.clear().await,
            };
            told.map(drop).map_err(|error| error.to_string())
        };
        told.boxed()
    }
}
