use crate::ProfileError;
use std::time::Duration;

/// How many requests a second an open load sends, and for how long: a rate, held or changed evenly.
///
/// ```
/// use perf_profile::Stages;
/// use std::time::Duration;
///
/// let minute = Duration::from_secs(60);
/// let stages = Stages::at(10.0).ramp_to(200.0, minute).hold(5 * minute).ramp_to(0.0, minute);
/// assert_eq!(stages.duration(), 7 * minute);
/// assert_eq!(stages.requests(), 6_300 + 60_000 + 6_000);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "stages do nothing until a load test runs them"]
pub struct Stages {
    rate: f64,
    stages: Vec<Stage>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Stage {
    from: f64,
    to: f64,
    seconds: f64,
}

const MAX_RATE: f64 = 1e7;

impl Stages {
    /// Begins at `rate` requests a second. A stage must follow.
    pub const fn at(rate: f64) -> Self {
        Self {
            rate,
            stages: Vec::new(),
        }
    }

    /// Keeps the rate for `duration`.
    pub fn hold(self, duration: Duration) -> Self {
        let rate = self.rate;
        self.ramp_to(rate, duration)
    }

    /// Changes the rate evenly to `rate` over `duration`.
    pub fn ramp_to(mut self, rate: f64, duration: Duration) -> Self {
        self.stages.push(Stage {
            from: self.rate,
            to: rate,
            seconds: duration.as_secs_f64(),
        });
        self.rate = rate;
        self
    }

    /// How long all stages take.
    #[must_use]
    pub fn duration(&self) -> Duration {
        let seconds: f64 = self.stages.iter().map(|stage| stage.seconds).sum();
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    /// How many requests they send when evenly spaced.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.schedule(None).fold(0, |count, _| count + 1)
    }

    pub(super) fn validate(&self) -> Result<(), ProfileError> {
        let rates = self.stages.iter().flat_map(|stage| [stage.from, stage.to]);
        let invalid = |reason| Err(ProfileError::InvalidLoad { reason });
        if !rates.clone().all(|rate| (0.0..=MAX_RATE).contains(&rate)) {
            return invalid("a rate must be 0 to 10,000,000 requests a second");
        }
        if self.duration().is_zero() {
            return invalid("the stages must take some time");
        }
        if rates.fold(0.0, f64::max) <= 0.0 {
            return invalid("some stage must have a rate above 0");
        }
        Ok(())
    }

    /// The same, after `duration` at the first rate.
    pub(super) fn after_warm_up(&self, duration: Duration) -> Self {
        let first = self.stages.first().map_or(self.rate, |stage| stage.from);
        let mut stages = Self::at(first).hold(duration);
        stages.stages.extend(&self.stages);
        stages
    }

    /// When requests are due, as distances from the start, ascending: evenly spaced, or at random with
    /// exponentially distributed gaps (a Poisson process).
    pub(super) fn schedule(&self, random: Option<fastrand::Rng>) -> Schedule<'_> {
        let mut schedule = Schedule {
            stages: &self.stages,
            elapsed: 0.0,
            expected: 0.0,
            due: 0.0,
            random,
        };
        if schedule.random.is_some() {
            schedule.due = schedule.gap();
        }
        schedule
    }
}

/// Walks the stages. Position is measured in requests expected so far, the integral of the rate: there
/// gaps are 1 on average whatever the rate does, and one inversion turns them into time.
#[derive(Debug)]
pub(super) struct Schedule<'a> {
    stages: &'a [Stage],
    /// Seconds before the first of `stages`.
    elapsed: f64,
    /// Requests expected before the first of `stages`.
    expected: f64,
    /// Where the next request lies, in requests expected since the start.
    due: f64,
    random: Option<fastrand::Rng>,
}

impl Schedule<'_> {
    fn gap(&mut self) -> f64 {
        // 1 - u is never 0, so the logarithm is finite.
        let exponential = |random: &mut fastrand::Rng| -(1.0 - random.f64()).ln();
        self.random.as_mut().map_or(1.0, exponential)
    }
}

impl Iterator for Schedule<'_> {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        loop {
            let (stage, later) = self.stages.split_first()?;
            let within = self.due - self.expected;
            if within < stage.requests() {
                self.due += self.gap();
                let seconds = self.elapsed + stage.seconds_until(within);
                return Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
            }
            self.elapsed += stage.seconds;
            self.expected += stage.requests();
            self.stages = later;
        }
    }
}

