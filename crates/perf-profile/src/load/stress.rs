use super::{LoadReport, LoadTest, Stages, Target};
use crate::ProfileError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Raises an open load step by step until the target no longer keeps up, to find the knee: the highest
/// rate at which it still did.
///
/// A step is kept up with when its 99th percentile and error rate stay within their limits and at least
/// 95 % of the requests due were answered within the step's time.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), perf_profile::ProfileError> {
/// use perf_profile::StressTest;
/// use std::{convert::Infallible, sync::Arc, time::Duration};
/// use tokio::{sync::Semaphore, time::sleep};
///
/// // Four at a time, 10 ms each: 400 a second at most.
/// let workers = Arc::new(Semaphore::new(4));
/// let target = move |_number| {
///     let workers = Arc::clone(&workers);
///     async move {
///         let _worker = workers.acquire().await;
///         sleep(Duration::from_millis(10)).await;
///         Ok::<_, Infallible>(())
///     }
/// };
/// let report = StressTest::new(100.0, 1.5)?.hold(Duration::from_secs(5)).run(target).await?;
/// assert_eq!(report.knee(), Some(337.5));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a stress test does nothing until it runs"]
pub struct StressTest {
    rate: f64,
    factor: f64,
    hold: Duration,
    max_steps: usize,
    max_p99: Duration,
    max_error_rate: f64,
}

/// What a [`StressTest`] saw.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StressReport {
    /// The steps in the order of their rates; at most the last was not kept up with.
    pub steps: Vec<StressStep>,
}

/// One rate, held for a while.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StressStep {
    /// Requests a second.
    pub rate: f64,
    /// Whether the target kept up.
    pub kept_up: bool,
    /// What became of its requests.
    pub report: LoadReport,
}

impl StressTest {
    /// Begins at `rate` requests a second and multiplies it by `factor` at each step.
    ///
    /// # Errors
    ///
    /// [`ProfileError::InvalidLoad`] when the rate is not positive or the factor not above 1.
    pub fn new(rate: f64, factor: f64) -> Result<Self, ProfileError> {
        let invalid = |reason| Err(ProfileError::InvalidLoad { reason });
        if !(rate > 0.0 && rate.is_finite()) {
            return invalid("a stress test must begin at a rate above 0");
        }
        if !(factor > 1.0 && factor.is_finite()) {
            return invalid("a stress test's factor must be above 1");
        }
        Ok(Self {
            rate,
            factor,
            hold: Duration::from_secs(10),
            max_steps: 30,
            max_p99: Duration::from_millis(500),
            max_error_rate: 0.01,
        })
    }

    /// How long each rate is held. Default: 10 s.
    pub const fn hold(mut self, duration: Duration) -> Self {
        self.hold = duration;
        self
    }

    /// After how many steps it ends even if the target still keeps up. Default: 30.
    pub const fn max_steps(mut self, steps: usize) -> Self {
        self.max_steps = steps;
        self
    }

    /// The highest 99th percentile of latencies that counts as keeping up. Default: 500 ms.
    pub const fn max_p99(mut self, limit: Duration) -> Self {
        self.max_p99 = limit;
        self
    }

    /// The highest share of failed requests that counts as keeping up. Default: 0.01.
    pub const fn max_error_rate(mut self, limit: f64) -> Self {
        self.max_error_rate = limit;
        self
    }

    /// Runs steps until one is not kept up with.
    ///
    /// # Errors
    ///
    /// [`ProfileError::TargetUnreachable`] when the target's probe fails before a step, and
    /// [`ProfileError::InvalidLoad`] when a step would take no time or exceed the highest rate.
    ///
    /// # Cancel safety
    ///
    /// As [`LoadTest::run`].
    pub async fn run<T: Target>(&self, target: T) -> Result<StressReport, ProfileError> {
        let target = Arc::new(target);
        let mut report = StressReport { steps: Vec::new() };
        let mut rate = self.rate;
        for _ in 0..self.max_steps {
            let stages = Stages::at(rate).hold(self.hold);
            let outcome = LoadTest::open(&stages)?.run_shared(&target).await?;
            let kept_up = self.keeps_up(&outcome);
            report.steps.push(StressStep {
                rate,
                kept_up,
                report: outcome,
            });
            if !kept_up {
                break;
            }
            rate *= self.factor;
        }
        Ok(report)
    }

    fn keeps_up(&self, report: &LoadReport) -> bool {
        let in_time = self.hold.as_secs_f64() / report.elapsed.as_secs_f64();
        report.latency.quantile(0.99) <= self.max_p99
            && report.error_rate() <= self.max_error_rate
            && in_time >= 0.95
    }
}

impl StressReport {
    /// The highest rate that the target kept up with, in requests a second.
    #[must_use]
    pub fn knee(&self) -> Option<f64> {
        let kept_up = self.steps.iter().filter(|step| step.kept_up);
        kept_up.map(|step| step.rate).next_back()
    }
}

impl fmt::Display for StressReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:>12}{:>12}{:>12}{:>12}  ",
            "offered/s", "served/s", "p99", "failed"
        )?;
        for step in &self.steps {
            let p99 = format!("{:.1?}", step.report.latency.quantile(0.99));
            let failed = format!("{:.1} %", 100.0 * step.report.error_rate());
            let (rate, served) = (step.rate, step.report.throughput());
            let verdict = if step.kept_up {
                ""
            } else {
                "  did not keep up"
            };
            writeln!(
                f,
                "{rate:>12.1}{served:>12.1}{p99:>12}{failed:>12}{verdict}"
            )?;
        }
        Ok(())
    }
}
