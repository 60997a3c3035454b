use super::report::{LoadReport, LoadSlice};
use parking_lot::Mutex;
use perf_core::{Histogram, Moment, Snapshot};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Into how many slices of equal length a run's time line is cut.
const SLICES: u32 = 60;
/// How many different failures are told apart; further ones share [`OTHER`].
const MAX_FAILURES: usize = 32;
const OTHER: &str = "other";

/// Where all requests of a run leave their figures.
#[derive(Debug)]
pub(super) struct Recorder {
    /// When recording begins: what is due earlier is warm-up.
    start: Moment,
    slice_length: Duration,
    slices: Vec<Slice>,
    service: Histogram,
    lag: Histogram,
    failures: Mutex<BTreeMap<String, u64>>,
    delayed: AtomicU64,
}

#[derive(Debug, Default)]
struct Slice {
    latency: Histogram,
    succeeded: AtomicU64,
}

/// One request's moments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    pub(super) due: Moment,
    pub(super) sent: Moment,
    pub(super) answered: Moment,
}

impl Recorder {
    pub(super) fn new(start: Moment, duration: Duration) -> Self {
        Self {
            start,
            slice_length: (duration / SLICES).max(Duration::from_nanos(1)),
            slices: (0..SLICES).map(|_| Slice::default()).collect(),
            service: Histogram::new(),
            lag: Histogram::new(),
            failures: Mutex::new(BTreeMap::new()),
            delayed: AtomicU64::new(0),
        }
    }

    pub(super) fn record<E: Display>(&self, timing: Timing, outcome: Result<(), E>) {
        let Some(slice) = self.slice(timing.due) else {
            return;
        };
        slice.latency.record_between(timing.due, timing.answered);
        self.service.record_between(timing.sent, timing.answered);
        self.lag.record_between(timing.due, timing.sent);
        match outcome {
            Ok(()) => {
                slice.succeeded.fetch_add(1, Relaxed);
            }
            Err(error) => self.fail(error.to_string()),
        }
    }

    /// A due request had to wait for others to be answered first.
    pub(super) fn record_delay(&self, due: Moment) {
        if self.slice(due).is_some() {
            self.delayed.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn report(&self, elapsed: Duration) -> LoadReport {
        let mut latency = Snapshot::default();
        let mut timeline = Vec::new();
        for (number, slice) in (0..).zip(&self.slices) {
            let snapshot = slice.latency.snapshot();
            latency.merge(&snapshot);
            timeline.push(LoadSlice {
                start: self.slice_length * number,
                length: self.slice_length,
                succeeded: slice.succeeded.load(Relaxed),
                latency: snapshot.summary(),
            });
        }
        LoadReport {
            elapsed,
            succeeded: timeline.iter().map(|slice| slice.succeeded).sum(),
            failures: self.failures.lock().clone(),
            delayed: self.delayed.load(Relaxed),
            latency,
            service: self.service.snapshot(),
            lag: self.lag.snapshot(),
            timeline,
        }
    }

    fn slice(&self, due: Moment) -> Option<&Slice> {
        let offset = due.as_nanos().checked_sub(self.start.as_nanos())?;
        let number = u128::from(offset) / self.slice_length.as_nanos();
        let last = self.slices.len() - 1;
        self.slices
            .get(usize::try_from(number).unwrap_or(last).min(last))
    }

    fn fail(&self, reason: String) {
        let mut failures = self.failures.lock();
        let known = failures.contains_key(&reason) || failures.len() < MAX_FAILURES;
        let reason = if known { reason } else { OTHER.into() };
        *failures.entry(reason).or_default() += 1;
    }
}
