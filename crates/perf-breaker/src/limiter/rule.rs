use super::Decision;
use super::gcra::Gcra;
use crate::quota::Limit;
use crate::store::Charge;
use perf_core::Moment;

/// A limit with its algorithm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub(crate) limit: Limit,
    pub(crate) gcra: Gcra,
}

impl Rule {
    pub(crate) fn new(limit: &Limit) -> Self {
        Self {
            limit: *limit,
            gcra: Gcra::new(limit),
        }
    }

    /// With arrival times that fit 56 bits.
    pub(crate) fn compact(limit: &Limit) -> Self {
        Self {
            limit: *limit,
            gcra: Gcra::compact(limit),
        }
    }

    /// With arrival times in a store's ticks.
    pub(crate) fn ticking(limit: &Limit) -> Self {
        Self {
            limit: *limit,
            gcra: Gcra::ticking(limit),
        }
    }

    /// What a store has to be asked to take `cost`, leaving the price of `reserve` calls untouched.
    pub(crate) const fn charge(&self, cost: u32, reserve: u32) -> Charge {
        self.gcra.charge(cost, reserve)
    }

    /// A decision that was made elsewhere, in the parts of this rule.
    pub(crate) const fn decided(&self, ahead: u64, wait: u64) -> Decision {
        Decision {
            limit: self.limit,
            gcra: self.gcra,
            ahead,
            wait,
        }
    }

    /// The next arrival time, the same as before on denial, and the decision.
    #[inline]
    pub(crate) fn decide(&self, arrival: u64, now: Moment, cost: u32) -> (u64, Decision) {
        let now = self.gcra.instant(now);
        match self.gcra.take(arrival, now, cost) {
            Ok(next) => (next, self.decided(next - now, 0)),
            Err(wait) => {
                let ahead = arrival.clamp(now, self.gcra.latest(now)) - now;
                (arrival, self.decided(ahead, wait))
            }
        }
    }
}
