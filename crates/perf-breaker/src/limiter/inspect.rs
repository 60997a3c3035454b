use super::{Decision, KeyedLimiter, RateLimiter};
use crate::name::Name;
use crate::quota::Quota;
use crate::sync::{AtomicU64, Ordering::Relaxed};
use perf_core::{Clock, Inspect, Registry, Sample};
use std::borrow::Cow;
use std::sync::Arc;

/// What is shown of a limiter. A call that is allowed writes nothing here.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) name: Name,
    denied: AtomicU64,
}

impl Figures {
    /// Named after the quota.
    pub(super) fn of(quota: &Quota) -> Self {
        Self {
            name: quota.to_string().into(),
            denied: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(super) fn note(&self, decision: Decision) -> Decision {
        if !decision.is_allowed() {
            self.denied.fetch_add(1, Relaxed);
        }
        decision
    }

    fn denied(&self) -> Sample {
        Sample::counter("denied", self.denied.load(Relaxed))
    }
}

impl<K: Clock> RateLimiter<K> {
    /// Shows the limiter in `registry` for as long as it lives.
    ///
    /// ```
    /// # fn main() -> Result<(), perf_breaker::ConfigError> {
    /// use perf_breaker::RateLimiter;
    /// use std::sync::Arc;
    ///
    /// let registry = perf_core::Registry::new();
    /// let limiter = Arc::new(RateLimiter::new(&"5/minute".parse()?).named("mail"));
    /// limiter.register(&registry);
    /// assert_eq!(registry.inspect()[0].name, "mail");
    /// # Ok(())
    /// # }
    /// ```
    pub fn register(self: &Arc<Self>, registry: &Registry) {
        registry.register(self);
    }
}

impl<K: Clock> KeyedLimiter<K> {
    /// Shows the limiter in `registry` for as long as it lives.
    pub fn register(self: &Arc<Self>, registry: &Registry) {
        registry.register(self);
    }
}

impl<K: Clock> Inspect for RateLimiter<K> {
    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.figures.name)
    }

    fn kind(&self) -> &'static str {
        "rate_limiter"
    }

    fn samples(&self, samples: &mut Vec<Sample>) {
        samples.extend([
            Sample::gauge("remaining_calls", self.peek().remaining().into()),
            Sample::gauge("waiting_calls", self.line.cost().into()),
            self.figures.denied(),
        ]);
    }
}

impl<K: Clock> Inspect for KeyedLimiter<K> {
    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.figures.name)
    }

    fn kind(&self) -> &'static str {
        "keyed_limiter"
    }

    fn samples(&self, samples: &mut Vec<Sample>) {
        samples.extend([
            self.figures.denied(),
            Sample::counter("evicted_keys", self.evicted()),
        ]);
    }
}
