//! What several themes need.

use perf_breaker::{BreakerBuilder, CircuitBreaker, State};
use perf_core::{Clock, ManualClock};
use std::time::Duration;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MS: Duration = Duration::from_millis(1);
/// Open times are resolved to about 1 ms; a wait must not fall short of it.
pub(crate) const OPEN_TIME: Duration = Duration::from_secs(5);

/// A breaker on a clock that stands still, without jitter.
pub(crate) fn builder(clock: &ManualClock) -> BreakerBuilder {
    CircuitBreaker::builder("test")
        .clock(clock.clone())
        .open_for(OPEN_TIME)
        .open_jitter(0.0)
}

/// A clock that counts from 1970.
pub(crate) fn late_clock() -> ManualClock {
    let clock = ManualClock::new();
    clock.advance(Duration::from_nanos(1_780_000_000_000_000_000));
    clock
}

pub(crate) fn succeed<C>(breaker: &CircuitBreaker<C>) {
    breaker.admit().unwrap().success();
}

pub(crate) fn fail<C>(breaker: &CircuitBreaker<C>) {
    breaker.admit().unwrap().failure();
}

/// How many failures in a row open the breaker.
pub(crate) fn failures_until_open<C>(breaker: &CircuitBreaker<C>) -> usize {
    for failures in 1..100_000 {
        fail(breaker);
        if breaker.state() == State::Open {
            return failures;
        }
    }
    panic!("100,000 failures did not open the breaker");
}

/// An open breaker whose open time is over.
pub(crate) fn due(clock: &ManualClock, builder: BreakerBuilder) -> CircuitBreaker {
    let breaker = builder.consecutive_failures(1).build().unwrap();
    fail(&breaker);
    assert_eq!(breaker.state(), State::Open);
    clock.advance(breaker.admit().unwrap_err().retry_after);
    breaker
}

/// Samples as text.
pub(crate) fn figures(samples: &[perf_core::Sample]) -> Vec<String> {
    samples
        .iter()
        .map(|sample| match sample.value {
            perf_core::Value::Counter(value) => format!("{} {value}", sample.name),
            perf_core::Value::Gauge(value) => format!("{} {value}", sample.name),
            _ => unreachable!("no part here has a histogram"),
        })
        .collect()
}

/// A clock that is as late as the last wait asks for: waits end at once, and time has passed.
#[derive(Clone, Debug)]
pub(crate) struct TickingClock(pub(crate) ManualClock);

impl TickingClock {
    pub(crate) fn new() -> Self {
        Self(ManualClock::new())
    }
}

impl Clock for TickingClock {
    fn now(&self) -> perf_core::Moment {
        self.0.now()
    }

    fn wall(&self) -> std::time::SystemTime {
        self.0.wall()
    }

    fn sleep_until(&self, deadline: perf_core::Moment) -> perf_core::clock::Sleep {
        let clock = self.0.clone();
        Box::pin(async move { clock.advance(deadline.since(clock.now())) })
    }
}
