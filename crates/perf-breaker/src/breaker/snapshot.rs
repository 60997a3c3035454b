use super::core::Core;
use super::{CircuitBreaker, Hold, State};
use crate::sync::Ordering::Relaxed;
use perf_core::{Health, Inspect, Sample};
use std::borrow::Cow;

/// A breaker at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerSnapshot {
    /// What it does with calls.
    pub state: State,
    /// Calls in the window.
    pub calls: u64,
    /// How many of them failed.
    pub failures: u64,
    /// How many of them were slow, whether or not they failed.
    pub slow: u64,
    /// Calls refused since it was built.
    pub rejected: u64,
    /// How often it has opened since it was built.
    pub opened: u64,
}

impl Core {
    pub(super) fn snapshot(&self) -> BreakerSnapshot {
        let counts = self.machine.counts(self.clock.now());
        BreakerSnapshot {
            state: self.machine.state(),
            calls: counts.calls,
            failures: counts.failures,
            slow: counts.slow,
            rejected: self.rejected.load(Relaxed),
            opened: self.opened.load(Relaxed),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a window holds far fewer than 2⁵² calls"
)]
const fn gauge(name: &'static str, value: u64) -> Sample {
    Sample::gauge(name, value as f64)
}

impl Inspect for Core {
    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.name)
    }

    fn kind(&self) -> &'static str {
        "circuit_breaker"
    }

    fn health(&self) -> Health {
        match self.machine.state() {
            State::Closed | State::Held(Hold::Closed | Hold::MetricsOnly | Hold::Disabled) => {
                Health::Healthy
            }
            State::HalfOpen => Health::Degraded("probing".into()),
            // Whoever sends no calls to what is unhealthy would never send the probe.
            State::Open if self.machine.is_due(self.clock.now()) => {
                Health::Degraded("due for a probe".into())
            }
            State::Open => Health::Unhealthy("open".into()),
            State::Held(Hold::Open) => Health::Unhealthy("held open".into()),
        }
    }

    fn samples(&self, samples: &mut Vec<Sample>) {
        let now = self.snapshot();
        samples.extend([
            gauge("window_calls", now.calls),
            gauge("window_failures", now.failures),
            gauge("window_slow_calls", now.slow),
            Sample::counter("rejected", now.rejected),
            Sample::counter("opened", now.opened),
        ]);
    }
}

impl<C: Send + Sync> Inspect for CircuitBreaker<C> {
    fn name(&self) -> Cow<'_, str> {
        Inspect::name(self.core())
    }

    fn kind(&self) -> &'static str {
        self.core().kind()
    }

    fn health(&self) -> Health {
        self.core().health()
    }

    fn samples(&self, samples: &mut Vec<Sample>) {
        self.core().samples(samples);
    }
}
