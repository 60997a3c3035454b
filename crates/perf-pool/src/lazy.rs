use parking_lot::Mutex;
use perf_core::backoff::Delays;
use perf_core::{Backoff, Clock, Moment, SystemClock};
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// A value made once, by the first who asks, in a task that no caller can cancel.
///
/// With a cell whose callers run the initialiser themselves, a caller who goes away takes the work
/// along, and under load with short time-outs it may never finish. Here callers only wait for it:
/// however many there are and whoever of them leaves, the initialiser runs exactly once. After a
/// failure it is run again by the next caller, but not before a back-off has passed; until then callers
/// get the failure at once.
///
/// ```
/// use perf_pool::AsyncLazy;
/// use std::io;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let schema = AsyncLazy::new(async || io::Result::Ok(String::from("CREATE TABLE …")));
/// assert!(schema.get().await?.starts_with("CREATE"));
/// # Ok(())
/// # }
/// ```
pub struct AsyncLazy<T, E> {
    shared: Arc<Shared<T, E>>,
}

type Making<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

struct Shared<T, E> {
    make: Box<dyn Fn() -> Making<T, E> + Send + Sync>,
    state: Mutex<State<T, E>>,
    changed: Arc<Notify>,
    backoff: Backoff,
    clock: Arc<dyn Clock>,
}

struct State<T, E> {
    value: Option<Arc<T>>,
    /// Counts the runs started and the resets, so that the result of a run from before a reset is
    /// dropped.
    run: u64,
    is_running: bool,
    /// The last failure, and the run it belongs to.
    failure: Option<(u64, Arc<E>)>,
    retry: Moment,
    delays: Delays<'static>,
}

/// Why there is no value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LazyError<E: Error + 'static> {
    /// The initialiser failed, now or so recently that it is not run again yet.
    #[error("the value could not be made")]
    Failed(#[source] Arc<E>),
    /// The initialiser runs in a task, and the caller is in no tokio runtime that could run it.
    #[error("no tokio runtime runs that could make the value")]
    NoRuntime,
}

impl<E: Error + 'static> LazyError<E> {
    /// Whether the same call may succeed later without anybody's help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Failed(_))
    }
}

impl<T, E> AsyncLazy<T, E>
where
    T: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    /// A value to be made by `make` when somebody first asks for it.
    ///
    /// After a failure the next run has to wait for 100 ms, after further ones for up to 10 s, with
    /// full jitter.
    pub fn new<F, A>(make: F) -> Self
    where
        F: Fn() -> A + Send + Sync + 'static,
        A: Future<Output = Result<T, E>> + Send + 'static,
    {
        let backoff = Backoff::exponential(Duration::from_millis(100));
        Self::with_backoff(make, backoff.with_cap(Duration::from_secs(10)), SystemClock)
    }

    /// As [`AsyncLazy::new`], with other waits after failures, on another clock.
    pub fn with_backoff<F, A>(make: F, backoff: Backoff, clock: impl Clock) -> Self
    where
        F: Fn() -> A + Send + Sync + 'static,
        A: Future<Output = Result<T, E>> + Send + 'static,
    {
        Self::announcing(make, backoff, Arc::new(clock), Arc::default())
    }

    /// As [`AsyncLazy::with_backoff`], whose every change `changed` tells.
    pub(crate) fn announcing<F, A>(
        make: F,
        backoff: Backoff,
        clock: Arc<dyn Clock>,
        changed: Arc<Notify>,
    ) -> Self
    where
        F: Fn() -> A + Send + Sync + 'static,
        A: Future<Output = Result<T, E>> + Send + 'static,
    {
        let state = State {
            value: None,
            run: 0,
            is_running: false,
            failure: None,
            retry: Moment::ORIGIN,
            delays: backoff.delays(fastrand::Rng::new()),
        };
        Self {
            shared: Arc::new(Shared {
                make: Box::new(move || Box::pin(make())),
                state: Mutex::new(state),
                changed,
                backoff,
                clock,
            }),
        }
    }

    /// The value, made first if need be.
    ///
    /// # Errors
    ///
    /// [`LazyError::Failed`] with the initialiser's error, [`LazyError::NoRuntime`] outside a runtime.
    /// An initialiser that panics is run again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future only stops waiting; the initialiser goes on for the others.
    pub async fn get(&self) -> Result<Arc<T>, LazyError<E>>
    where
        E: Error + 'static,
    {
        let mut awaited = None;
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            // Enrol before the look: a run that ends between the two must not be missed.
            changed.as_mut().enable();
            if let Some(outcome) = self.look(&mut awaited)? {
                return Ok(outcome);
            }
            changed.await;
        }
    }

    /// Has the value made, if need be, without waiting for it.
    pub(crate) fn start(&self) -> Result<(), LazyError<E>>
    where
        E: Error + 'static,
    {
        self.look(&mut None).map(drop)
    }

    /// One look at the state, which starts a run where one is due. `awaited` is the run that the caller
    /// has been waiting for: its failure is the caller's, whatever time has passed since.
    fn look(&self, awaited: &mut Option<u64>) -> Result<Option<Arc<T>>, LazyError<E>>
    where
        E: Error + 'static,
    {
        let mut state = self.shared.state.lock();
        if let Some(value) = &state.value {
            return Ok(Some(Arc::clone(value)));
        }
        if state.is_running {
            *awaited = Some(state.run);
            return Ok(None);
        }
        if let Some((run, error)) = &state.failure
            && (*awaited == Some(*run) || self.shared.clock.now() < state.retry)
        {
            return Err(LazyError::Failed(Arc::clone(error)));
        }
        let runtime = Handle::try_current().map_err(|_| LazyError::NoRuntime)?;
        state.run += 1;
        state.is_running = true;
        *awaited = Some(state.run);
        let run = Run {
            shared: Arc::clone(&self.shared),
            number: state.run,
        };
        // A runtime that shuts down drops the run at once, and its drop takes the lock.
        drop(state);
        runtime.spawn(run.finish());
        Ok(None)
    }
}

