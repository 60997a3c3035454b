use super::SecretUrl;
use super::reader::{DAY, Section};
use super::value;
use std::time::Duration;

/// The database and its pool, with the meaning that SQLAlchemy has given these names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatabaseSettings {
    /// Where it is: `postgres://…`, `mysql://…` or `sqlite:…`. Default: not said.
    pub url: Option<SecretUrl>,
    /// How many connections are kept, 1 to 100,000. Default: 10.
    pub pool_size: u32,
    /// How many more there may be in a burst, 0 to 100,000. Default: 10.
    pub pool_max_overflow: u32,
    /// How long a caller waits for a connection. Default: 5 s.
    pub pool_timeout: Duration,
    /// After what time a connection is replaced; `None`, written -1, for never. Default: 30 min.
    pub pool_recycle: Option<Duration>,
    /// Whether a connection is checked before each use. Default: not said, which means after a second
    /// without use.
    pub pool_pre_ping: Option<bool>,
}

impl DatabaseSettings {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        let schemes = ["postgres", "postgresql", "mysql", "mariadb", "sqlite"];
        let recycle = "a time above 0, at most ten years, or -1 for never";
        Self {
            url: section.url("url", &schemes),
            pool_size: section.count("pool_size", 1..=100_000).unwrap_or(10),
            pool_max_overflow: section
                .count("pool_max_overflow", 0..=100_000)
                .unwrap_or(10),
            pool_timeout: section
                .time("pool_timeout", Duration::from_millis(1)..=DAY)
                .unwrap_or(Duration::from_secs(5)),
            pool_recycle: section
                .read("pool_recycle", recycle, value::time_or_never)
                .unwrap_or(Some(Duration::from_secs(1_800))),
            pool_pre_ping: section.flag("pool_pre_ping"),
        }
    }
}
