use super::{CallSample, LimitPolicy};
use crate::check;
use crate::error::ConfigError;

/// Additive increase, multiplicative decrease: one more after each call of a limit that is used, a tenth
/// less after each failure.
///
/// It reads nothing from times, so it needs a callee that fails when it is overloaded, or a time-out that
/// does. It settles around the point of failure, a little too high by design.
#[derive(Clone, Copy, Debug)]
pub struct Aimd {
    limit: f64,
    least: f64,
    most: f64,
}

const DECREASE: f64 = 0.9;

impl Aimd {
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
        })
    }
}

impl LimitPolicy for Aimd {
    fn first(&self) -> u64 {
        whole(self.limit)
    }

    fn next(&mut self, sample: CallSample) -> u64 {
        if sample.failed {
            self.limit *= DECREASE;
        } else if is_used(sample, self.limit) {
            // One more for each round of calls, not for each call.
            self.limit += 1.0 / self.limit;
        }
        self.limit = self.limit.clamp(self.least, self.most);
        whole(self.limit)
    }
}

/// Checked bounds of a limit.
pub(super) fn bounds(least: u32, most: u32) -> Result<(f64, f64), ConfigError> {
    check::range("highest limit", most.into(), 1, 1_000_000)?;
    check::range("lowest limit", least.into(), 1, most.into())?;
    Ok((least.into(), most.into()))
}

/// Whether the limit was what held calls back: one that nobody reaches must not grow.
#[expect(
    clippy::cast_precision_loss,
    reason = "far fewer than 2⁵² calls are under way"
)]
pub(super) fn is_used(sample: CallSample, limit: f64) -> bool {
    sample.under_way as f64 * 2.0 >= limit
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a limit lies between 1 and 1,000,000"
)]
pub(super) fn whole(limit: f64) -> u64 {
    limit as u64
}
