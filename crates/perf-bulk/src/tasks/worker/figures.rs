//! What a worker has done so far.

use perf_core::{Histogram, Inspect, Sample};
use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

#[derive(Debug)]
pub(super) struct Figures {
    pub(super) worker: String,
    pub(super) concurrency: usize,
    pub(super) succeeded: AtomicU64,
    pub(super) retried: AtomicU64,
    pub(super) dead: AtomicU64,
    pub(super) lost_letters: AtomicU64,
    pub(super) panicked: AtomicU64,
    pub(super) timed_out: AtomicU64,
    pub(super) leases_lost: AtomicU64,
    pub(super) leases_expired: AtomicU64,
    pub(super) reports_refused: AtomicU64,
    pub(super) exchanges: AtomicU64,
    pub(super) claimed: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) running: AtomicUsize,
    /// How long handlers run.
    pub(super) run: Histogram,
    /// How long tasks wait from when they are due to when they are claimed, by the wall clock.
    pub(super) wait: Histogram,
}

impl Figures {
    pub(super) fn new(worker: String, concurrency: usize) -> Self {
        Self {
            worker,
            concurrency,
            succeeded: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            dead: AtomicU64::new(0),
            lost_letters: AtomicU64::new(0),
            panicked: AtomicU64::new(0),
            timed_out: AtomicU64::new(0),
            leases_lost: AtomicU64::new(0),
            leases_expired: AtomicU64::new(0),
            reports_refused: AtomicU64::new(0),
            exchanges: AtomicU64::new(0),
            claimed: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            running: AtomicUsize::new(0),
            run: Histogram::new(),
            wait: Histogram::new(),
        }
    }

    pub(super) fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Relaxed);
    }
}

impl Inspect for Figures {
    fn name(&self) -> Cow<'_, str> {
        self.worker.as_str().into()
    }

    fn kind(&self) -> &'static str {
        "task_worker"
    }

    fn samples(&self, samples: &mut Vec<Sample>) {
        let counters = [
            ("claimed", &self.claimed),
            ("succeeded", &self.succeeded),
            ("retried", &self.retried),
            ("dead", &self.dead),
            ("dead_letters_lost", &self.lost_letters),
            ("panicked", &self.panicked),
            ("timed_out", &self.timed_out),
            ("leases_lost", &self.leases_lost),
            ("leases_expired", &self.leases_expired),
            ("reports_refused", &self.reports_refused),
            ("exchanges", &self.exchanges),
            ("backend_failures", &self.failures),
        ];
        samples
            .extend(counters.map(|(name, counter)| Sample::counter(name, counter.load(Relaxed))));
        samples.extend([
            Sample::gauge("running", self.running.load(Relaxed) as f64),
            Sample::gauge("concurrency", self.concurrency as f64),
            Sample::histogram("run_seconds", self.run.snapshot().summary()),
            Sample::histogram("wait_seconds", self.wait.snapshot().summary()),
        ]);
    }
}
