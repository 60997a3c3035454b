use super::{BUCKETS, lower_bound, upper_bound};
use std::time::Duration;

/// A histogram's counts at one time: quantiles, means, merging.
///
/// Quantiles are midpoints of buckets, within 1.6 % of the recorded value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    counts: Box<[u64]>,
    sum: u64,
    clamped: u64,
}

/// The figures that a report shows of a distribution of durations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// How many values were recorded.
    pub count: u64,
    /// Their sum.
    pub sum: Duration,
    /// The median.
    pub p50: Duration,
    /// The 95th percentile.
    pub p95: Duration,
    /// The 99th percentile.
    pub p99: Duration,
    /// The 99.9th percentile.
    pub p999: Duration,
    /// The largest value.
    pub max: Duration,
}

impl Snapshot {
    pub(super) const fn new(counts: Box<[u64]>, sum: u64, clamped: u64) -> Self {
        Self {
            counts,
            sum,
            clamped,
        }
    }

    /// How many values were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The exact sum of all values.
    #[must_use]
    pub const fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum)
    }

    /// How many values exceeded the range of almost 18 minutes and count as its end.
    #[must_use]
    pub const fn clamped(&self) -> u64 {
        self.clamped
    }

    /// The mean; zero when nothing was recorded.
    #[must_use]
    pub fn mean(&self) -> Duration {
        Duration::from_nanos(self.sum.checked_div(self.count()).unwrap_or(0))
    }

    /// The value below or at which the share `quantile` of all values lies; zero when nothing was
    /// recorded. A share outside 0 to 1 counts as the nearer end.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Duration {
        let count = self.count();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a float to integer cast saturates, and the share is at least 0"
        )]
        let rank = ((quantile.clamp(0.0, 1.0) * count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let bucket = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        bucket.map_or(Duration::ZERO, midpoint)
    }

    /// Adds another snapshot's values to this one's.
    ///
    /// ```
    /// use perf_core::Histogram;
    ///
    /// let (left, right) = (Histogram::new(), Histogram::new());
    /// left.record(10);
    /// right.record(30);
    /// let mut both = left.snapshot();
    /// both.merge(&right.snapshot());
    /// assert_eq!((both.count(), both.mean().as_nanos()), (2, 20));
    /// ```
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.sum = self.sum.wrapping_add(other.sum);
        self.clamped += other.clamped;
    }

    /// The figures of a report.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let [p50, p95, p99, p999, max] =
            [0.5, 0.95, 0.99, 0.999, 1.0].map(|quantile| self.quantile(quantile));
        Summary {
            count: self.count(),
            sum: self.sum(),
            p50,
            p95,
            p99,
            p999,
            max,
        }
    }

    /// The non-empty buckets as upper bound and count, ascending: what a Prometheus histogram needs.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let counted = self
            .counts
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, count)| *count > 0);
        counted.map(|(bucket, count)| (Duration::from_nanos(upper_bound(bucket)), count))
    }
}

impl Default for Snapshot {
    fn default() -> Self {
        Self::new(vec![0; BUCKETS].into(), 0, 0)
    }
}

fn midpoint(bucket: usize) -> Duration {
    Duration::from_nanos(lower_bound(bucket).midpoint(upper_bound(bucket)))
}
