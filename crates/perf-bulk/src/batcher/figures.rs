//! What a batcher has done so far.

use parking_lot::Mutex;
use perf_core::{Histogram, Moment, Sample};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) succeeded: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) retried: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) buried: AtomicU64,
    pub(super) lost_letters: AtomicU64,
    calls: AtomicU64,
    items: AtomicU64,
    handling: Histogram,
    waiting: Histogram,
    rate: Mutex<Rate>,
}

impl Figures {
    /// Notes a call of the handler.
    pub(super) fn called(&self, items: usize, start: Moment, end: Moment) {
        self.calls.fetch_add(1, Relaxed);
        self.items.fetch_add(items as u64, Relaxed);
        self.handling.record_between(start, end);
        self.rate.lock().add(items, end);
    }

    /// Notes how long the first item of a batch had waited.
    pub(super) fn waited(&self, since: Moment, now: Moment) {
        self.waiting.record_between(since, now);
    }

    pub(super) fn samples(&self, now: Moment, samples: &mut Vec<Sample>) {
        let count = |counter: &AtomicU64| counter.load(Relaxed);
        let (calls, items) = (count(&self.calls), count(&self.items));
        let mean = if calls == 0 {
            0.0
        } else {
            items as f64 / calls as f64
        };
        samples.extend([
            Sample::counter("succeeded", count(&self.succeeded)),
            Sample::counter("failed", count(&self.failed)),
            Sample::counter("retried", count(&self.retried)),
            Sample::counter("refused", count(&self.refused)),
            Sample::counter("dead_letters", count(&self.buried)),
            Sample::counter("dead_letters_lost", count(&self.lost_letters)),
            Sample::counter("batches", calls),
            Sample::gauge("mean_batch_items", mean),
            Sample::gauge("items_per_second", self.rate.lock().per_second(now)),
            Sample::histogram("batch_seconds", self.handling.snapshot().summary()),
            Sample::histogram("wait_seconds", self.waiting.snapshot().summary()),
        ]);
    }
}

/// Items a second, of which those of ten seconds ago count a third.
#[derive(Debug, Default)]
struct Rate {
    per_second: f64,
    at: Moment,
}

impl Rate {
    const WINDOW: Duration = Duration::from_secs(10);

    fn add(&mut self, items: usize, now: Moment) {
        self.per_second = self.per_second(now) + items as f64 / Self::WINDOW.as_secs_f64();
        self.at = self.at.max(now);
    }

    fn per_second(&self, now: Moment) -> f64 {
        let passed = now.since(self.at).as_secs_f64();
        self.per_second * (-passed / Self::WINDOW.as_secs_f64()).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_stream_is_measured_and_an_ended_one_forgotten() {
        let mut rate = Rate::default();
        let at = |second: u64| Moment::from_nanos(second * 1_000_000_000);
        for second in 0..100 {
            rate.add(500, at(second));
        }
        let steady = rate.per_second(at(99));
        assert!((475.0..=530.0).contains(&steady), "{steady}");
        assert!(rate.per_second(at(200)) < 0.1);
    }
}
