//! One run of one task, from its arguments to its report.

use super::figures::Figures;
use super::handlers::{Failure, Handlers};
use super::job::Job;
use crate::sink::{DeadLetter, DeadLetterSink};
use crate::tasks::{Claimed, Lease, Outcome, Settlement};
use crate::wall::later;
use futures_util::FutureExt;
use perf_core::{Backoff, Clock};
use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tracing::Instrument as _;

/// What every run of a worker shares.
pub(super) struct Bench {
    pub(super) handlers: Handlers,
    pub(super) backoff: Backoff,
    pub(super) dead_letters: Option<Arc<dyn DeadLetterSink>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) keeps_results: bool,
    pub(super) figures: Arc<Figures>,
}

/// A run that has ended.
pub(super) struct Finished {
    pub(super) lease: Lease,
    /// The report, unless the handler made it in its own transaction.
    pub(super) report: Option<Settlement>,
}

impl Bench {
    /// Runs a task and decides what becomes of it.
    pub(super) async fn run(self: Arc<Self>, claimed: Claimed) -> Finished {
        let job = Job::new(&claimed, Arc::clone(&self.clock));
        let start = self.clock.now();
        let result = self.attempt(&claimed, job.clone()).await;
        self.figures.run.record_between(start, self.clock.now());
        let outcome = match result {
            Ok(_) if job.is_acknowledged() => None,
            Ok(output) if self.keeps_results => Some(Outcome::Succeeded(output)),
            Ok(_) => Some(Outcome::Forgotten),
            Err(failure) => Some(self.fail(&claimed, failure).await),
        };
        let succeeded = !matches!(outcome, Some(Outcome::Retry { .. } | Outcome::Dead(_)));
        Figures::add(&self.figures.succeeded, usize::from(succeeded));
        Finished {
            lease: claimed.lease,
            report: outcome.map(|outcome| Settlement::new(claimed.lease, outcome)),
        }
    }

    async fn attempt(&self, claimed: &Claimed, job: Job) -> Result<String, Failure> {
        if claimed.attempt > claimed.max_attempts {
            return Err(Failure::permanent("the last attempt left no report"));
        }
        let Some(handler) = self.handlers.get(claimed.name.as_str()) else {
            return Err(Failure::passing("this worker has no handler for it"));
        };
        let span = tracing::debug_span!("task", name = claimed.name, id = %claimed.lease.id);
        let handler = Arc::clone(handler);
        let args = claimed.args.clone();
        // Called inside the future: a handler may panic before it returns one.
        let run = AssertUnwindSafe(async move { handler(args, job).await }.instrument(span));
        tokio::select! {
            result = run.catch_unwind() => result.unwrap_or_else(|panic| {
                self.figures.panicked.fetch_add(1, Relaxed);
                Err(Failure::passing(format!("it panicked: {}", message(&*panic))))
            }),
            limit = self.limit(claimed.time_limit) => {
                self.figures.timed_out.fetch_add(1, Relaxed);
                Err(Failure::passing(format!("it took longer than {limit:?}")))
            }
        }
    }

    async fn limit(&self, limit: Option<Duration>) -> Duration {
        match limit {
            Some(limit) => self.clock.sleep(limit).await,
            None => std::future::pending().await,
        }
        limit.unwrap_or_default()
    }

    /// Another attempt, or the end.
    async fn fail(&self, claimed: &Claimed, failure: Failure) -> Outcome {
        let Failure {
            error,
            is_permanent,
        } = failure;
        let attempts_left = claimed.attempt < claimed.max_attempts && !is_permanent;
        let earlier = usize::try_from(claimed.attempt).unwrap_or(usize::MAX) - 1;
        let mut delays = self.backoff.delays(fastrand::Rng::new());
        if let Some(delay) = attempts_left.then(|| delays.nth(earlier)).flatten() {
            self.figures.retried.fetch_add(1, Relaxed);
            let at = later(self.clock.wall(), delay);
            return Outcome::Retry { at, error };
        }
        self.figures.dead.fetch_add(1, Relaxed);
        tracing::warn!(task = %claimed.lease.id, name = claimed.name, error, "a task is dead");
        self.bury(claimed, &error).await;
        Outcome::Dead(error)
    }

    /// Keeps a letter before the task is reported dead, so that a crash between the two keeps two letters
    /// and not none.
    async fn bury(&self, claimed: &Claimed, error: &str) {
        let Some(sink) = &self.dead_letters else {
            return;
        };
        let args = serde_json::from_str::<serde_json::Value>(&claimed.args);
        let args = args.unwrap_or_else(|_| claimed.args.clone().into());
        let attempts = claimed.attempt.min(claimed.max_attempts);
        let letter = DeadLetter::new(&claimed.name, &args, error, attempts, self.clock.wall());
        let kept = match letter {
            Ok(letter) => sink.keep(&[letter]).await,
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            self.figures.lost_letters.fetch_add(1, Relaxed);
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a dead letter was lost"
            );
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    text.or(owned).unwrap_or("of something")
}
