use super::human;
use crate::breaker::{BreakerBuilder, CircuitBreaker};
use crate::error::ConfigError;
use crate::name::Name;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The settings of a [`CircuitBreaker`]; the methods of [`BreakerBuilder`] say what each means.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_breaker::BreakerSettings;
///
/// let config: BreakerSettings =
///     serde_json::from_str(r#"{"failure_rate": 0.3, "open_for": "10s", "slow_limit": "250ms"}"#)?;
/// let breaker = config.build("billing")?;
/// assert!(breaker.admit().is_ok());
///
/// let config: BreakerSettings = serde_json::from_str(r#"{"failure_rate": 1.5}"#)?;
/// let error = config.build("billing").unwrap_err();
/// assert_eq!(error.to_string(), "failure rate is 1.5, must be above 0 and at most 1");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BreakerSettings {
    /// The calls that a count window holds; without it, the window is one of time.
    pub window_calls: Option<usize>,
    /// What a time window spans.
    #[serde(with = "human")]
    pub window_time: Duration,
    /// How many buckets a time window has.
    pub window_buckets: usize,
    /// The share of failed calls that opens it; null to judge none.
    pub failure_rate: Option<f64>,
    /// From what time on a call is slow; without it, none is.
    #[serde(with = "human::optional")]
    pub slow_limit: Option<Duration>,
    /// The share of slow calls that opens it.
    pub slow_rate: f64,
    /// How many failures in a row open it; 0 for no such rule.
    pub consecutive_failures: u32,
    /// How many calls the window must hold before a share is judged.
    pub min_calls: Option<u32>,
    /// The open time at first.
    #[serde(with = "human")]
    pub open_for: Duration,
    /// The longest open time.
    #[serde(with = "human")]
    pub max_open: Duration,
    /// The share of the open time that is random.
    pub open_jitter: f64,
    /// How many calls probe.
    pub probes: u16,
    /// How many probes must succeed.
    pub probe_successes: Option<u16>,
    /// How long a probe may take to report.
    #[serde(with = "human::optional")]
    pub probe_lease: Option<Duration>,
    /// How long a call may take.
    #[serde(with = "human::optional")]
    pub timeout: Option<Duration>,
    /// Over what time calls are let back in.
    #[serde(with = "human")]
    pub readmit_over: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            window_calls: None,
            window_time: Duration::from_secs(10),
            window_buckets: 10,
            failure_rate: Some(0.5),
            slow_limit: None,
            slow_rate: 0.9,
            consecutive_failures: 5,
            min_calls: None,
            open_for: Duration::from_secs(5),
            max_open: Duration::from_secs(60),
            open_jitter: 0.25,
            probes: 3,
            probe_successes: None,
            probe_lease: None,
            timeout: None,
            readmit_over: Duration::ZERO,
        }
    }
}

impl BreakerSettings {
    /// The breaker.
    ///
    /// # Errors
    ///
    /// As [`BreakerBuilder::build`].
    pub fn build(&self, name: impl Into<Name>) -> Result<CircuitBreaker, ConfigError> {
        self.builder(name).build()
    }

    /// The builder, for what no file can say: a clock, a classifier. It also serves
    /// [`CircuitBreaker::reconfigure`] when the file has changed.
    pub fn builder(&self, name: impl Into<Name>) -> BreakerBuilder {
        let mut builder = CircuitBreaker::builder(name)
            .time_window(self.window_time, self.window_buckets)
            .consecutive_failures(self.consecutive_failures)
            .open_for(self.open_for)
            .max_open(self.max_open)
            .open_jitter(self.open_jitter)
            .probes(self.probes)
            .readmit_over(self.readmit_over);
        if let Some(calls) = self.window_calls {
            builder = builder.count_window(calls);
        }
        builder = match self.failure_rate {
            Some(rate) => builder.failure_rate(rate),
            None => builder.without_failure_rate(),
        };
        if let Some(limit) = self.slow_limit {
            builder = builder.slow_calls(limit, self.slow_rate);
        }
        if let Some(calls) = self.min_calls {
            builder = builder.min_calls(calls);
        }
        if let Some(successes) = self.probe_successes {
            builder = builder.probe_successes(successes);
        }
        if let Some(lease) = self.probe_lease {
            builder = builder.probe_lease(lease);
        }
        if let Some(limit) = self.timeout {
            builder = builder.timeout(limit);
        }
        builder
    }
}
