use crate::settings::CacheSettings;
use perf_cache::{Cache, CacheBuilder, Key, Value};
use std::borrow::Cow;
use std::time::Duration;

impl CacheSettings {
    /// A cache with these settings, to be completed and built.
    ///
    /// ```
    /// use perfkit::settings::Settings;
    /// use std::convert::Infallible;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let settings = Settings::loader().variables([("CACHE__ENABLED", "false")]).load()?;
    /// let airports = settings.cache.builder::<u32, &str>("airports").build()?;
    /// airports.get_or_load(1, async || Ok::<_, Infallible>("EWR")).await?;
    /// assert_eq!(airports.get(&1).await, None); // nothing is kept
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder<K: Key, V: Value>(
        &self,
        name: impl Into<Cow<'static, str>>,
    ) -> CacheBuilder<K, V> {
        let builder = Cache::builder(name)
            .ttl(self.default_ttl)
            .max_entries(self.max_entries)
            .load_timeout(self.load_timeout)
            .stale_while_revalidate(self.stale_while_revalidate)
            .stale_if_error(self.stale_if_error);
        if self.enabled {
            builder
        } else {
            builder.ttl_by(|_, _| Some(Duration::ZERO))
        }
    }
}
