use parking_lot::RwLock;
use perf_core::{Histogram, Moment, Snapshot};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Into how many slices a window is cut: it forgets one at a time.
const SLICES: u32 = 12;

/// The requests of the last while.
#[derive(Debug)]
pub(super) struct SlidingWindow {
    slice_length: Duration,
    slices: RwLock<VecDeque<Slice>>,
}

#[derive(Debug)]
struct Slice {
    start: Moment,
    latency: Histogram,
    failed: AtomicU64,
}

/// The requests of a window, as they were at one time.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WindowStats {
    /// How much of the window has passed since counting began.
    pub covered: Duration,
    /// How many requests ended.
    pub requests: u64,
    /// How many of them failed.
    pub failed: u64,
    /// How long they took.
    pub latency: Snapshot,
}

impl WindowStats {
    /// The share of requests that failed, 0 to 1; 0 without requests.
    #[must_use]
    pub fn error_rate(&self) -> f64 {
        if self.requests == 0 {
            return 0.0;
        }
        self.failed as f64 / self.requests as f64
    }

    /// Requests a second; 0 before any time has passed.
    #[must_use]
    pub fn throughput(&self) -> f64 {
        let seconds = self.covered.as_secs_f64();
        if seconds > 0.0 {
            self.requests as f64 / seconds
        } else {
            0.0
        }
    }
}

impl SlidingWindow {
    pub(super) fn new(length: Duration, now: Moment) -> Self {
        Self {
            slice_length: (length / SLICES).max(Duration::from_millis(1)),
            slices: RwLock::new(VecDeque::from([Slice::starting(now)])),
        }
    }

    pub(super) fn record(&self, now: Moment, latency: Duration, failed: bool) {
        let slices = self.slices.read();
        match slices.back() {
            Some(slice) if !self.is_over(slice, now) => slice.record(latency, failed),
            _ => {
                drop(slices);
                self.turn(now);
                if let Some(slice) = self.slices.read().back() {
                    slice.record(latency, failed);
                }
            }
        }
    }

    pub(super) fn stats(&self, now: Moment) -> WindowStats {
        self.turn(now);
        let slices = self.slices.read();
        let mut latency = Snapshot::default();
        for slice in slices.iter() {
            latency.merge(&slice.latency.snapshot());
        }
        let start = slices.front().map_or(now, |slice| slice.start);
        WindowStats {
            covered: now.since(start),
            requests: latency.count(),
            failed: slices.iter().map(|slice| slice.failed.load(Relaxed)).sum(),
            latency,
        }
    }

    /// Begins a new slice when the last one is over, and forgets those that left the window.
    fn turn(&self, now: Moment) {
        let is_over = |slices: &VecDeque<Slice>| {
            let last = slices.back();
            last.is_none_or(|last| self.is_over(last, now))
        };
        if !is_over(&self.slices.read()) {
            return;
        }
        let mut slices = self.slices.write();
        let length = self.slice_length * (SLICES - 1);
        // Another thread may have begun it meanwhile.
        if !is_over(&slices) {
            return;
        }
        let elapsed = slices
            .back()
            .map_or(Duration::ZERO, |last| now.since(last.start));
        let whole = elapsed.as_nanos() / self.slice_length.as_nanos();
        let skipped = u32::try_from(whole).unwrap_or(u32::MAX);
        let last = slices.back().map_or(now, |slice| slice.start);
        let start = last.saturating_add(self.slice_length.saturating_mul(skipped));
        while slices
            .front()
            .is_some_and(|first| start.since(first.start) > length)
        {
            slices.pop_front();
        }
        slices.push_back(Slice::starting(start));
    }

    fn is_over(&self, slice: &Slice, now: Moment) -> bool {
        now.since(slice.start) >= self.slice_length
    }
}

impl Slice {
    const fn starting(start: Moment) -> Self {
        Self {
            start,
            latency: Histogram::new(),
            failed: AtomicU64::new(0),
        }
    }

    fn record(&self, latency: Duration, failed: bool) {
        self.latency.record_duration(latency);
        if failed {
            self.failed.fetch_add(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: Duration = Duration::from_secs(60);

    proptest! {
        /// Against a list of all requests: what ended within eleven twelfths of the window is counted, what
        /// ended before the window is not, and what lies between may be.
        #[test]
        fn a_window_counts_what_lies_in_it(steps in proptest::collection::vec((0_u64..20_000, any::<bool>()), 1..30)) {
            let mut now = Moment::from_nanos(1);
            let window = SlidingWindow::new(MINUTE, now);
            let mut all: Vec<(Moment, bool)> = Vec::new();
            for (millis, failed) in steps {
                now = now.saturating_add(Duration::from_millis(millis));
                window.record(now, Duration::from_millis(1), failed);
                all.push((now, failed));
                let stats = window.stats(now);
                let within = |length| all.iter().filter(move |(at, _)| now.since(*at) < length);
                let surely = within(MINUTE / 12 * 11).count() as u64;
                let perhaps = within(MINUTE).count() as u64;
                prop_assert!((surely..=perhaps).contains(&stats.requests));
                let failures = |length| within(length).filter(|(_, failed)| *failed).count() as u64;
                prop_assert!((failures(MINUTE / 12 * 11)..=failures(MINUTE)).contains(&stats.failed));
                prop_assert!(stats.covered <= MINUTE);
            }
        }
    }
}
