//! Settings from outside: the environment, or any format that serde reads.

use crate::builder::PoolBuilder;
use crate::manager::Manager;
use std::fmt;
use std::time::Duration;

/// What an operator may say of a pool of database connections, with the meaning that SQLAlchemy has given
/// these names. What is left out keeps the value that the builder has.
///
/// | key | meaning | builder |
/// |---|---|---|
/// | `POOL_SIZE` | connections that are kept, at least 1 | [`max_idle`](PoolBuilder::max_idle) |
/// | `POOL_MAX_OVERFLOW` | more for bursts, closed on return | [`max_size`](PoolBuilder::max_size) = size + overflow |
/// | `POOL_TIMEOUT` | seconds that a caller waits | [`acquire_timeout`](PoolBuilder::acquire_timeout) |
/// | `POOL_RECYCLE` | seconds that a connection lives; -1 for any age | [`max_lifetime`](PoolBuilder::max_lifetime) |
/// | `POOL_PRE_PING` | whether a connection is checked before each use; `false` for never | [`check_after_idle`](PoolBuilder::check_after_idle) |
///
/// Leave `POOL_PRE_PING` out for what is best: a check after a second without use.
///
/// ```
/// use perf_pool::{Pool, PoolSettings, from_fn};
/// use std::io;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // In a service: `PoolSettings::from_pairs("DATABASE", std::env::vars())?`
/// let variables = [("DATABASE__POOL_SIZE", "5"), ("DATABASE__POOL_MAX_OVERFLOW", "15")];
/// let settings = PoolSettings::from_pairs("DATABASE", variables)?;
/// let pool = Pool::builder(from_fn(async || io::Result::Ok(0))).settings(&settings).build()?;
/// assert_eq!(pool.status().max_size, 20);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct PoolSettings {
    /// How many connections are kept.
    pub pool_size: Option<u32>,
    /// How many more there may be in a burst.
    pub pool_max_overflow: Option<u32>,
    /// How many seconds a caller waits for a connection.
    pub pool_timeout: Option<f64>,
    /// After how many seconds a connection is replaced; -1 for never.
    pub pool_recycle: Option<f64>,
    /// Whether a connection is checked before each use.
    pub pool_pre_ping: Option<bool>,
}

/// Every setting that makes no sense, each with its key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", join(.0))]
pub struct SettingsError(pub Vec<WrongSetting>);

/// One setting that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WrongSetting {
    /// The key as it was given.
    pub key: String,
    /// The value as it was given.
    pub value: String,
    /// What it should be.
    pub expected: &'static str,
}

impl PoolSettings {
    /// Reads the settings below `prefix` from pairs of names and values such as `DATABASE__POOL_SIZE` and
    /// `10`. Other names are not its business, but for those that begin like a setting and are none: they are
    /// typing errors that would otherwise be found in production.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] lists all that is wrong, not only the first.
    pub fn from_pairs<K, V>(
        prefix: &str,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, SettingsError>
    where
        K: AsRef<str>,
        V: AsRef<str>,
    {
        let start = format!("{prefix}__POOL_");
        let mut settings = Self::default();
        let mut wrong = Vec::new();
        for (key, value) in pairs {
            let Some(name) = key.as_ref().strip_prefix(&start) else {
                continue;
            };
            if let Err(expected) = settings.set(name, value.as_ref().trim()) {
                wrong.push(WrongSetting {
                    key: key.as_ref().to_owned(),
                    value: value.as_ref().to_owned(),
                    expected,
                });
            }
        }
        if wrong.is_empty() {
            Ok(settings)
        } else {
            Err(SettingsError(wrong))
        }
    }

    /// Finds what makes no sense in settings from elsewhere, such as a file.
    ///
    /// # Errors
    ///
    /// As [`PoolSettings::from_pairs`], with the fields' names as keys.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let mut wrong = Vec::new();
        let mut expect = |key: &str, value: String, is_right: bool, expected| {
            if !is_right {
                let key = key.to_owned();
                wrong.push(WrongSetting {
                    key,
                    value,
                    expected,
                });
            }
        };
        if let Some(size) = self.pool_size {
            expect("pool_size", size.to_string(), is_size(size), SIZE);
        }
        if let Some(overflow) = self.pool_max_overflow {
            let is_right = overflow <= MAX_SIZE;
            expect(
                "pool_max_overflow",
                overflow.to_string(),
                is_right,
                OVERFLOW,
            );
        }
        if let Some(seconds) = self.pool_timeout {
            expect(
                "pool_timeout",
                seconds.to_string(),
                is_time(seconds),
                SECONDS,
            );
        }
        if let Some(seconds) = self.pool_recycle {
            let is_right = is_never(seconds) || is_time(seconds);
            expect("pool_recycle", seconds.to_string(), is_right, RECYCLE);
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(SettingsError(wrong))
        }
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        match name {
            "SIZE" => self.pool_size = Some(parse(value, is_size, SIZE)?),
            "MAX_OVERFLOW" => {
                let overflow = parse(value, |overflow: u32| overflow <= MAX_SIZE, OVERFLOW)?;
                self.pool_max_overflow = Some(overflow);
            }
            "TIMEOUT" => self.pool_timeout = Some(parse(value, is_time, SECONDS)?),
            "RECYCLE" => {
                let is_right = |seconds| is_never(seconds) || is_time(seconds);
                self.pool_recycle = Some(parse(value, is_right, RECYCLE)?);
            }
            "PRE_PING" => self.pool_pre_ping = Some(parse_flag(value)?),
            _ => return Err(NAMES),
        }
        Ok(())
    }
}

