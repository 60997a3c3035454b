use super::Decision;
use super::gcra::Gcra;
use crate::quota::Limit;
use perf_core::Moment;

/// A limit with its algorithm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) limit: Limit,
    pub(super) gcra: Gcra,
}

impl Rule {
    pub(super) fn new(limit: &Limit) -> Self {
        Self {
            limit: *limit,
            gcra: Gcra::new(limit),
        }
    }

    /// With arrival times that fit 56 bits.
    pub(super) fn compact(limit: &Limit) -> Self {
        Self {
            limit: *limit,
            gcra: Gcra::compact(limit),
        }
    }

    /// The next arrival time, the same as before on denial, and the decision.
    #[inline]
    pub(super) fn decide(&self, arrival: u64, now: Moment, cost: u32) -> (u64, Decision) {
        let now = self.gcra.instant(now);
        let (next, wait) = match self.gcra.take(arrival, now, cost) {
            Ok(next) => (next, 0),
            Err(wait) => (arrival, wait),
        };
        let decision = Decision {
            limit: self.limit,
            gcra: self.gcra,
            ahead: self.gcra.at_most_full(next.saturating_sub(now)),
            wait,
        };
        (next, decision)
    }
}
