use super::aimd::{bounds, is_used, whole};
use super::idle::Idle;
use super::{CallSample, LimitPolicy};
use crate::error::ConfigError;

/// Moves the limit by the length of the callee's queue, estimated as
/// `limit · (1 − idle time / time taken)`.
///
/// A queue of up to three times the limit's decimal logarithm is good for throughput and lets it grow; one
/// of more than six times shrinks it. The idle time comes from probes; to renew it under load, as Netflix's
/// version does, takes a queue for the callee's own pace.
#[derive(Clone, Copy, Debug)]
pub struct Vegas {
    limit: f64,
    least: f64,
    most: f64,
    idle: Idle,
}

const SHORT_QUEUE: f64 = 3.0;
const LONG_QUEUE: f64 = 6.0;

impl Vegas {
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
        })
    }

    fn step(&self, sample: CallSample) -> f64 {
        let logarithm = self.limit.log10().max(1.0);
        if sample.failed {
            return -logarithm;
        }
        if !is_used(sample, self.limit) {
            return 0.0;
        }
        let taken = sample.taken.as_secs_f64() * 1e9;
        let queue = self.limit * (1.0 - (self.idle.least() / taken).min(1.0));
        if queue <= logarithm {
            LONG_QUEUE * logarithm
        } else if queue < SHORT_QUEUE * logarithm {
            logarithm
        } else if queue > LONG_QUEUE * logarithm {
            -logarithm
        } else {
            0.0
        }
    }
}

impl LimitPolicy for Vegas {
    fn first(&self) -> u64 {
        whole(self.limit)
    }

    fn next(&mut self, sample: CallSample) -> u64 {
        if self.idle.note(sample, self.limit) {
            // A whole step for each round of calls, not for each call.
            let next = self.limit + self.step(sample) / self.limit;
            self.limit = next.clamp(self.least, self.most);
        }
        whole(self.idle.in_force(self.limit, self.least))
    }
}
