//! Whether it has become slower, said only when the figures show it.
//!
//! Two runs of the same program never agree, so a comparison of means against a limit cries wolf on a
//! noisy machine and sleeps on a quiet one. Here a metric is a set of samples, one a run or one a round,
//! and two sets are compared by the Hodges–Lehmann estimate: the median of all ratios between a sample of
//! one and a sample of the other. Its confidence interval follows from the distribution of the
//! Mann–Whitney statistic, whatever the shape of the noise: neither outliers nor skew, of which latencies
//! have plenty, move it much.
//!
//! Sources: Hodges and Lehmann, "Estimates of Location Based on Rank Tests" (1963); Mann and Whitney, "On
//! a Test of Whether one of Two Random Variables is Stochastically Larger than the Other" (1947).

mod compare;
mod estimate;
mod store;

use crate::{LoadReport, ProfileError};
use std::collections::BTreeMap;

pub use compare::{Comparison, MetricComparison, Verdict};
pub use store::{BaselineStore, FileBaselines, MemoryBaselines};

/// The version of the stored form.
const SCHEMA: u32 = 1;

/// Named figures of one state of a program, to compare later ones with.
///
/// ```
/// # fn main() -> Result<(), perf_profile::ProfileError> {
/// use perf_profile::{Baseline, Better, Verdict};
///
/// let noise = |number: u32| 1.0 + f64::from(number * 7 % 11) / 500.0;
/// let main: Vec<_> = (0..20).map(|run| 0.050 * noise(run)).collect();
/// let branch: Vec<_> = (0..20).map(|run| 0.056 * noise(run + 3)).collect();
/// let before = Baseline::new("main").metric("latency_p99_seconds", Better::Lower, main)?;
/// let after = Baseline::new("branch").metric("latency_p99_seconds", Better::Lower, branch)?;
///
/// let comparison = before.compare(&after, 0.05);
/// assert_eq!(comparison.verdict(), Verdict::Regressed);
/// println!("{comparison}"); // latency_p99_seconds  x 1.12 (1.11 to 1.13)  regressed
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Baseline {
    schema: u32,
    name: String,
    metrics: BTreeMap<String, Metric>,
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Metric {
    better: Better,
    samples: Vec<f64>,
}

/// Which way a metric improves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Better {
    /// As latencies do.
    Lower,
    /// As throughput does.
    Higher,
}

impl Baseline {
    /// A baseline without metrics. Stores keep it under its name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            schema: SCHEMA,
            name: name.into(),
            metrics: BTreeMap::new(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds a metric's samples, or replaces them.
    ///
    /// Samples should be independent: one a run, or one a round where the rounds of both programs
    /// alternate. Fewer than 8 can decide nothing.
    ///
    /// # Errors
    ///
    /// [`ProfileError::InvalidSample`] when one is not a positive number: ratios to it mean nothing.
    pub fn metric(
        mut self,
        name: impl Into<String>,
        better: Better,
        samples: impl Into<Vec<f64>>,
    ) -> Result<Self, ProfileError> {
        let (name, samples) = (name.into(), samples.into());
        if let Some(sample) = samples.iter().find(|sample| !is_valid(**sample)) {
            return Err(ProfileError::InvalidSample {
                metric: name,
                sample: sample.to_string(),
            });
        }
        self.metrics.insert(name, Metric { better, samples });
        Ok(self)
    }

    /// The median and 99th percentile of latencies and the throughput of several load tests, one sample
    /// each. A test in which no request succeeded has none.
    #[must_use]
    pub fn from_reports<'a>(
        name: impl Into<String>,
        reports: impl IntoIterator<Item = &'a LoadReport>,
    ) -> Self {
        let mut baseline = Self::new(name);
        for report in reports.into_iter().filter(|report| report.succeeded > 0) {
            let quantile = |quantile| report.latency.quantile(quantile).as_secs_f64();
            baseline.push("latency_p50_seconds", Better::Lower, quantile(0.5));
            baseline.push("latency_p99_seconds", Better::Lower, quantile(0.99));
            baseline.push("requests_per_second", Better::Higher, report.throughput());
        }
        baseline
    }

    /// Compares `current` with this. A difference counts when its 99.5 % confidence interval excludes "no
    /// change" and its estimate is at least the share `tolerance`, such as 0.05 for 5 %.
    #[must_use]
    pub fn compare(&self, current: &Self, tolerance: f64) -> Comparison {
        Comparison::of(self, current, tolerance)
    }

    fn push(&mut self, name: &str, better: Better, sample: f64) {
        let samples = Vec::new();
        let metric = self.metrics.entry(name.into());
        let metric = metric.or_insert(Metric { better, samples });
        metric.samples.extend(is_valid(sample).then_some(sample));
    }
}

fn is_valid(sample: f64) -> bool {
    sample.is_finite() && sample > 0.0
}
