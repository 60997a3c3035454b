use crate::Profiler;
use crate::functions::{self, Polling};
use crate::ticks;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

/// How many blocks are kept, the newest.
const MAX_BLOCKS: usize = 128;
/// The lanes are looked at ten times within the threshold, and at least every second.
const LOOKS: u32 = 10;

/// A poll that has held its thread up.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Blocked {
    /// The profiled functions that the thread was in, outermost first.
    pub stack: Vec<&'static str>,
    /// How long the poll had run when it was found.
    pub elapsed: Duration,
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "blocked for {:.1?} in {}",
            self.elapsed,
            self.stack.join(" > ")
        )
    }
}

/// The blocks that the watchdogs of one profiler have found.
#[derive(Debug, Default)]
pub(crate) struct Blocks(Mutex<VecDeque<Blocked>>);

impl Blocks {
    fn keep(&self, blocked: Blocked) {
        let mut kept = self.0.lock();
        if kept.len() == MAX_BLOCKS {
            kept.pop_front();
        }
        kept.push_back(blocked);
    }

    /// Oldest first.
    pub(crate) fn all(&self) -> Vec<Blocked> {
        self.0.lock().iter().cloned().collect()
    }
}

/// A thread that looks for blocked polls until it is dropped.
#[must_use = "it stops watching when it is dropped"]
pub struct Watchdog {
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Profiler {
    /// Starts a thread that looks for polls of profiled futures which have held their thread up for
    /// `threshold`, while they still do; 100 ms is a good one. Each such poll is told to `on_blocked` once,
    /// and the newest 128 are in [`Snapshot::blocked`](crate::Snapshot::blocked).
    ///
    /// # Errors
    ///
    /// When the system refuses the thread.
    ///
    /// ```
    /// use perf_profile::{Profiler, profiled, span};
    /// use std::sync::mpsc;
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let profiler = Profiler::builder().build();
    /// let (found, wait) = mpsc::channel();
    /// let _watchdog = profiler.watch(Duration::from_millis(20), move |blocked| {
    ///     _ = found.send(blocked.stack.join(" > "));
    /// })?;
    /// let handler = async {
    ///     let _span = span!("parse");
    ///     // It blocks until the watchdog has found it.
    ///     wait.recv()
    /// };
    /// let stack = profiled(handler, || span!("handler")).await;
    /// assert_eq!(stack.as_deref(), Ok("handler > parse"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch(
        &self,
        threshold: Duration,
        on_blocked: impl Fn(&Blocked) + Send + 'static,
    ) -> std::io::Result<Watchdog> {
        let stopped = Arc::new(AtomicBool::new(false));
        let pause = (threshold / LOOKS).clamp(Duration::from_millis(1), Duration::from_secs(1));
        let profiler = self.clone();
        let watching = Arc::clone(&stopped);
        let watch = move || {
            let mut told = HashMap::new();
            while !watching.load(Relaxed) {
                for blocked in look(threshold, &mut told) {
                    // A panic ends here: the next block is to be told as well.
                    let _panicked = catch_unwind(AssertUnwindSafe(|| on_blocked(&blocked)));
                    profiler.shared().blocks.keep(blocked);
                }
                std::thread::park_timeout(pause);
            }
        };
        let thread = std::thread::Builder::new().name("perf-profile-watchdog".into());
        Ok(Watchdog {
            stopped,
            thread: Some(thread.spawn(watch)?),
        })
    }
}

/// The polls that exceed the threshold and have not been told of, by their lane and start.
fn look(threshold: Duration, told: &mut HashMap<usize, u64>) -> Vec<Blocked> {
    let now = ticks::now();
    let mut found = Vec::new();
    for (lane, Polling { since, stack }) in functions::polling() {
        let elapsed = Duration::from_nanos(ticks::nanos(now.saturating_sub(since)));
        if elapsed >= threshold && told.insert(lane, since) != Some(since) {
            found.push(Blocked { stack, elapsed });
        }
    }
    found
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stopped.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It may be dropped by its own callback's owner, and cannot wait for itself then.
            if thread.thread().id() != std::thread::current().id() {
                _ = thread.join();
            }
        }
    }
}

impl fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchdog").finish_non_exhaustive()
    }
}
