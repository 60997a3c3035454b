use super::recorder::Recorder;
use super::{LoadTest, Target, open};
use perf_core::{Clock, Moment, SystemClock};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::task::JoinSet;

/// What all users share.
struct Shared<T> {
    target: Arc<T>,
    recorder: Arc<Recorder>,
    next: AtomicU64,
    max_requests: u64,
    timeout: Duration,
    end: Moment,
}

/// Lets each user send its next request when its last one was answered, until `end`.
pub(super) async fn run<T: Target>(
    test: &LoadTest,
    users: NonZeroUsize,
    end: Moment,
    target: &Arc<T>,
    recorder: &Arc<Recorder>,
) {
    let shared = Arc::new(Shared {
        target: Arc::clone(target),
        recorder: Arc::clone(recorder),
        next: AtomicU64::new(0),
        max_requests: test.max_requests,
        timeout: test.timeout,
        end,
    });
    let mut running = JoinSet::new();
    for _ in 0..users.get() {
        running.spawn(user(Arc::clone(&shared)));
    }
    while let Some(ended) = running.join_next().await {
        // A panic is counted as a failed request and must not leave fewer users than asked for.
        if ended.is_err() {
            running.spawn(user(Arc::clone(&shared)));
        }
    }
}

async fn user<T: Target>(shared: Arc<Shared<T>>) {
    while SystemClock.now() < shared.end {
        let number = shared.next.fetch_add(1, Relaxed);
        if number >= shared.max_requests {
            return;
        }
        let (target, recorder) = (Arc::clone(&shared.target), Arc::clone(&shared.recorder));
        open::request(target, recorder, number, None, shared.timeout).await;
    }
}
