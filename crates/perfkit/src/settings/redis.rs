use super::SecretUrl;
use super::reader::{DAY, Section};
use std::time::Duration;

/// Redis and its pools.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisSettings {
    /// Where it is: `redis://…` or `rediss://…`. Default: not said.
    pub url: Option<SecretUrl>,
    /// How many connections all callers share, 1 to 1,000. Default: 4.
    pub pool_size: usize,
    /// How many connections there may be for callers who need one to themselves, 1 to 100,000. Default: 50.
    pub max_connections: u32,
    /// How long a caller waits for a connection. Default: 5 s.
    pub timeout: Duration,
}

impl RedisSettings {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        let schemes = ["redis", "rediss", "redis+unix", "unix"];
        Self {
            url: section.url("url", &schemes),
            pool_size: section.count("pool_size", 1..=1_000).unwrap_or(4),
            max_connections: section.count("max_connections", 1..=100_000).unwrap_or(50),
            timeout: section
                .time("timeout", Duration::from_millis(1)..=DAY)
                .unwrap_or(Duration::from_secs(5)),
        }
    }
}