impl Stage {
    fn requests(&self) -> f64 {
        self.from.midpoint(self.to) * self.seconds
    }

    /// Solves `from·t + (to - from)·t² / (2·seconds) = requests` for `t`, in the form that neither cancels
    /// nor divides by a slope of zero.
    fn seconds_until(&self, requests: f64) -> f64 {
        if requests <= 0.0 {
            return 0.0;
        }
        let curvature = (self.to - self.from) / (2.0 * self.seconds);
        let discriminant = (self.from * self.from + 4.0 * curvature * requests).max(0.0);
        2.0 * requests / (self.from + discriminant.sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(stages: &Stages) -> Vec<f64> {
        let schedule = stages.schedule(None);
        schedule.map(|due| due.as_secs_f64()).collect()
    }

    #[test]
    fn a_held_rate_spaces_requests_evenly() {
        let due = seconds(&Stages::at(4.0).hold(Duration::from_secs(1)));
        assert_eq!(due, [0.0, 0.25, 0.5, 0.75]);
    }

    #[test]
    fn a_pause_sends_nothing() {
        let second = Duration::from_secs(1);
        let stages = Stages::at(2.0).hold(second).ramp_to(0.0, Duration::ZERO);
        let due = seconds(
            &stages
                .hold(second)
                .ramp_to(2.0, Duration::ZERO)
                .hold(second),
        );
        assert_eq!(due, [0.0, 0.5, 2.0, 2.5]);
    }

    #[test]
    fn random_gaps_keep_the_rate_and_spread_as_exponential_ones() {
        let stages = Stages::at(100.0).hold(Duration::from_secs(1_000));
        let due: Vec<f64> = stages
            .schedule(Some(fastrand::Rng::with_seed(1)))
            .map(|due| due.as_secs_f64())
            .collect();
        let count = due.len() as f64;
        assert!((count / 100_000.0 - 1.0).abs() < 0.02, "{count}");
        let gaps = due.windows(2).map(|pair| pair[1] - pair[0]);
        let above_mean = gaps.filter(|gap| *gap > 0.01).count() as f64 / count;
        assert!((above_mean - (-1.0_f64).exp()).abs() < 0.01, "{above_mean}");
    }

    #[test]
    fn senseless_stages_are_refused() {
        let second = Duration::from_secs(1);
        let senseless = [
            Stages::at(1.0),
            Stages::at(1.0).hold(Duration::ZERO),
            Stages::at(0.0).hold(second),
            Stages::at(-1.0).hold(second),
            Stages::at(f64::NAN).hold(second),
            Stages::at(1.0).ramp_to(f64::INFINITY, second),
        ];
        for stages in senseless {
            let refused = stages.validate();
            assert!(
                matches!(refused, Err(ProfileError::InvalidLoad { .. })),
                "{stages:?}"
            );
        }
    }

    proptest! {
        /// Between any two points in time as many requests are due as the rate adds up to, give or take one.
        #[test]
        fn arrivals_follow_the_rate(rates in proptest::collection::vec((0.0..200.0, 1_u64..2_000), 1..5)) {
            let stages = rates.iter().fold(Stages::at(rates[0].0), |stages, (rate, millis)| {
                stages.ramp_to(*rate, Duration::from_millis(*millis))
            });
            let due = seconds(&stages);
            prop_assert!(due.is_sorted());
            let steps = 2_000;
            let step = stages.duration().as_secs_f64() / f64::from(steps);
            let mut expected = 0.0;
            for at in (0..steps).map(|step_number| (f64::from(step_number) + 0.5) * step) {
                expected += rate_at(&stages, at) * step;
                let sent = due.partition_point(|due| *due <= at + step / 2.0) as f64;
                prop_assert!((sent - expected).abs() <= 2.5, "{sent} sent, {expected} expected at {at}");
            }
        }
    }

    fn rate_at(stages: &Stages, at: f64) -> f64 {
        let mut start = 0.0;
        for stage in &stages.stages {
            if at <= start + stage.seconds {
                return stage.from + (stage.to - stage.from) * (at - start) / stage.seconds;
            }
            start += stage.seconds;
        }
        0.0
    }
}
