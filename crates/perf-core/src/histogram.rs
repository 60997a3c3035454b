//! Durations in fixed memory.
//!
//! A [`Histogram`] is log-linear: values below 32 have a bucket each, and every octave above is cut
//! into 32 equal ones, so a bucket's midpoint is within 1.6 % of everything in it. 1,150 buckets reach
//! from 1 ns to almost 18 minutes. With sum and clamp count that is 9 KiB, whatever is recorded.
//!
//! Recording is one or two relaxed additions, without lock or allocation. HDR histograms of three
//! digits answer the same questions from 248 KiB, which a profiler with a thousand of them cannot pay.
//! The layout is that of Gil Tene's HdrHistogram with five bits of precision.

mod snapshot;

use crate::clock::Moment;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

pub use snapshot::{Snapshot, Summary};

const PRECISION_BITS: u32 = 5;
const SUB_BUCKETS: usize = 1 << PRECISION_BITS;
const BUCKETS: usize = 36 * SUB_BUCKETS - 2;
/// The largest value of the last bucket; what exceeds it is counted there and as clamped.
const MAX: u64 = upper_bound(BUCKETS - 1);

/// A distribution of `u64` values, nanoseconds by convention, recorded from any thread.
///
/// ```
/// use perf_core::Histogram;
/// use std::time::Duration;
///
/// let latencies = Histogram::new();
/// for micros in 1..=1_000 {
///     latencies.record_duration(Duration::from_micros(micros));
/// }
/// let snapshot = latencies.snapshot();
/// assert_eq!(snapshot.count(), 1_000);
/// let p99 = snapshot.quantile(0.99).as_secs_f64();
/// assert!((p99 / 990e-6 - 1.0).abs() <= 0.016);
/// ```
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum: AtomicU64,
    clamped: AtomicU64,
}

impl Histogram {
    /// An empty histogram.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
            sum: AtomicU64::new(0),
            clamped: AtomicU64::new(0),
        }
    }

    /// Records one value. Sums wrap after 584 years of recorded nanoseconds.
    #[inline]
    pub fn record(&self, value: u64) {
        self.buckets[index(value)].fetch_add(1, Relaxed);
        self.sum.fetch_add(value, Relaxed);
        if value > MAX {
            self.clamped.fetch_add(1, Relaxed);
        }
    }

    /// As [`Histogram::record`], at less than half its cost, where only one thread ever records.
    ///
    /// Plain loads and stores replace the read-modify-writes. Recording from two threads at once loses
    /// counts; reading from others is fine.
    #[inline]
    pub fn record_exclusive(&self, value: u64) {
        add_exclusive(&self.buckets[index(value)], 1);
        add_exclusive(&self.sum, value);
        if value > MAX {
            add_exclusive(&self.clamped, 1);
        }
    }

    /// Records a duration in nanoseconds.
    #[inline]
    pub fn record_duration(&self, duration: Duration) {
        self.record(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Records the time from `start` to `end`.
    #[inline]
    pub fn record_between(&self, start: Moment, end: Moment) {
        self.record(end.as_nanos().saturating_sub(start.as_nanos()));
    }

    /// The counts as they are now. Values recorded meanwhile may be in it or not, each wholly or not,
    /// except that its sum may include one whose count it misses, or the reverse.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let counts = self
            .buckets
            .iter()
            .map(|bucket| bucket.load(Relaxed))
            .collect();
        Snapshot::new(counts, self.sum.load(Relaxed), self.clamped.load(Relaxed))
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Histogram")
            .field(&self.snapshot().summary())
            .finish()
    }
}

#[inline]
fn add_exclusive(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(amount), Relaxed);
}

/// The bucket that counts `value`.
#[inline]
fn index(value: u64) -> usize {
    let value = value.min(MAX);
    // Values below 32 have octave 0, those below 64 octave 0 too, each further doubling one more.
    let octave = (u64::BITS - value.leading_zeros()).saturating_sub(PRECISION_BITS + 1);
    let position = value >> octave;
    octave as usize * SUB_BUCKETS + usize::try_from(position).unwrap_or(BUCKETS - 1)
}

/// The smallest value that bucket `index` counts.
const fn lower_bound(index: usize) -> u64 {
    let octave = (index / SUB_BUCKETS).saturating_sub(1);
    ((index - octave * SUB_BUCKETS) as u64) << octave
}

/// The largest value that bucket `index` counts.
const fn upper_bound(index: usize) -> u64 {
    lower_bound(index + 1) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_counts_exactly_its_range() {
        for bucket in 0..BUCKETS {
            assert_eq!(index(lower_bound(bucket)), bucket);
            assert_eq!(index(upper_bound(bucket)), bucket);
        }
        assert_eq!(index(MAX + 1), BUCKETS - 1);
        assert_eq!(index(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn it_takes_nine_kibibytes() {
        assert_eq!(size_of::<Histogram>(), 9 * 1024);
    }
}