impl<M: Manager> PoolBuilder<M> {
    /// Applies what an operator has said; what is left out stays as it is.
    pub fn settings(mut self, settings: &PoolSettings) -> Self {
        if settings.pool_size.is_some() || settings.pool_max_overflow.is_some() {
            let size = settings.pool_size.unwrap_or_else(|| self.current_size());
            let overflow = settings.pool_max_overflow.unwrap_or(0);
            self = self.max_size(size.saturating_add(overflow));
            if overflow > 0 {
                self = self.max_idle(size);
            }
        }
        if let Some(seconds) = settings.pool_timeout {
            self = self.acquire_timeout(duration(seconds));
        }
        if let Some(seconds) = settings.pool_recycle {
            self = self.recycled_after((!is_never(seconds)).then(|| duration(seconds)));
        }
        match settings.pool_pre_ping {
            Some(true) => self.check_after_idle(Duration::ZERO),
            Some(false) => self.check_after_idle(None),
            None => self,
        }
    }
}

const MAX_SIZE: u32 = 100_000;
/// Ten years: what is longer is a typing error, or "never".
const MAX_SECONDS: f64 = 315_360_000.0;
const SIZE: &str = "a number of connections from 1 to 100,000";
const OVERFLOW: &str = "a number of connections from 0 to 100,000";
const SECONDS: &str = "a number of seconds above 0, at most ten years";
const RECYCLE: &str = "a number of seconds above 0, at most ten years, or -1 for never";
const FLAG: &str = "true or false";
const NAMES: &str = "no such setting: there are SIZE, MAX_OVERFLOW, TIMEOUT, RECYCLE and PRE_PING";

const fn is_size(size: u32) -> bool {
    1 <= size && size <= MAX_SIZE
}

fn is_time(seconds: f64) -> bool {
    seconds > 0.0 && seconds <= MAX_SECONDS
}

fn is_never(seconds: f64) -> bool {
    seconds == -1.0
}

fn parse<T: std::str::FromStr + Copy>(
    value: &str,
    is_right: impl Fn(T) -> bool,
    expected: &'static str,
) -> Result<T, &'static str> {
    let parsed = value.parse().ok().filter(|value| is_right(*value));
    parsed.ok_or(expected)
}

fn parse_flag(value: &str) -> Result<bool, &'static str> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(FLAG),
    }
}

/// Wrong values, which `validate` reports, become a zero that `build` refuses.
fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn join(wrong: &[WrongSetting]) -> String {
    let lines: Vec<_> = wrong.iter().map(ToString::to_string).collect();
    lines.join("; ")
}

impl fmt::Display for WrongSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            value,
            expected,
        } = self;
        write!(f, "{key}={value}: expected {expected}")
    }
}
