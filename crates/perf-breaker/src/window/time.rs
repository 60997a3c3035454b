use super::{Counts, Generation, Trace};
use crate::sync::{AtomicU64, Ordering::AcqRel, Ordering::Acquire};
use perf_core::Moment;

/// The calls of the last so much time, in buckets.
///
/// A bucket's words carry the epoch that they count, so an idle window empties without being touched and
/// a success costs one addition however many calls the window holds. The window slides by one bucket's
/// width at a time.
///
/// A tag has room for a part of the epoch only, and repeats after 2²⁴ epochs, under five hours at the
/// shortest. So whoever first comes to an epoch empties the bucket that it enters, and those that were
/// skipped, before anyone can count there: what a word holds is never older than a lap of the window.
#[derive(Debug)]
pub(crate) struct TimeWindow {
    /// `{epoch 56, bucket 8}`: the youngest epoch that anyone has written. Comparing with the bounds of
    /// the epoch avoids two divisions on the usual path.
    latest: AtomicU64,
    /// Nanoseconds.
    width: u64,
    buckets: Box<[Bucket]>,
}

/// Each word is `{generation 16, epoch 24, count 24}`; counts stop at their limit.
#[derive(Debug)]
struct Bucket {
    calls: AtomicU64,
    failures: AtomicU64,
    slow: AtomicU64,
}

const BUCKET_BITS: u32 = 8;
const COUNT_BITS: u32 = 24;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
const EPOCH_MASK: u64 = (1 << 24) - 1;
const GENERATION_MASK: u64 = (1 << 16) - 1;

#[derive(Clone, Copy)]
struct Position {
    epoch: u64,
    bucket: usize,
}

impl TimeWindow {
    pub(crate) const MOST_BUCKETS: u64 = (1 << BUCKET_BITS) - 1;

    /// A window of `buckets` times `width` nanoseconds.
    pub(crate) fn new(buckets: usize, width: u64) -> Self {
        Self {
            latest: AtomicU64::new(0),
            width,
            buckets: (0..buckets).map(|_| Bucket::new()).collect(),
        }
    }

    /// The number of buckets and the width of one in nanoseconds.
    pub(super) const fn shape(&self) -> (usize, u64) {
        (self.buckets.len(), self.width)
    }

    #[inline]
    pub(crate) fn record(
        &self,
        generation: Generation,
        trace: Trace,
        minimum: u64,
        now: Moment,
        stands: impl Fn() -> bool,
    ) -> bool {
        let position = self.position(now);
        let bucket = &self.buckets[position.bucket];
        let tag = tag(generation, position.epoch);
        // Too old: another recorder's clock has already turned this bucket over.
        let fits = || stands() && self.latest_epoch() < position.epoch + self.buckets.len() as u64;
        let Some(calls) = increment(&bucket.calls, tag, fits) else {
            return false;
        };
        if trace.failed {
            increment(&bucket.failures, tag, fits);
        }
        if trace.slow {
            increment(&bucket.slow, tag, fits);
        }
        // A bucket that holds more than the minimum proves that the window reached it before.
        calls <= minimum && self.counts(generation, now).calls == minimum
    }

    pub(crate) fn counts(&self, generation: Generation, now: Moment) -> Counts {
        let here = self.position(now);
        let mut counts = Counts::default();
        for back in 0..self.buckets.len() {
            let Some(epoch) = here.epoch.checked_sub(back as u64) else {
                break;
            };
            let index = if back <= here.bucket {
                0
            } else {
                self.buckets.len()
            } + here.bucket
                - back;
            let (bucket, tag) = (&self.buckets[index], tag(generation, epoch));
            counts.calls += read(&bucket.calls, tag);
            counts.failures += read(&bucket.failures, tag);
            counts.slow += read(&bucket.slow, tag);
        }
        counts
    }

    #[inline]
    fn position(&self, now: Moment) -> Position {
        let latest = self.latest.load(Acquire);
        let epoch = latest >> BUCKET_BITS;
        let into = now.as_nanos().wrapping_sub(epoch * self.width);
        if into < self.width {
            return unpack(latest);
        }
        let epoch = now.as_nanos() / self.width;
        self.empty_until(epoch, latest);
        let packed = (epoch << BUCKET_BITS) | (epoch % self.buckets.len() as u64);
        self.latest.fetch_max(packed, AcqRel);
        unpack(packed)
    }

