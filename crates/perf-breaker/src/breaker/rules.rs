use crate::window::Counts;
use std::fmt;

/// When a closed breaker opens: any one rule suffices.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) failure_rate: Option<Rate>,
    pub(super) slow_rate: Option<Rate>,
    /// Counts in calls; zero for no such rule.
    pub(super) consecutive: u32,
    /// The rates are not judged before the window holds so many calls.
    pub(super) min_calls: u32,
}

impl Rules {
    /// `in_a_row` failures have just ended the calls that `counts` describes.
    ///
    /// The consecutive rule serves where the rates cannot yet: at a base rate of 10 % failures, five in a
    /// row start once in 10⁵ calls, every ten seconds at 10,000 calls a second. So it holds only below the
    /// minimum of calls, or when no rate is judged at all.
    pub(super) fn verdict(&self, counts: Counts, in_a_row: u64) -> Option<Reason> {
        let rates = self.failure_rate.is_some() || self.slow_rate.is_some();
        if rates && counts.calls >= u64::from(self.min_calls) {
            return self.judge_rates(counts);
        }
        let consecutive = u64::from(self.consecutive);
        (consecutive > 0 && in_a_row >= consecutive).then_some(Reason::ConsecutiveFailures)
    }

    fn judge_rates(&self, counts: Counts) -> Option<Reason> {
        let reached =
            |rate: Option<Rate>, part| rate.is_some_and(|rate| rate.reached(part, counts.calls));
        if reached(self.failure_rate, counts.failures) {
            Some(Reason::FailureRate)
        } else if reached(self.slow_rate, counts.slow) {
            Some(Reason::SlowCallRate)
        } else {
            None
        }
    }
}

/// A share of calls in millionths, so that the comparison is exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate(u32);

const WHOLE: f64 = 1_000_000.0;

impl Rate {
    /// From a fraction above 0 and at most 1; what lies beyond a millionth is cut off.
    pub(super) fn new(fraction: f64) -> Option<Self> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the fraction is between 0 and 1"
        )]
        (fraction > 0.0 && fraction <= 1.0).then(|| Self(((fraction * WHOLE) as u32).max(1)))
    }

    fn reached(self, part: u64, whole: u64) -> bool {
        part * 1_000_000 >= u64::from(self.0) * whole
    }
}

/// Why a breaker changed its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The share of failed calls reached its limit.
    FailureRate,
    /// The share of slow calls reached its limit.
    SlowCallRate,
    /// Too many calls failed in a row.
    ConsecutiveFailures,
    /// The classifier asked for it: [`Outcome::OpenFor`](super::Outcome::OpenFor).
    Requested,
    /// The open time is over.
    Waited,
    /// Enough probes succeeded.
    ProbesSucceeded,
    /// Enough probes failed to make success impossible.
    ProbesFailed,
    /// Probes did not report within their lease; others take their place.
    LeaseExpired,
    /// Someone asked for it: hold, release, reset.
    Operator,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FailureRate => "failure rate",
            Self::SlowCallRate => "slow call rate",
            Self::ConsecutiveFailures => "consecutive failures",
            Self::Requested => "requested by a result",
            Self::Waited => "open time is over",
            Self::ProbesSucceeded => "probes succeeded",
            Self::ProbesFailed => "probes failed",
            Self::LeaseExpired => "probes hang",
            Self::Operator => "operator",
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const HALF: Rules = Rules {
        failure_rate: Some(Rate(500_000)),
        slow_rate: Some(Rate(900_000)),
        consecutive: 3,
        min_calls: 10,
    };

    fn counts(calls: u64, failures: u64, slow: u64) -> Counts {
        Counts {
            calls,
            failures,
            slow,
        }
    }

    #[test]
    fn rates_wait_for_the_minimum_and_the_row_does_not() {
        assert_eq!(HALF.verdict(counts(9, 9, 9), 2), None);
        assert_eq!(
            HALF.verdict(counts(3, 3, 0), 3),
            Some(Reason::ConsecutiveFailures)
        );
        assert_eq!(HALF.verdict(counts(10, 4, 0), 4), None);
        assert_eq!(HALF.verdict(counts(10, 5, 0), 0), Some(Reason::FailureRate));
        assert_eq!(
            HALF.verdict(counts(10, 0, 9), 0),
            Some(Reason::SlowCallRate)
        );
    }

    #[test]
    fn a_third_and_two_thirds_are_reached_by_one_and_two_of_three() {
        for (fraction, part) in [(1.0 / 3.0, 1), (2.0 / 3.0, 2), (1.0, 3)] {
            let rate = Rate::new(fraction).unwrap();
            assert!(
                rate.reached(part, 3) && !rate.reached(part - 1, 3),
                "{fraction}"
            );
        }
    }

    #[test]
    fn no_other_fraction_is_a_rate() {
        for fraction in [0.0, -0.5, 1.001, f64::NAN, f64::INFINITY] {
            assert_eq!(Rate::new(fraction), None);
        }
    }
}
