use super::WindowStats;
use crate::ProfileError;
use std::fmt;
use std::sync::Arc;

/// A figure with a target and a critical limit.
///
/// ```
/// # fn main() -> Result<(), perf_profile::ProfileError> {
/// use perf_profile::{Level, Measure, Objective};
///
/// let p99 = Objective::at_most("latency_p99_seconds", Measure::Latency(0.99), 0.5, 2.0)?;
/// assert_eq!(p99.level(0.3), Level::Met);
/// assert_eq!(p99.level(0.8), Level::Missed);
/// assert_eq!(p99.level(2.5), Level::Critical);
///
/// let rate = Objective::at_least("throughput", Measure::Throughput, 1_000.0, 100.0)?;
/// assert_eq!(rate.level(500.0), Level::Missed);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Objective {
    pub(super) name: &'static str,
    pub(super) measure: Measure,
    target: f64,
    critical: f64,
}

/// Where an objective's figure comes from.
#[derive(Clone)]
#[non_exhaustive]
pub enum Measure {
    /// A quantile, 0 to 1, of the latencies of requests, in seconds.
    Latency(f64),
    /// The share of requests that failed, 0 to 1.
    ErrorRate,
    /// Requests a second.
    Throughput,
    /// Whatever the closure reads; `None` when there is nothing to judge at the moment.
    Gauge(Arc<dyn Fn() -> Option<f64> + Send + Sync>),
}

/// How far an objective is from what it should be, from good to bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Level {
    /// The target is met.
    #[default]
    Met,
    /// The target is missed.
    Missed,
    /// The critical limit is exceeded.
    Critical,
}

impl Objective {
    /// A figure that should be at most `target` and is critical above `critical`.
    ///
    /// # Errors
    ///
    /// [`ProfileError::InvalidObjective`] when `critical` is below `target`, one of them is no number, or
    /// a quantile is outside 0 to 1.
    pub fn at_most(
        name: &'static str,
        measure: Measure,
        target: f64,
        critical: f64,
    ) -> Result<Self, ProfileError> {
        Self::checked(name, measure, target, critical, target <= critical)
    }

    /// A figure that should be at least `target` and is critical below `critical`.
    ///
    /// # Errors
    ///
    /// [`ProfileError::InvalidObjective`] when `critical` is above `target`, one of them is no number, or
    /// a quantile is outside 0 to 1.
    pub fn at_least(
        name: &'static str,
        measure: Measure,
        target: f64,
        critical: f64,
    ) -> Result<Self, ProfileError> {
        Self::checked(name, measure, target, critical, target >= critical)
    }

    fn checked(
        name: &'static str,
        measure: Measure,
        target: f64,
        critical: f64,
        ordered: bool,
    ) -> Result<Self, ProfileError> {
        let invalid = |reason| Err(ProfileError::InvalidObjective { name, reason });
        if !ordered || !target.is_finite() || !critical.is_finite() {
            return invalid("the critical limit must be a number on the far side of the target");
        }
        if let Measure::Latency(quantile) = measure
            && !(0.0..=1.0).contains(&quantile)
        {
            return invalid("a quantile must be 0 to 1");
        }
        Ok(Self {
            name,
            measure,
            target,
            critical,
        })
    }

    /// What a web service promises unless it knows better: median 100 ms (critical 500 ms), 99th
    /// percentile 0.5 s (2 s), errors 0.1 % (1 %).
    #[must_use]
    pub fn web_service() -> Vec<Self> {
        let at_most = |name, measure, target, critical| Self {
            name,
            measure,
            target,
            critical,
        };
        vec![
            at_most("latency_p50_seconds", Measure::Latency(0.5), 0.1, 0.5),
            at_most("latency_p99_seconds", Measure::Latency(0.99), 0.5, 2.0),
            at_most("error_rate", Measure::ErrorRate, 0.001, 0.01),
        ]
    }

    /// How far `value` is from what it should be.
    #[must_use]
    pub fn level(&self, value: f64) -> Level {
        // Turned round, "at least" is "at most". Equal limits go either way with the same outcome.
        let sign = if self.target <= self.critical {
            1.0
        } else {
            -1.0
        };
        if sign * value <= sign * self.target {
            Level::Met
        } else if sign * value <= sign * self.critical {
            Level::Missed
        } else {
            Level::Critical
        }
    }

