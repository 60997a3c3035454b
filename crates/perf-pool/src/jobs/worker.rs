use super::queue::{Limits, Place};
use super::shared::{Shared, job_pool};
use crate::error::JobError;
use perf_core::{Clock, SystemClock};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::runtime::Handle;

/// A bounded number of asynchronous jobs at a time, in tasks of their own.
///
/// A job that was not started in time, or whose caller has gone, is dropped unstarted; one that has
/// started runs to its end, whoever goes.
///
/// ```
/// use perf_pool::WorkerPool;
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let uploads = WorkerPool::new(2, 100);
/// let sent = uploads.run(async { "a file".len() }).await?;
/// assert_eq!(sent, 6);
/// assert_eq!(uploads.drain(Duration::from_secs(5)).await, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct WorkerPool {
    shared: Arc<Shared<Running>>,
}

job_pool!(WorkerPool);

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

impl WorkerPool {
    /// At most `workers` jobs run at a time, at least one, and at most `max_waiting` more wait, each at most
    /// 5 s.
    #[must_use]
    pub fn new(workers: usize, max_waiting: usize) -> Self {
        Self::with_limit(workers, max_waiting, Duration::from_secs(5), SystemClock)
    }

    /// As [`WorkerPool::new`], with another limit to the wait for a worker, on another clock.
    #[must_use]
    pub fn with_limit(
        workers: usize,
        max_waiting: usize,
        queue_timeout: Duration,
        clock: impl Clock,
    ) -> Self {
        let limits = Limits {
            workers: workers.max(1),
            max_waiting,
            queue_timeout,
        };
        Self {
            shared: Shared::new("workers", "worker_pool", limits, clock),
        }
    }

    /// Runs `job` to its end in a task.
    ///
    /// # Errors
    ///
    /// [`JobError`] says whether the job was never started, or panicked.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops a job that has not started. One that has runs to its end, unseen.
    pub async fn run<T, F>(&self, job: F) -> Result<T, JobError>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let runtime = Handle::try_current().map_err(|_| JobError::NoRuntime)?;
        let queue = &self.shared.queue;
        let (ticket, needs_worker) = queue.push(|reply| -> Running {
            Box::pin(async move {
                // A caller who has gone is no reason to fail.
                let _gone = reply.send(job.await);
            })
        })?;
        if needs_worker {
            runtime.spawn(work(Place::new(queue)));
        }
        ticket.outcome().await
    }
}

/// Runs jobs one after the other until there are none left, each contained if it panics.
async fn work(mut place: Place<Running>) {
    while let Some(mut job) = place.start_next() {
        poll_fn(|context| {
            let polled = catch_unwind(AssertUnwindSafe(|| job.as_mut().poll(context)));
            polled.unwrap_or(Poll::Ready(()))
        })
        .await;
        let _contained = catch_unwind(AssertUnwindSafe(|| drop(job)));
        place.note_completed();
    }
}
