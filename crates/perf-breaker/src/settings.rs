//! Limits in configuration files.

use crate::error::ConfigError;
use crate::limiter::KeyedLimiter;
use crate::name::Name;
use crate::quota::{Limit, Quota};
use crate::shared::{SharedLimiter, SharedLimiterBuilder, StorePolicy};
use crate::store::RateLimitStore;
use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};
use std::time::Duration;

/// A limiter's settings as they stand in a configuration file. Only the quota must be given.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_breaker::{LimiterSettings, MemoryStore};
///
/// let settings: LimiterSettings = serde_json::from_str(
///     r#"{"quota": "100/minute; 10/second", "instances": 4, "policy": "closed", "timeout": "50 ms"}"#,
/// )?;
/// assert!(settings.keyed()?.check("alice").is_allowed());
/// let limiter = settings.shared("api", MemoryStore::new()).build()?;
///
/// let error = serde_json::from_str::<LimiterSettings>(r#"{"quota": "0/minute"}"#).unwrap_err();
/// assert!(error.to_string().starts_with("quota count is 0, must be 1 to "));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LimiterSettings {
    /// What each key may do.
    pub quota: Quota,
    /// How many keys are remembered in this process.
    #[serde(default = "default_capacity")]
    pub capacity: usize,
    /// How many processes share the limit.
    #[serde(default = "default_instances")]
    pub instances: u32,
    /// How many calls are taken from the store at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leases: Option<u32>,
    /// What decides while the store cannot.
    #[serde(default)]
    pub policy: StorePolicy,
    /// How long a call waits for the store, as a number and a unit: `"100 ms"`.
    #[serde(default = "default_timeout", with = "spoken")]
    pub timeout: Duration,
}

const fn default_capacity() -> usize {
    100_000
}

const fn default_instances() -> u32 {
    1
}

const fn default_timeout() -> Duration {
    Duration::from_millis(100)
}

impl LimiterSettings {
    /// A limiter in this process.
    ///
    /// # Errors
    ///
    /// As [`KeyedLimiter::new`].
    pub fn keyed(&self) -> Result<KeyedLimiter, ConfigError> {
        KeyedLimiter::new(&self.quota, self.capacity)
    }

    /// A limiter that shares its counts through `store`, to be built.
    pub fn shared(
        &self,
        name: impl Into<Name>,
        store: impl RateLimitStore,
    ) -> SharedLimiterBuilder {
        let builder = SharedLimiter::builder(name, &self.quota, store)
            .capacity(self.capacity)
            .instances(self.instances)
            .policy(self.policy)
            .timeout(self.timeout);
        match self.leases {
            Some(calls) => builder.leases(calls),
            None => builder,
        }
    }
}

impl Serialize for Quota {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// As it is written: `"100/minute; 10/second"`.
impl<'de> Deserialize<'de> for Quota {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(Error::custom)
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let quota = Quota::deserialize(deserializer)?;
        match quota.limits() {
            [limit] => Ok(*limit),
            _ => Err(Error::custom("one limit is expected, not several")),
        }
    }
}

impl Serialize for StorePolicy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Local => "local",
            Self::Open => "open",
            Self::Closed => "closed",
        })
    }
}

impl<'de> Deserialize<'de> for StorePolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match &*String::deserialize(deserializer)? {
            "local" => Ok(Self::Local),
            "open" => Ok(Self::Open),
            "closed" => Ok(Self::Closed),
            other => Err(Error::unknown_variant(other, &["local", "open", "closed"])),
        }
    }
}

/// A duration in the words of a quota's period.
mod spoken {
    use crate::quota::{in_units, parse_period};
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;
    use std::time::Duration;

    pub(super) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let (number, _, unit) = in_units(nanos);
        serializer.collect_str(&format_args!("{number} {unit}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        let nanos = parse_period(text.trim()).map_err(Error::custom)?;
        Ok(Duration::from_nanos(nanos))
    }
}
