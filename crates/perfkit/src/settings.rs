//! The settings of a whole service, from defaults, a file and the environment.
//!
//! A service that starts with half of its settings misread fails later and elsewhere, so everything is
//! read at once and everything that is wrong is told at once: each problem names the key, where its value
//! came from, and what it should be. A key that does not exist is a problem too, with the key that was
//! probably meant. The usual way, one `Deserialize` over all sources, stops at the first problem, knows no
//! sources, and takes a typing error for a setting left out.
//!
//! Each section is a struct that asks a reader for its keys one by one. What was asked for is what exists:
//! there is no list of keys beside the code that could fall behind it.
//!
//! | section | for | keys |
//! |---|---|---|
//! | `database` | [`DatabaseSettings`] | `url`, `pool_size`, `pool_max_overflow`, `pool_timeout`, `pool_recycle`, `pool_pre_ping` |
//! | `redis` | [`RedisSettings`] | `url`, `pool_size`, `max_connections`, `timeout` |
//! | `cache` | [`CacheSettings`] | `enabled`, `default_ttl`, `max_entries`, `load_timeout`, `stale_while_revalidate`, `stale_if_error` |
//! | `rate_limit` | [`RateLimitSettings`] | `enabled`, `per_second`, `per_minute`, `per_hour`, `max_clients` |
//! | `circuit_breaker` | [`CircuitBreakerSettings`] | `failure_rate`, `consecutive_failures`, `open_for`, `timeout`, `probes` |
//! | `pagination` | [`PaginationSettings`] | `default_size`, `max_size` |
//! | `performance` | [`PerformanceSettings`] | `query_slow_threshold`, `request_slow_threshold`, `n_plus_one_threshold`, `bulk_insert_chunk_size`, `async_worker_count`, `async_queue_size` |
//!
//! In the environment a key is written `DATABASE__POOL_SIZE`, or flat, `DATABASE_POOL_SIZE`. Durations are
//! numbers of seconds or text such as `"250ms"` and `"1m 30s"`. An empty variable counts as not set.
//!
//! ```
//! use perfkit::settings::Settings;
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), perfkit::settings::SettingsError> {
//! // In a service: `Settings::load()?`
//! let variables = [("CACHE__DEFAULT_TTL", "90"), ("DATABASE_POOL_SIZE", "5")];
//! let settings = Settings::loader().variables(variables).load()?;
//! assert_eq!(settings.cache.default_ttl, Duration::from_secs(90));
//! assert_eq!(settings.database.pool_size, 5);
//!
//! let variables = [("CACHE__DEFAULT_TTL", "soon"), ("DATABASE__POL_SIZE", "5")];
//! let error = Settings::loader().variables(variables).load().unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "cache.default_ttl (environment variable CACHE__DEFAULT_TTL): \"soon\" is not a time from 10ms to 30days; \
//!      database.pol_size (environment variable DATABASE__POL_SIZE): no such setting, did you mean database.pool_size?"
//! );
//! # Ok(())
//! # }
//! ```

mod builders;
mod cache;
mod circuit_breaker;
mod database;
mod error;
mod loader;
mod pagination;
mod performance;
mod rate_limit;
mod reader;
mod redis;
mod secret;
mod value;
mod variables;

use figment::Figment;
use reader::Reader;

pub use cache::CacheSettings;
pub use circuit_breaker::CircuitBreakerSettings;
pub use database::DatabaseSettings;
pub use error::{Problem, SettingsError};
pub use loader::Loader;
pub use pagination::PaginationSettings;
pub use performance::PerformanceSettings;
pub use rate_limit::RateLimitSettings;
pub use redis::RedisSettings;
pub use secret::SecretUrl;

/// Every setting. `Default` is what holds where nobody says anything.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// The database and its pool.
    pub database: DatabaseSettings,
    /// Redis and its pools.
    pub redis: RedisSettings,
    /// Caches.
    pub cache: CacheSettings,
    /// The limit of each client.
    pub rate_limit: RateLimitSettings,
    /// Breakers before other services.
    pub circuit_breaker: CircuitBreakerSettings,
    /// Sizes of pages.
    pub pagination: PaginationSettings,
    /// Thresholds, bulk writes and workers.
    pub performance: PerformanceSettings,
}

impl Settings {
    /// The file that [`Settings::load`] reads in the working folder.
    pub const FILE: &'static str = "perfkit.toml";

    /// Reads [`Settings::FILE`] if it is there, and the environment, which goes before it.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] lists all that is wrong.
    pub fn load() -> Result<Self, SettingsError> {
        Self::loader()
            .file_if_present(Self::FILE)
            .environment()
            .load()
    }

    /// Begins without sources, for those that are chosen.
    pub fn loader() -> Loader {
        Loader::default()
    }

    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            database: DatabaseSettings::read(&mut reader.section("database")),
            redis: RedisSettings::read(&mut reader.section("redis")),
            cache: CacheSettings::read(&mut reader.section("cache")),
            rate_limit: RateLimitSettings::read(&mut reader.section("rate_limit")),
            circuit_breaker: CircuitBreakerSettings::read(&mut reader.section("circuit_breaker")),
            pagination: PaginationSettings::read(&mut reader.section("pagination")),
            performance: PerformanceSettings::read(&mut reader.section("performance")),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::read(&mut Reader::new(&Figment::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_every_key_in_its_section() {
        let nothing = Figment::new();
        let mut reader = Reader::new(&nothing);
        Settings::read(&mut reader);
        let rows: Vec<_> = include_str!("settings.rs")
            .lines()
            .filter(|line| line.starts_with("//! | `"))
            .collect();
        for (section, key) in reader.known.iter().filter_map(|key| key.split_once('.')) {
            let start = format!("//! | `{section}` |");
            let row = rows.iter().find(|row| row.starts_with(&start));
            let named = row.is_some_and(|row| row.contains(&format!("`{key}`")));
            assert!(named, "the table lacks {section}.{key}");
        }
        let keys: usize = rows
            .iter()
            .map(|row| row.matches('`').count() / 2 - 2)
            .sum();
        assert_eq!(
            keys,
            reader.known.len(),
            "the table names a key that is none"
        );
    }
}