impl<T, E> AsyncLazy<T, E> {
    /// The value if it has been made.
    #[must_use]
    pub fn peek(&self) -> Option<Arc<T>> {
        self.shared.state.lock().value.clone()
    }

    /// Forgets the value, or the run that is making it: the next caller has it made anew. Whoever holds
    /// the old one keeps it.
    pub fn reset(&self) {
        self.shared.state.lock().forget();
        self.shared.changed.notify_waiters();
    }

    /// As [`AsyncLazy::reset`], but only if the value is still `outdated`: of many callers who find the
    /// same value useless, one has it made anew. Whether this was the one.
    ///
    /// ```
    /// use perf_pool::AsyncLazy;
    /// use std::io;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let lazy = AsyncLazy::new(async || io::Result::Ok(String::from("a token")));
    /// let outdated = lazy.get().await?;
    /// assert!(lazy.reset_if(&outdated));
    /// let renewed = lazy.get().await?;
    /// assert!(!lazy.reset_if(&outdated));
    /// assert_eq!(lazy.peek(), Some(renewed));
    /// # Ok(())
    /// # }
    /// ```
    pub fn reset_if(&self, outdated: &Arc<T>) -> bool {
        let mut state = self.shared.state.lock();
        let current = state.value.as_ref();
        if !current.is_some_and(|value| Arc::ptr_eq(value, outdated)) {
            return false;
        }
        state.forget();
        drop(state);
        self.shared.changed.notify_waiters();
        true
    }

    /// When the next run may start after a failure.
    pub(crate) fn retry(&self) -> Moment {
        self.shared.state.lock().retry
    }

    /// The last failure since the last success.
    pub(crate) fn failure(&self) -> Option<Arc<E>> {
        let state = self.shared.state.lock();
        let failure = state.failure.as_ref();
        failure.map(|(_, error)| Arc::clone(error))
    }

    pub(crate) fn is_running(&self) -> bool {
        self.shared.state.lock().is_running
    }
}

impl<T, E> State<T, E> {
    fn forget(&mut self) {
        self.run += 1;
        self.value = None;
        self.is_running = false;
        self.failure = None;
        self.retry = Moment::ORIGIN;
    }
}

/// One run of the initialiser. Dropped unfinished, by a panic or a lost runtime, it lets another start.
struct Run<T, E> {
    shared: Arc<Shared<T, E>>,
    number: u64,
}

impl<T, E> Run<T, E> {
    async fn finish(self) {
        let outcome = (self.shared.make)().await;
        let shared = &self.shared;
        let mut state = shared.state.lock();
        if state.run != self.number {
            return;
        }
        state.is_running = false;
        match outcome {
            Ok(value) => {
                state.value = Some(Arc::new(value));
                state.failure = None;
                state.delays = shared.backoff.delays(fastrand::Rng::new());
            }
            Err(error) => {
                let delay = state.delays.next().unwrap_or_default();
                state.retry = shared.clock.now().saturating_add(delay);
                state.failure = Some((self.number, Arc::new(error)));
            }
        }
    }
}

impl<T, E> Drop for Run<T, E> {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        if state.run == self.number {
            state.is_running = false;
        }
        drop(state);
        self.shared.changed.notify_waiters();
    }
}

impl<T, E> Clone for AsyncLazy<T, E> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T, E> fmt::Debug for AsyncLazy<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state.lock();
        f.debug_struct("AsyncLazy")
            .field("is_made", &state.value.is_some())
            .field("is_running", &state.is_running)
            .finish_non_exhaustive()
    }
}
