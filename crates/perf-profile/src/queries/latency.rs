//! Many latency distributions in little memory.
//!
//! A [`perf_core::Histogram`] takes 9 KiB from the start, which pays on the hot path of a function and
//! not for a thousand statements that each spread over a few octaves. This one keeps only the buckets
//! that something fell into, in order, and costs a lock and a binary search to record.

use parking_lot::Mutex;
use perf_core::Summary;
use std::time::Duration;

/// As in `perf_core::histogram`: 32 buckets an octave, midpoints within 1.6 %.
const PRECISION_BITS: u32 = 5;

/// A distribution of durations, recorded from any thread.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    buckets: Mutex<Buckets>,
}

#[derive(Debug, Default)]
struct Buckets {
    /// Bucket and count, ascending.
    counts: Vec<(u16, u64)>,
    sum: Duration,
}

impl Latency {
    pub(crate) fn record(&self, duration: Duration) {
        self.buckets.lock().record(duration);
    }

    /// As [`record`](Self::record), where nobody else records.
    pub(super) fn record_exclusive(&mut self, duration: Duration) {
        self.buckets.get_mut().record(duration);
    }

    /// Adds what another has recorded, which nobody records into meanwhile.
    pub(super) fn merge(&mut self, other: &Self) {
        let (buckets, other) = (self.buckets.get_mut(), other.buckets.lock());
        buckets.sum = buckets.sum.saturating_add(other.sum);
        for &(bucket, count) in &other.counts {
            buckets.add(bucket, count);
        }
    }

    /// How often each duration was recorded, within 1.6 %, shortest first.
    pub(crate) fn distribution(&self) -> Vec<(Duration, u64)> {
        let buckets = self.buckets.lock();
        let counts = buckets.counts.iter();
        counts
            .map(|&(bucket, count)| (midpoint(bucket), count))
            .collect()
    }

    pub(crate) fn summary(&self) -> Summary {
        let buckets = self.buckets.lock();
        let count: u64 = buckets.counts.iter().map(|(_, count)| count).sum();
        let quantile =
            |permille: u64| buckets.at_rank(count.saturating_mul(permille).div_ceil(1_000).max(1));
        let mut summary = Summary::default();
        summary.count = count;
        summary.sum = buckets.sum;
        summary.p50 = quantile(500);
        summary.p95 = quantile(950);
        summary.p99 = quantile(990);
        summary.p999 = quantile(999);
        summary.max = quantile(1_000);
        summary
    }
}

impl Buckets {
    fn record(&mut self, duration: Duration) {
        let bucket = bucket(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
        self.sum = self.sum.saturating_add(duration);
        self.add(bucket, 1);
    }

    fn add(&mut self, bucket: u16, count: u64) {
        let place = self
            .counts
            .binary_search_by_key(&bucket, |&(bucket, _)| bucket);
        match place {
            Ok(place) => self.counts[place].1 += count,
            Err(place) => {
                // Growth by halves instead of doubling keeps the waste small.
                let more = self.counts.len() / 2 + 4;
                if self.counts.len() == self.counts.capacity() {
                    self.counts.reserve_exact(more);
                }
                self.counts.insert(place, (bucket, count));
            }
        }
    }

    /// The midpoint of the bucket that holds the value of this rank, counted from 1.
    fn at_rank(&self, rank: u64) -> Duration {
        let mut seen = 0;
        let bucket = self.counts.iter().find(|(_, count)| {
            seen += count;
            seen >= rank
        });
        bucket.map_or(Duration::ZERO, |&(bucket, _)| midpoint(bucket))
    }
}

fn bucket(nanos: u64) -> u16 {
    let octave = (u64::BITS - nanos.leading_zeros()).saturating_sub(PRECISION_BITS + 1);
    let position = nanos >> octave;
    // 59 octaves at most, and positions below 64.
    u16::try_from(u64::from(octave << PRECISION_BITS) + position).unwrap_or(u16::MAX)
}

fn midpoint(bucket: u16) -> Duration {
    let octave = (bucket >> PRECISION_BITS).saturating_sub(1);
    let lower = u64::from(bucket - (octave << PRECISION_BITS)) << octave;
    Duration::from_nanos(lower + (1 << octave) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use perf_core::Histogram;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_summarises_as_the_full_histogram_does(bits in vec((0_u32..40, any::<u64>()), 0..300)) {
            let (small, full) = (Latency::default(), Histogram::new());
            for (bits, random) in bits {
                let nanos = random & ((1 << bits) - 1);
                small.record(Duration::from_nanos(nanos));
                full.record(nanos);
            }
            let (small, full) = (small.summary(), full.snapshot().summary());
            prop_assert_eq!((small.count, small.sum), (full.count, full.sum));
            let pairs = [(small.p50, full.p50), (small.p95, full.p95), (small.p99, full.p99), (small.max, full.max)];
            for (small, full) in pairs {
                // Both round the middle of an even range, one up and one down.
                prop_assert!(small.abs_diff(full) <= Duration::from_nanos(1), "{small:?} {full:?}");
            }
        }
    }

    #[test]
    fn the_longest_duration_has_a_bucket() {
        let latency = Latency::default();
        latency.record(Duration::MAX);
        assert_eq!(latency.summary().count, 1);
        assert!(latency.summary().max > Duration::from_secs(500 * 365 * 86_400));
    }
}
