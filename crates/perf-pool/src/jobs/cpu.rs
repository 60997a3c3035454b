use super::queue::{Limits, Place, work};
use super::shared::{Shared, job_pool};
use crate::error::JobError;
use perf_core::{Clock, SystemClock};
use rayon_core::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use std::sync::Arc;
use std::time::Duration;

/// A bounded number of computations on rayon's threads, away from those that serve requests.
///
/// A job may use rayon's parallel iterators, which then run on the same threads. One that was not started
/// in time, or whose caller has gone, is dropped unstarted.
///
/// ```
/// use perf_pool::CpuPool;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let computations = CpuPool::new(2, 100)?;
/// let sum: u64 = computations.run(|| (1..=1_000).sum()).await?;
/// assert_eq!(sum, 500_500);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CpuPool {
    shared: Arc<Shared<()>>,
    threads: Arc<ThreadPool>,
}

job_pool!(CpuPool);

impl CpuPool {
    /// A pool of `threads` threads, as many as there are processors if 0. At most `max_waiting` more jobs
    /// wait, each at most 5 s.
    ///
    /// # Errors
    ///
    /// When the threads cannot be started.
    pub fn new(threads: usize, max_waiting: usize) -> Result<Self, ThreadPoolBuildError> {
        let limit = Duration::from_secs(5);
        let threads = ThreadPoolBuilder::new().num_threads(threads).build()?;
        Ok(Self::on_threads(threads, max_waiting, limit, SystemClock))
    }

    /// A pool on threads of one's own making, with a limit to the wait for one of them, on a clock.
    #[must_use]
    pub fn on_threads(
        threads: ThreadPool,
        max_waiting: usize,
        queue_timeout: Duration,
        clock: impl Clock,
    ) -> Self {
        let limits = Limits {
            workers: threads.current_num_threads(),
            max_waiting,
            queue_timeout,
        };
        Self {
            shared: Shared::new("cpu", "cpu_pool", limits, clock),
            threads: Arc::new(threads),
        }
    }

    /// Runs `job` on one of the threads.
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
        let queue = &self.shared.queue;
        let (ticket, needs_worker) = queue.push(|reply| {
            // A caller who has gone is no reason to fail.
            let _gone = reply.send(job());
        })?;
        if needs_worker {
            let place = Place::new(queue);
            self.threads.spawn(|| work(place));
        }
        ticket.outcome().await
    }
}