    /// The figure now; `None` without requests to take it from.
    pub(super) fn value(&self, stats: &WindowStats) -> Option<f64> {
        let served = stats.requests > 0;
        match &self.measure {
            Measure::Latency(quantile) => {
                served.then(|| stats.latency.quantile(*quantile).as_secs_f64())
            }
            Measure::ErrorRate => served.then(|| stats.error_rate()),
            Measure::Throughput => Some(stats.throughput()),
            Measure::Gauge(read) => read().filter(|value| !value.is_nan()),
        }
    }
}

impl fmt::Debug for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latency(quantile) => f.debug_tuple("Latency").field(quantile).finish(),
            Self::ErrorRate => f.write_str("ErrorRate"),
            Self::Throughput => f.write_str("Throughput"),
            Self::Gauge(_) => f.write_str("Gauge"),
        }
    }
}

/// A level that does not flutter: it worsens after `RAISE_AFTER` observations in a row that were worse,
/// and improves after `CLEAR_AFTER` that were better; each time to the mildest of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Steady {
    level: Level,
    worse: Streak,
    better: Streak,
}

#[derive(Clone, Copy, Debug, Default)]
struct Streak {
    length: u32,
    /// The level of the streak nearest to the present one's far side: see [`Steady::observe`].
    level: Level,
}

const RAISE_AFTER: u32 = 2;
const CLEAR_AFTER: u32 = 3;

impl Steady {
    pub(super) const fn level(&self) -> Level {
        self.level
    }

    /// Takes one observation; `true` when the level changed.
    pub(super) fn observe(&mut self, seen: Level) -> bool {
        self.worse = self.worse.extend(seen, seen > self.level, Level::min);
        self.better = self.better.extend(seen, seen < self.level, Level::max);
        let next = if self.worse.length >= RAISE_AFTER {
            self.worse.level
        } else if self.better.length >= CLEAR_AFTER {
            self.better.level
        } else {
            return false;
        };
        *self = Self {
            level: next,
            ..Self::default()
        };
        true
    }
}

impl Streak {
    /// Goes on, keeping the level nearest to the present one, or ends.
    fn extend(self, seen: Level, goes_on: bool, nearest: fn(Level, Level) -> Level) -> Self {
        match (goes_on, self.length) {
            (false, _) => Self::default(),
            (true, 0) => Self {
                length: 1,
                level: seen,
            },
            (true, length) => Self {
                length: length + 1,
                level: nearest(self.level, seen),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Level::{Critical, Met, Missed};
    use super::*;
    use proptest::prelude::*;

    fn steadied(seen: &[Level]) -> Vec<Level> {
        let mut steady = Steady::default();
        let observe = |level: &Level| {
            steady.observe(*level);
            steady.level()
        };
        seen.iter().map(observe).collect()
    }

    #[test]
    fn one_bad_observation_is_no_alarm_and_one_good_one_no_recovery() {
        assert_eq!(steadied(&[Critical, Met, Critical, Met]), [Met; 4]);
        let seen = [Missed, Critical, Met, Met, Missed, Met, Met, Met];
        let levels = [Met, Missed, Missed, Missed, Missed, Missed, Missed, Met];
        assert_eq!(steadied(&seen), levels);
        assert_eq!(steadied(&[Critical, Critical, Missed, Met, Met])[4], Missed);
    }

    #[test]
    fn limits_on_the_wrong_side_are_refused() {
        for (target, critical) in [(2.0, 1.0), (f64::NAN, 1.0), (1.0, f64::INFINITY)] {
            let refused = Objective::at_most("x", Measure::ErrorRate, target, critical);
            assert!(matches!(
                refused,
                Err(ProfileError::InvalidObjective { .. })
            ));
        }
        assert!(Objective::at_least("x", Measure::Throughput, 1.0, 2.0).is_err());
        assert!(Objective::at_most("x", Measure::Latency(1.5), 1.0, 2.0).is_err());
    }

    proptest! {
        /// The level is at any time one that was seen lately, and changes only as often as the rule allows.
        #[test]
        fn a_level_changes_only_after_a_streak(seen in proptest::collection::vec(0_u8..3, 0..200)) {
            let seen: Vec<_> = seen.iter().map(|level| [Met, Missed, Critical][usize::from(*level)]).collect();
            let levels = steadied(&seen);
            let mut before = Met;
            for (position, level) in levels.iter().enumerate() {
                if *level > before {
                    let streak = &seen[position + 1 - 2..=position];
                    prop_assert_eq!(streak.iter().min(), Some(level));
                } else if *level < before {
                    let streak = &seen[position + 1 - 3..=position];
                    prop_assert_eq!(streak.iter().max(), Some(level));
                }
                before = *level;
            }
        }
    }
}
