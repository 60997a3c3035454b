use super::aimd::{bounds, is_used, whole};
use super::idle::Idle;
use super::{CallSample, LimitPolicy};
use crate::error::ConfigError;

/// Moves the limit by the ratio of what calls take when the callee is idle to what they take now.
///
/// Up to half more than idle is taken for noise and lets the limit grow by its square root; beyond that it
/// shrinks in proportion. Unlike Netflix's Gradient2, whose long-term average follows the load, its idle
/// times come from probes alone, and a limit that shrinks is not given room for a queue at the same time:
/// it does not creep up.
#[derive(Clone, Copy, Debug)]
pub struct Gradient {
    limit: f64,
    least: f64,
    most: f64,
    idle: Idle,
    /// Recent calls, smoothed, in nanoseconds.
    recent: f64,
}

const TOLERANCE: f64 = 1.5;
/// How much of a step is taken with each call.
const SMOOTHING: f64 = 0.2;

impl Gradient {
    /// A limit that starts at `least` and stays between it and `most`, 1 to 1,000,000.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] if the bounds are out of range or the wrong way round.
    pub fn between(least: u32, most: u32) -> Result<Self, ConfigError> {
        let (least, most) = bounds(least, most)?;
        Ok(Self {
            limit: least,
            least,
            most,
            idle: Idle::new(),
            recent: 0.0,
        })
    }

    fn step(&self, sample: CallSample) -> f64 {
        if sample.failed {
            return self.limit / 2.0;
        }
        let gradient = (TOLERANCE * self.idle.mean() / self.recent).clamp(0.5, 1.0);
        if gradient < 1.0 {
            self.limit * gradient
        } else if is_used(sample, self.limit) {
            self.limit + self.limit.sqrt()
        } else {
            self.limit
        }
    }
}

impl LimitPolicy for Gradient {
    fn first(&self) -> u64 {
        whole(self.limit)
    }

    fn next(&mut self, sample: CallSample) -> u64 {
        if self.idle.note(sample, self.limit) {
            let taken = sample.taken.as_secs_f64() * 1e9;
            self.recent += (taken - self.recent) * SMOOTHING;
            // A whole step for each round of calls, not for each call.
            let share = (SMOOTHING * 10.0 / self.limit).min(SMOOTHING);
            let next = self.limit + (self.step(sample) - self.limit) * share;
            self.limit = next.clamp(self.least, self.most);
        } else {
            self.recent = self.idle.mean();
        }
        whole(self.idle.in_force(self.limit, self.least))
    }
}