    /// Empties the buckets of the epochs after `latest`, up to `epoch`.
    #[cold]
    fn empty_until(&self, epoch: u64, latest: u64) {
        let buckets = self.buckets.len() as u64;
        let entered = epoch.saturating_sub(latest >> BUCKET_BITS).min(buckets);
        let stands = || self.latest.load(Acquire) == latest;
        for epoch in epoch - entered + 1..=epoch {
            let bucket = &self.buckets[usize::try_from(epoch % buckets).unwrap_or(0)];
            for word in [&bucket.calls, &bucket.failures, &bucket.slow] {
                empty(word, stands);
            }
        }
    }

    fn latest_epoch(&self) -> u64 {
        self.latest.load(Acquire) >> BUCKET_BITS
    }
}

impl Bucket {
    fn new() -> Self {
        Self {
            calls: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            slow: AtomicU64::new(0),
        }
    }
}

const fn unpack(packed: u64) -> Position {
    Position {
        epoch: packed >> BUCKET_BITS,
        bucket: (packed & TimeWindow::MOST_BUCKETS) as usize,
    }
}

const fn tag(generation: Generation, epoch: u64) -> u64 {
    ((generation.bits() & GENERATION_MASK) << 24) | (epoch & EPOCH_MASK)
}

fn read(word: &AtomicU64, tag: u64) -> u64 {
    let word = word.load(Acquire);
    if word >> COUNT_BITS == tag {
        word & COUNT_MASK
    } else {
        0
    }
}

/// Forgets what the word holds, unless `stands` tells that it may be new.
fn empty(word: &AtomicU64, stands: impl Fn() -> bool) {
    let old = word.load(Acquire);
    if old != 0 && stands() {
        // Lost to another who empties it too, or to a late recorder whose tag is of the last lap.
        let _emptied = word.compare_exchange(old, 0, AcqRel, Acquire);
    }
}

/// Adds one and returns the new count, unless the word belongs to what came later.
#[inline]
fn increment(word: &AtomicU64, tag: u64, fits: impl Fn() -> bool) -> Option<u64> {
    let mut old = word.load(Acquire);
    loop {
        let count = if old >> COUNT_BITS == tag {
            old & COUNT_MASK
        } else if fits() {
            0
        } else {
            return None;
        };
        let count = (count + 1).min(COUNT_MASK);
        match word.compare_exchange_weak(old, (tag << COUNT_BITS) | count, AcqRel, Acquire) {
            Ok(_) => return Some(count),
            Err(moved) => old = moved,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const OK: Trace = Trace {
        failed: false,
        slow: false,
    };

    fn at(nanos: u64) -> Moment {
        Moment::from_nanos(nanos)
    }

    #[test]
    fn a_bucket_leaves_as_a_whole() {
        let window = TimeWindow::new(3, 10);
        for nanos in [0, 9, 10, 29] {
            window.record(Generation(0), OK, 1, at(nanos), || true);
        }
        let calls = |nanos| window.counts(Generation(0), at(nanos)).calls;
        assert_eq!(
            [calls(29), calls(30), calls(40), calls(59), calls(60)],
            [4, 2, 1, 0, 0]
        );
    }

    #[test]
    fn a_clock_reading_from_a_bucket_that_was_turned_over_is_dropped() {
        let window = TimeWindow::new(2, 10);
        window.record(Generation(0), OK, 1, at(25), || true);
        window.record(Generation(0), Trace::FAILED, 1, at(5), || true);
        assert_eq!(
            window.counts(Generation(0), at(25)),
            Counts {
                calls: 1,
                failures: 0,
                slow: 0
            }
        );
    }

    #[test]
    fn what_is_old_does_not_come_back_when_its_tag_does() {
        let lap = 10 * (EPOCH_MASK + 1);
        let window = TimeWindow::new(2, 10);
        let now = |nanos| window.counts(Generation(0), at(nanos));
        for nanos in [0, 10] {
            window.record(Generation(0), Trace::FAILED, 1, at(nanos), || true);
        }
        assert_eq!(now(10).failures, 2);
        assert_eq!(now(lap + 10), Counts::default());
        window.record(Generation(0), Trace::FAILED, 1, at(lap + 10), || true);
        // Successes alone, in each bucket of a whole lap of the tags.
        for nanos in [lap + 20, lap + 30, 2 * lap + 10] {
            window.record(Generation(0), OK, 1, at(nanos), || true);
        }
        let (calls, failures) = (now(2 * lap + 10).calls, now(2 * lap + 10).failures);
        assert_eq!((calls, failures), (1, 0));
    }

    #[test]
    fn an_aeon_of_idleness_leaves_no_stuck_bucket() {
        let window = TimeWindow::new(2, 10);
        window.record(Generation(0), OK, 1, at(0), || true);
        let later = 10 * ((1 << 23) + 2);
        window.record(Generation(0), OK, 1, at(later), || true);
        assert_eq!(window.counts(Generation(0), at(later)).calls, 1);
    }
}
