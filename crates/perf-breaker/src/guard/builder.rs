use super::fallback::NoFallback;
use super::{Guard, Rate, Stages};
use crate::breaker::{AnyError, CircuitBreaker};
use crate::bulkhead::Bulkhead;
use crate::check;
use crate::error::ConfigError;
use crate::limiter::RateLimiter;
use crate::retry::Retry;
use perf_core::{Clock, SystemClock};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The stages of a [`Guard`], in any order: the order in which they stand is fixed.
#[must_use = "stages do nothing until they are built"]
pub struct GuardBuilder<C = AnyError, G = NoFallback, K = SystemClock> {
    stages: Stages<C, G, K>,
}

impl GuardBuilder {
    pub(super) const fn new() -> Self {
        Self {
            stages: Stages {
                fallback: NoFallback,
                retry: None,
                rate: None,
                breaker: None,
                bulkhead: None,
                timeout: None,
                classify: AnyError,
                clock: SystemClock,
            },
        }
    }

    /// Waits on `clock`, and so do retry, rate limit and bulkhead. Comes first.
    pub fn clock<K: Clock>(self, clock: K) -> GuardBuilder<AnyError, NoFallback, K> {
        let stages = Stages {
            fallback: NoFallback,
            retry: None,
            rate: None,
            breaker: None,
            bulkhead: None,
            timeout: self.stages.timeout,
            classify: AnyError,
            clock,
        };
        GuardBuilder { stages }
    }
}

impl<C, G, K: Clock> GuardBuilder<C, G, K> {
    /// Repeats what failed, and what was refused for no longer than the retry's longest wait.
    pub fn retry(mut self, retry: Retry<K>) -> Self {
        self.stages.retry = Some(retry);
        self
    }

    /// Takes each attempt from `limiter`, which others may share.
    pub fn rate(mut self, limiter: Arc<RateLimiter<K>>) -> Self {
        let max_wait = Duration::ZERO;
        self.stages.rate = Some(Rate { limiter, max_wait });
        self
    }

    /// As [`rate`](Self::rate), and waits for the limiter for at most `max_wait`.
    pub fn rate_within(mut self, limiter: Arc<RateLimiter<K>>, max_wait: Duration) -> Self {
        self.stages.rate = Some(Rate { limiter, max_wait });
        self
    }

    /// Makes each attempt behind `breaker`, whose classifier becomes the guard's.
    pub fn breaker<D: Clone>(self, breaker: CircuitBreaker<D>) -> GuardBuilder<D, G, K> {
        let stages = Stages {
            fallback: self.stages.fallback,
            retry: self.stages.retry,
            rate: self.stages.rate,
            classify: breaker.classifier().clone(),
            breaker: Some(breaker),
            bulkhead: self.stages.bulkhead,
            timeout: self.stages.timeout,
            clock: self.stages.clock,
        };
        GuardBuilder { stages }
    }

    /// Makes each attempt in a place of `bulkhead`.
    pub fn bulkhead(mut self, bulkhead: Bulkhead<K>) -> Self {
        self.stages.bulkhead = Some(bulkhead);
        self
    }

    /// Ends an attempt after this long, counted from when it begins; 1 ns to a year. The breaker then counts
    /// it as failed. If the breaker has a time-out of its own, the shorter one holds.
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.stages.timeout = Some(limit);
        self
    }

    /// Asks `fallback` for a result when there is none.
    pub fn fallback<H>(self, fallback: H) -> GuardBuilder<C, H, K> {
        let stages = Stages {
            fallback,
            retry: self.stages.retry,
            rate: self.stages.rate,
            breaker: self.stages.breaker,
            bulkhead: self.stages.bulkhead,
            timeout: self.stages.timeout,
            classify: self.stages.classify,
            clock: self.stages.clock,
        };
        GuardBuilder { stages }
    }

    /// The guard.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Span`] if the time-out is out of range; the stages were checked when they were built.
    pub fn build(self) -> Result<Guard<C, G, K>, ConfigError> {
        if let Some(limit) = self.stages.timeout {
            check::span("call time-out", limit, Duration::from_nanos(1))?;
        }
        Ok(Guard {
            stages: Arc::new(self.stages),
        })
    }
}

impl<G, K: Clock> GuardBuilder<AnyError, G, K> {
    /// Judges results by `classify`, for a guard without a breaker: what is a failure is repeated.
    pub fn classify<D>(self, classify: D) -> GuardBuilder<D, G, K> {
        let stages = Stages {
            fallback: self.stages.fallback,
            retry: self.stages.retry,
            rate: self.stages.rate,
            breaker: None,
            bulkhead: self.stages.bulkhead,
            timeout: self.stages.timeout,
            classify,
            clock: self.stages.clock,
        };
        GuardBuilder { stages }
    }
}

impl<C, G, K> fmt::Debug for GuardBuilder<C, G, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardBuilder").finish_non_exhaustive()
    }
}
