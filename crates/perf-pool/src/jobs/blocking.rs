use super::queue::{Limits, Place, work};
use super::shared::{Shared, job_pool};
use crate::error::JobError;
use perf_core::{Clock, SystemClock};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// A bounded number of blocking jobs on tokio's threads for such: files, name look-ups, drivers without
/// `async`.
///
/// `spawn_blocking` alone queues without an end and runs what nobody waits for any more. Here a job that was
/// not started in time, or whose caller has gone, is dropped unstarted.
///
/// ```
/// use perf_pool::BlockingPool;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let files = BlockingPool::new(4, 100);
/// let text = files.run(|| std::fs::read_to_string("Cargo.toml")).await??;
/// assert!(text.contains("perf-pool"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct BlockingPool {
    shared: Arc<Shared<()>>,
}

job_pool!(BlockingPool);

impl BlockingPool {
    /// At most `threads` jobs run at a time, at least one, and at most `max_waiting` more wait, each at most
    /// 5 s.
    #[must_use]
    pub fn new(threads: usize, max_waiting: usize) -> Self {
        Self::with_limit(threads, max_waiting, Duration::from_secs(5), SystemClock)
    }

    /// As [`BlockingPool::new`], with another limit to the wait for a thread, on another clock.
    #[must_use]
    pub fn with_limit(
        threads: usize,
        max_waiting: usize,
        queue_timeout: Duration,
        clock: impl Clock,
    ) -> Self {
        let limits = Limits {
            workers: threads.max(1),
            max_waiting,
            queue_timeout,
        };
        Self {
            shared: Shared::new("blocking", "blocking_pool", limits, clock),
        }
    }

    /// Runs `job` on a thread where it may block.
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
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let runtime = Handle::try_current().map_err(|_| JobError::NoRuntime)?;
        let queue = &self.shared.queue;
        let (ticket, needs_worker) = queue.push(|reply| {
            // A caller who has gone is no reason to fail.
            let _gone = reply.send(job());
        })?;
        if needs_worker {
            let place = Place::new(queue);
            runtime.spawn_blocking(|| work(place));
        }
        ticket.outcome().await
    }
}
