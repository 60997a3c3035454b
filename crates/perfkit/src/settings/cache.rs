use super::reader::{DAY, Section};
use std::time::Duration;

/// Caches.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheSettings {
    /// Whether values are kept. Without, callers who ask at once still share one load. Default: yes.
    pub enabled: bool,
    /// How long a value is fresh. Default: 5 min.
    pub default_ttl: Duration,
    /// How many values are kept. Default: 100,000.
    pub max_entries: u64,
    /// How long a load may take. Default: 30 s.
    pub load_timeout: Duration,
    /// How long beyond its time a value is served while it is loaded anew. Default: 0.
    pub stale_while_revalidate: Duration,
    /// How long beyond its time a value is served when it cannot be loaded. Default: 0.
    pub stale_if_error: Duration,
}

impl CacheSettings {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        let window = Duration::ZERO..=30 * DAY;
        Self {
            enabled: section.flag("enabled").unwrap_or(true),
            default_ttl: section
                .time("default_ttl", Duration::from_millis(10)..=30 * DAY)
                .unwrap_or(Duration::from_secs(300)),
            max_entries: section
                .count("max_entries", 1..=1_000_000_000)
                .unwrap_or(100_000),
            load_timeout: section
                .time("load_timeout", Duration::from_millis(1)..=DAY)
                .unwrap_or(Duration::from_secs(30)),
            stale_while_revalidate: section
                .time("stale_while_revalidate", window.clone())
                .unwrap_or_default(),
            stale_if_error: section.time("stale_if_error", window).unwrap_or_default(),
        }
    }
}
