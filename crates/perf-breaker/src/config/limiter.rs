use super::human;
use crate::error::ConfigError;
use crate::limiter::KeyedLimiter;
use crate::name::Name;
use crate::quota::Quota;
use crate::shared::{SharedLimiter, SharedLimiterBuilder, StorePolicy};
use crate::store::RateLimitStore;
use std::time::Duration;

/// A limiter's settings as they stand in a configuration file. Only the quota must be given.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_breaker::{LimiterSettings, MemoryStore};
///
/// let settings: LimiterSettings = serde_json::from_str(
///     r#"{"quota": "100/minute; 10/second", "instances": 4, "policy": "closed", "timeout": "50ms"}"#,
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
    /// How long a call waits for the store, such as `"100ms"`.
    #[serde(default = "default_timeout", with = "human")]
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
