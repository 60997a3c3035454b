use crate::settings::{CircuitBreakerSettings, RateLimitSettings};
use perf_breaker::{BreakerBuilder, CircuitBreaker, ConfigError, KeyedLimiter, Limit, Name, Quota};
use std::time::Duration;

impl RateLimitSettings {
    /// What each client may do; `None` where there is no limit.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] only where the fields were written by hand, to values that a loader refuses.
    ///
    /// ```
    /// use perfkit::settings::Settings;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let variables = [("RATE_LIMIT__PER_MINUTE", "100"), ("RATE_LIMIT__PER_SECOND", "10")];
    /// let settings = Settings::loader().variables(variables).load()?;
    /// let quota = settings.rate_limit.quota()?.ok_or("a limit")?;
    /// assert_eq!(quota.to_string(), "10/second; 100/minute");
    /// # Ok(())
    /// # }
    /// ```
    pub fn quota(&self) -> Result<Option<Quota>, ConfigError> {
        let rates = [
            (self.per_second, 1),
            (self.per_minute, 60),
            (self.per_hour, 3_600),
        ];
        let limits = rates.into_iter().filter_map(|(count, seconds)| {
            count.map(|count| Limit::new(count, Duration::from_secs(seconds)))
        });
        let limits = limits.collect::<Result<Vec<_>, _>>()?;
        if self.enabled && !limits.is_empty() {
            Quota::all_of(&limits).map(Some)
        } else {
            Ok(None)
        }
    }

    /// The limiter that counts in this process; `None` where there is no limit.
    ///
    /// # Errors
    ///
    /// As [`RateLimitSettings::quota`].
    pub fn limiter(&self, name: impl Into<Name>) -> Result<Option<KeyedLimiter>, ConfigError> {
        let Some(quota) = self.quota()? else {
            return Ok(None);
        };
        let limiter = KeyedLimiter::new(&quota, self.max_clients)?;
        Ok(Some(limiter.named(name)))
    }
}

impl CircuitBreakerSettings {
    /// A breaker with these settings, to be completed and built.
    ///
    /// ```
    /// use perfkit::breaker::State;
    /// use perfkit::settings::Settings;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let variables = [("CIRCUIT_BREAKER__CONSECUTIVE_FAILURES", "1")];
    /// let settings = Settings::loader().variables(variables).load()?;
    /// let weather = settings.circuit_breaker.builder("weather").build()?;
    /// weather.admit()?.failure();
    /// assert_eq!(weather.state(), State::Open);
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(&self, name: impl Into<Name>) -> BreakerBuilder {
        let builder = CircuitBreaker::builder(name)
            .failure_rate(self.failure_rate)
            .consecutive_failures(self.consecutive_failures)
            .open_for(self.open_for)
            .probes(self.probes);
        match self.timeout {
            Some(limit) => builder.timeout(limit),
            None => builder,
        }
    }
}
