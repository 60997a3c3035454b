use super::recorder::{Recorder, Timing};
use super::{LoadTest, Stages, Target};
use perf_core::{Clock, Moment, SystemClock};
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Sends each request when it is due, each in a task of its own.
pub(super) async fn run<T: Target>(
    test: &LoadTest,
    stages: &Stages,
    start: Moment,
    target: &Arc<T>,
    recorder: &Arc<Recorder>,
) {
    let stages = stages.after_warm_up(test.warm_up);
    let arrivals = stages.schedule(test.seed.map(fastrand::Rng::with_seed));
    let mut unanswered = JoinSet::new();
    let mut sent = 0;
    for (number, offset) in (0..test.max_requests).zip(arrivals) {
        let due = start.saturating_add(offset);
        if due > SystemClock.now() {
            SystemClock.sleep_until(due).await;
        }
        while unanswered.try_join_next().is_some() {}
        if unanswered.len() >= test.max_unanswered.get() {
            recorder.record_delay(due);
            unanswered.join_next().await;
        }
        let (target, recorder) = (Arc::clone(target), Arc::clone(recorder));
        unanswered.spawn(request(target, recorder, number, Some(due), test.timeout));
        sent = number + 1;
    }
    while unanswered.join_next().await.is_some() {}
    if sent < test.max_requests {
        // The last request may be answered before the last stage is over, which still counts as time.
        let end = start.saturating_add(stages.duration());
        SystemClock.sleep_until(end).await;
    }
}

/// Sends one request and records it. Without `due` it was due when it was sent.
pub(super) async fn request<T: Target>(
    target: Arc<T>,
    recorder: Arc<Recorder>,
    number: u64,
    due: Option<Moment>,
    timeout: Duration,
) {
    let sent = SystemClock.now();
    let mut request = Request {
        due: due.unwrap_or(sent),
        sent,
        recorder,
        ended: false,
    };
    match tokio::time::timeout(timeout, target.send(number)).await {
        Ok(outcome) => request.end(outcome),
        Err(_elapsed) => request.end(Err("timed out")),
    }
}

/// A request under way, which ends by itself when its target panics.
struct Request {
    due: Moment,
    sent: Moment,
    recorder: Arc<Recorder>,
    ended: bool,
}

impl Request {
    fn end<E: Display>(&mut self, outcome: Result<(), E>) {
        self.ended = true;
        let timing = Timing {
            due: self.due,
            sent: self.sent,
            answered: SystemClock.now(),
        };
        self.recorder.record(timing, outcome);
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        // Dropped with the whole run, it has no outcome.
        if !self.ended && std::thread::panicking() {
            self.end(Err("panicked"));
        }
    }
}
