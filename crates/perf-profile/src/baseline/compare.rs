use super::estimate::estimate;
use super::{Baseline, Better, Metric};
use std::fmt;

/// What [`Baseline::compare`] found. Its `Display` is a table for people.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Comparison {
    /// Every metric that the baseline has, by name.
    pub metrics: Vec<MetricComparison>,
}

/// How one metric changed.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct MetricComparison {
    /// The metric.
    pub name: String,
    /// New value ÷ old value, as estimated; `None` without samples enough on both sides.
    pub ratio: Option<f64>,
    /// Where the ratio lies with a confidence of 99.5 %.
    pub interval: Option<(f64, f64)>,
    /// What that means.
    pub verdict: Verdict,
}

/// What a comparison means, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// Better by the tolerance at least, and not by chance.
    Improved,
    /// Not worse by more than the tolerance, and that not by chance.
    Unchanged,
    /// The samples are too few or too noisy to tell; or one side lacks the metric.
    Inconclusive,
    /// Worse by the tolerance at least, and not by chance.
    Regressed,
}

impl Comparison {
    pub(super) fn of(before: &Baseline, current: &Baseline, tolerance: f64) -> Self {
        let compare = |(name, metric): (&String, &Metric)| {
            let current = current.metrics.get(name);
            MetricComparison::of(name, metric, current, tolerance)
        };
        Self {
            metrics: before.metrics.iter().map(compare).collect(),
        }
    }

    /// The worst verdict of all metrics; [`Verdict::Inconclusive`] when there are none.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let verdicts = self.metrics.iter().map(|metric| metric.verdict);
        verdicts.max().unwrap_or(Verdict::Inconclusive)
    }
}

impl MetricComparison {
    fn of(name: &str, before: &Metric, current: Option<&Metric>, tolerance: f64) -> Self {
        let current = current.map_or(&[][..], |metric| &metric.samples);
        let estimate = estimate(&before.samples, current);
        Self {
            name: name.into(),
            ratio: estimate.map(|estimate| estimate.ratio),
            interval: estimate.map(|estimate| (estimate.low, estimate.high)),
            verdict: estimate.map_or(Verdict::Inconclusive, |estimate| match before.better {
                Better::Lower => judge(estimate.ratio, estimate.low, estimate.high, tolerance),
                Better::Higher => judge(
                    1.0 / estimate.ratio,
                    1.0 / estimate.high,
                    1.0 / estimate.low,
                    tolerance,
                ),
            }),
        }
    }
}

/// Judges by how much worse a metric is, as a factor and its interval.
fn judge(worse: f64, low: f64, high: f64, tolerance: f64) -> Verdict {
    let limit = 1.0 + tolerance;
    if low > 1.0 && worse >= limit {
        Verdict::Regressed
    } else if high < 1.0 && worse <= 1.0 / limit {
        Verdict::Improved
    } else if high < limit {
        Verdict::Unchanged
    } else {
        Verdict::Inconclusive
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Improved => "improved",
            Self::Unchanged => "unchanged",
            Self::Inconclusive => "inconclusive",
            Self::Regressed => "regressed",
        })
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.metrics.iter().map(|metric| metric.name.len()).max();
        let width = width.unwrap_or_default();
        for metric in &self.metrics {
            write!(f, "{:<width$}", metric.name)?;
            if let (Some(ratio), Some((low, high))) = (metric.ratio, metric.interval) {
                write!(f, "  x {ratio:.2} ({low:.2} to {high:.2})")?;
            }
            writeln!(f, "  {}", metric.verdict)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_need_both_effect_and_certainty() {
        let cases = [
            ((1.10, 1.02, 1.20), Verdict::Regressed),
            ((1.10, 0.98, 1.20), Verdict::Inconclusive),
            ((1.02, 1.01, 1.03), Verdict::Unchanged),
            ((1.00, 0.97, 1.03), Verdict::Unchanged),
            ((0.97, 0.80, 1.06), Verdict::Inconclusive),
            ((0.90, 0.85, 0.97), Verdict::Improved),
            ((0.99, 0.98, 0.995), Verdict::Unchanged),
        ];
        for ((worse, low, high), verdict) in cases {
            assert_eq!(
                judge(worse, low, high, 0.05),
                verdict,
                "{worse} {low} {high}"
            );
        }
    }
}
