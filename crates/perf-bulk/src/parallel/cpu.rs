use futures_util::FutureExt;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::thread;
use tokio::sync::oneshot;

/// Applies `work` to each of `items` on rayon's threads, as many at a time as there are; outputs come in the
/// order of the items. It starts at once.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use perf_bulk::par_map_cpu;
///
/// let squares = par_map_cpu((0..1_000_u64).collect(), |number| number * number).await;
/// assert_eq!(squares[999], 998_001);
/// # }
/// ```
pub fn par_map_cpu<T, O, F>(items: Vec<T>, work: F) -> ParMapCpu<O>
where
    T: Send + 'static,
    O: Send + 'static,
    F: Fn(T) -> O + Send + Sync + 'static,
{
    let (send, outputs) = oneshot::channel();
    let stopped = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&stopped);
    rayon::spawn(move || {
        let all = || {
            let outputs = items.into_par_iter().map(|item| {
                let goes_on = !stop.load(Ordering::Relaxed);
                goes_on.then(|| work(item))
            });
            outputs.collect::<Option<Vec<_>>>()
        };
        // A panic that left this closure would end the process.
        let outputs = catch_unwind(AssertUnwindSafe(all)).transpose();
        if let Some(outputs) = outputs {
            let _nobody_waits = send.send(outputs);
        }
    });
    ParMapCpu { outputs, stopped }
}

/// The future of [`par_map_cpu`].
///
/// # Panics
///
/// Polling it goes on with the first panic of the work.
///
/// # Cancel safety
///
/// Dropped, no further item is begun.
#[must_use = "dropping it stops the work"]
pub struct ParMapCpu<O> {
    outputs: oneshot::Receiver<thread::Result<Vec<O>>>,
    stopped: Arc<AtomicBool>,
}

impl<O> Future for ParMapCpu<O> {
    type Output = Vec<O>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Vec<O>> {
        match ready!(self.outputs.poll_unpin(context)) {
            Ok(Ok(outputs)) => Poll::Ready(outputs),
            Ok(Err(panic)) => resume_unwind(panic),
            // Only a stopped computation sends nothing, and it is stopped by the drop of this.
            Err(_) => Poll::Pending,
        }
    }
}

impl<O> Drop for ParMapCpu<O> {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

impl<O> fmt::Debug for ParMapCpu<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ParMapCpu")
    }
}
