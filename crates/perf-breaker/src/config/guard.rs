use super::human;
use super::{BreakerSettings, BulkheadSettings, RetrySettings};
use crate::error::ConfigError;
use crate::guard::{Guard, GuardBuilder};
use crate::limiter::RateLimiter;
use crate::name::Name;
use crate::quota::Quota;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// The stages of a [`Guard`]. Those that are missing are left out.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_breaker::GuardSettings;
///
/// let config: GuardSettings = serde_json::from_str(
///     r#"{
///         "retry": {"attempts": 2, "base": "50ms"},
///         "rate": "100/minute; 10/second",
///         "breaker": {"window_calls": 100, "open_for": "30s"},
///         "bulkhead": {"places": 20, "queue": 100, "max_wait": "1s"},
///         "timeout": "250ms"
///     }"#,
/// )?;
/// let guard = config.build("billing")?;
/// assert_eq!(guard.call(|| async { Ok::<_, std::io::Error>(7) }).await?, 7);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct GuardSettings {
    /// What failed is repeated so.
    pub retry: Option<RetrySettings>,
    /// How many attempts are made.
    pub rate: Option<Quota>,
    /// How long one waits for the rate limit.
    #[serde(with = "human")]
    pub rate_wait: Duration,
    /// When none are made.
    pub breaker: Option<BreakerSettings>,
    /// How many are under way at once.
    pub bulkhead: Option<BulkheadSettings>,
    /// How long one may take.
    #[serde(with = "human::optional")]
    pub timeout: Option<Duration>,
}

impl GuardSettings {
    /// The guard; its parts carry `name`.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] names the first setting that cannot work.
    pub fn build(&self, name: impl Into<Name>) -> Result<Guard, ConfigError> {
        let name = name.into();
        let mut builder = GuardBuilder::from_config(self.breaker.as_ref(), &name)?;
        if let Some(retry) = &self.retry {
            builder = builder.retry(retry.build()?);
        }
        if let Some(quota) = &self.rate {
            let limiter = RateLimiter::new(quota).named(name.clone());
            builder = builder.rate_within(Arc::new(limiter), self.rate_wait);
        }
        if let Some(bulkhead) = &self.bulkhead {
            builder = builder.bulkhead(bulkhead.build(name)?);
        }
        if let Some(limit) = self.timeout {
            builder = builder.timeout(limit);
        }
        builder.build()
    }
}

impl GuardBuilder {
    /// With a breaker or without: both have the classifier that takes every error for a failure.
    fn from_config(breaker: Option<&BreakerSettings>, name: &Name) -> Result<Self, ConfigError> {
        Ok(match breaker {
            Some(breaker) => Guard::builder().breaker(breaker.build(name.clone())?),
            None => Guard::builder(),
        })
    }
}
