//! The circuit breaker: a handle over a state machine in one atomic word.

mod admission;
mod builder;
mod call;
mod classify;
mod core;
mod lease;
mod machine;
mod open_time;
mod permit;
mod rules;
mod snapshot;
mod state;
mod streak;
mod stream;
mod tuning;
mod word;

use self::core::{Core, Holder};
use crate::error::{ConfigError, GuardError, Rejection};
use crate::name::Name;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub use builder::BreakerBuilder;
pub use call::Call;
pub use classify::{AnyError, Classify, Outcome};
pub use permit::Permit;
pub use rules::Reason;
pub use snapshot::BreakerSnapshot;
pub use state::{Hold, State};
pub use stream::GuardedStream;

/// Refuses calls to what keeps failing, until probes show that it works again.
///
/// Clones share one breaker. A call comes in one of four forms: [`call`](Self::call) for futures,
/// [`stream`](Self::stream) for streams, [`run`](Self::run) for closures, [`admit`](Self::admit) for
/// everything else.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_breaker::{CircuitBreaker, State};
/// use std::time::Duration;
///
/// let breaker = CircuitBreaker::builder("search")
///     .count_window(100)
///     .failure_rate(0.5)
///     .timeout(Duration::from_millis(250))
///     .build()?;
/// let hits = breaker.call(async { Ok::<_, std::io::Error>(7) }).await?;
/// assert_eq!((hits, breaker.state()), (7, State::Closed));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct CircuitBreaker<C = AnyError> {
    core: Arc<Core>,
    classify: C,
}

impl CircuitBreaker {
    /// A breaker with the default settings, which [`BreakerBuilder`] lists.
    ///
    /// # Panics
    ///
    /// Never: the defaults pass their own checks.
    #[must_use]
    pub fn new(name: impl Into<Name>) -> Self {
        Self::builder(name)
            .build()
            .expect("the default settings are valid")
    }

    /// Settings to build a breaker from. The name appears in rejections, events and figures.
    pub fn builder(name: impl Into<Name>) -> BreakerBuilder {
        BreakerBuilder::new(name.into())
    }
}

impl<C> CircuitBreaker<C> {
    pub(crate) const fn from_parts(core: Arc<Core>, classify: C) -> Self {
        Self { core, classify }
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    /// Awaits `future` if the breaker lets it pass.
    ///
    /// # Errors
    ///
    /// [`GuardError::Rejected`] if the breaker refuses the call, which is then never polled;
    /// [`GuardError::Elapsed`] if it takes longer than the call time-out; [`GuardError::Inner`] with the
    /// call's own error otherwise.
    ///
    /// # Panics
    ///
    /// A panic of the call, or of the classifier, counts as a failure and goes on. A breaker with a
    /// [`timeout`](BreakerBuilder::timeout) on the default clock needs tokio's timer.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped is judged by its age, see [`Permit`]; its permit never leaks.
    #[inline]
    pub fn call<T, E, F>(&self, future: F) -> Call<'_, F, C>
    where
        F: Future<Output = Result<T, E>>,
        C: Classify<T, E> + Clone,
    {
        Call::new(Holder::Borrowed(&self.core), self.classify.clone(), future)
    }

    /// As [`call`](Self::call), and borrows nothing, so that the call can be spawned.
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    pub fn call_owned<T, E, F>(&self, future: F) -> Call<'static, F, C>
    where
        F: Future<Output = Result<T, E>>,
        C: Classify<T, E> + Clone,
    {
        let core = Holder::Owned(Arc::clone(&self.core));
        Call::new(core, self.classify.clone(), future)
    }

    /// Awaits `future` on a permit that was given before the future could be made. The permit is this
    /// breaker's own; the call time-out counts from when it was given.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call), without the rejection.
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call); the permit is spent even if the call is dropped before its first poll.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use perf_breaker::CircuitBreaker;
    ///
    /// let breaker = CircuitBreaker::new("mail");
    /// let permit = breaker.admit()?;
    /// let letter = String::from("expensive to make");
    /// breaker.call_admitted(permit, async { std::fs::metadata(letter) }).await.unwrap_err();
    /// assert_eq!(breaker.snapshot().failures, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn call_admitted<'b, T, E, F>(&self, permit: Permit<'b>, future: F) -> Call<'b, F, C>
    where
        F: Future<Output = Result<T, E>>,
        C: Classify<T, E> + Clone,
    {
        Call::admitted(permit, self.classify.clone(), future)
    }

    /// As [`call`](Self::call), and asks `fallback` for a result if there is none. The fallback sees why
    /// and may decline by returning the error.
    ///
    /// # Errors
    ///
    /// What `fallback` returns.
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call); a fallback that is dropped changes nothing here.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use perf_breaker::{CircuitBreaker, Hold};
    ///
    /// let breaker = CircuitBreaker::new("rates");
    /// breaker.hold(Hold::Open);
    /// let rate = breaker
    ///     .call_or_else(
    ///         async { Err::<f64, _>("unreachable") },
    ///         |error| async move { if error.is_rejection() { Ok(1.08) } else { Err(error) } },
    ///     )
    ///     .await;
    /// assert_eq!(rate, Ok(1.08));
    /// # }
    /// ```
    pub async fn call_or_else<T, E, F, G, H>(
        &self,
        future: F,
        fallback: G,
    ) -> Result<T, GuardError<E>>
    where
        F: Future<Output = Result<T, E>>,
        C: Classify<T, E> + Clone,
        G: FnOnce(GuardError<E>) -> H,
        H: Future<Output = Result<T, GuardError<E>>>,
    {
        match self.call(future).await {
            Err(error) => fallback(error).await,
            result => result,
        }
    }

    /// As [`call`](Self::call), with `value` in the place of any result that there is not.
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use perf_breaker::CircuitBreaker;
    ///
    /// let breaker = CircuitBreaker::new("rates");
    /// assert_eq!(breaker.call_or(async { Err("unreachable") }, 1.08).await, 1.08);
    /// # }
    /// ```
    pub async fn call_or<T, E, F>(&self, future: F, value: T) -> T
    where
        F: Future<Output = Result<T, E>>,
        C: Classify<T, E> + Clone,
    {
        self.call(future).await.unwrap_or(value)
    }

    /// Passes on the items of `stream` if the breaker lets it pass. The whole stream is one call; see
    /// [`GuardedStream`] for how it is judged.
    ///
    /// # Cancel safety
    ///
    /// A stream that is dropped is judged by the wait under way and by what has come of it; its permit
    /// never leaks.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use futures_util::{StreamExt, stream};
    /// use perf_breaker::{CircuitBreaker, GuardError};
    ///
    /// let breaker = CircuitBreaker::new("prices");
    /// let prices = stream::iter([Ok(3), Err("connection reset")]);
    /// let items: Vec<_> = breaker.stream(prices).collect().await;
    /// assert_eq!(items, [Ok(3), Err(GuardError::Inner("connection reset"))]);
    /// assert_eq!(breaker.snapshot().failures, 1);
    /// # }
    /// ```
    pub fn stream<S>(&self, stream: S) -> GuardedStream<'_, S, C>
    where
        C: Clone,
    {
        GuardedStream::new(Holder::Borrowed(&self.core), self.classify.clone(), stream)
    }

    /// As [`stream`](Self::stream), and borrows nothing.
    ///
    /// # Cancel safety
    ///
    /// As [`stream`](Self::stream).
    pub fn stream_owned<S>(&self, stream: S) -> GuardedStream<'static, S, C>
    where
        C: Clone,
    {
        let core = Holder::Owned(Arc::clone(&self.core));
        GuardedStream::new(core, self.classify.clone(), stream)
    }

    /// Runs `work` if the breaker lets it pass. The call time-out cannot end it; work that took longer
    /// is judged by its result.
    ///
    /// # Errors
    ///
    /// [`GuardError::Rejected`] if the breaker refuses the call, [`GuardError::Inner`] with the call's own
    /// error otherwise.
    ///
    /// # Panics
    ///
    /// A panic of `work`, or of the classifier, counts as a failure and goes on.
    ///
    /// ```
    /// use perf_breaker::{CircuitBreaker, GuardError};
    ///
    /// let breaker = CircuitBreaker::new("disk");
    /// assert_eq!(breaker.run(|| "7".parse::<u8>()), Ok(7));
    /// assert!(matches!(breaker.run(|| "x".parse::<u8>()), Err(GuardError::Inner(_))));
    /// ```
    #[inline]
    pub fn run<T, E>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, GuardError<E>>
    where
        C: Classify<T, E>,
    {
        let permit = self.admit()?;
        let result = work();
        permit.record(self.classify.classify(&result));
        result.map_err(GuardError::Inner)
    }

    /// As [`run`](Self::run), and asks `fallback` for a result if there is none. The fallback sees why and
    /// may decline by returning the error.
    ///
    /// # Errors
    ///
    /// What `fallback` returns.
    ///
    /// # Panics
    ///
    /// As [`run`](Self::run).
    pub fn run_or_else<T, E>(
        &self,
        work: impl FnOnce() -> Result<T, E>,
        fallback: impl FnOnce(GuardError<E>) -> Result<T, GuardError<E>>,
    ) -> Result<T, GuardError<E>>
    where
        C: Classify<T, E>,
    {
        self.run(work).or_else(fallback)
    }

    /// A permit for one call, for what is neither a future nor a closure nor a stream.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] if the breaker refuses the call.
    #[inline]
    pub fn admit(&self) -> Result<Permit<'_>, Rejection> {
        let pass = self.core.admit()?;
        Ok(Permit::new(Holder::Borrowed(&self.core), pass))
    }

    /// As [`admit`](Self::admit), and borrows nothing.
    ///
    /// # Errors
    ///
    /// As [`admit`](Self::admit).
    pub fn admit_owned(&self) -> Result<Permit<'static>, Rejection> {
        let pass = self.core.admit()?;
        Ok(Permit::new(Holder::Owned(Arc::clone(&self.core)), pass))
    }

    /// What the breaker does with calls. An open breaker whose open time is over stays so until the next
    /// call becomes its first probe.
    #[must_use]
    pub fn state(&self) -> State {
        self.core.machine.state()
    }

    /// The breaker's state and counts.
    #[must_use]
    pub fn snapshot(&self) -> BreakerSnapshot {
        self.core.snapshot()
    }

    /// Takes the decision out of the rules' hands, until [`reset`](Self::reset). Calls under way have no
    /// effect on the breaker any more.
    ///
    /// ```
    /// use perf_breaker::{CircuitBreaker, Hold, State};
    ///
    /// let breaker = CircuitBreaker::new("billing");
    /// breaker.hold(Hold::Open);
    /// assert!(breaker.admit().is_err());
    /// breaker.reset();
    /// assert_eq!(breaker.state(), State::Closed);
    /// ```
    pub fn hold(&self, hold: Hold) {
        self.core.announce(self.core.machine.force(Some(hold)));
    }

    /// Closes the breaker with an empty window and ends a hold.
    pub fn reset(&self) {
        self.core.announce(self.core.machine.force(None));
    }

    /// Decides by other settings from now on: thresholds, limits, open times, probes. The state and what
    /// the window holds stay, as do name, clock and classifier.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] as [`BreakerBuilder::build`] reports, and [`ConfigError::Fixed`] if the window's
    /// shape differs; nothing has changed then.
    ///
    /// ```
    /// # fn main() -> Result<(), perf_breaker::ConfigError> {
    /// use perf_breaker::{CircuitBreaker, State};
    ///
    /// let breaker = CircuitBreaker::new("billing");
    /// breaker.admit().unwrap().failure();
    /// breaker.reconfigure(&CircuitBreaker::builder("").consecutive_failures(2))?;
    /// breaker.admit().unwrap().failure();
    /// assert_eq!(breaker.state(), State::Open);
    /// # Ok(())
    /// # }
    /// ```
    pub fn reconfigure<D>(&self, settings: &BreakerBuilder<D>) -> Result<(), ConfigError> {
        settings.apply(&self.core)
    }

    pub(crate) const fn classifier(&self) -> &C {
        &self.classify
    }

    /// The longest that a call may take.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.core.timeout()
    }

    /// Whether nobody else holds the breaker or a permit of it, and it decides about every future call as
    /// a new one would.
    pub(crate) fn is_dispensable(&mut self) -> bool {
        // Succeeds only for the last handle, and sees all that the others have written.
        Arc::get_mut(&mut self.core).is_some_and(|core| core.machine.is_fresh(core.clock.now()))
    }

    /// Shows the breaker in `registry` for as long as it lives.
    pub fn register(&self, registry: &perf_core::Registry) {
        registry.register(&self.core);
    }
}

impl<C: Clone> Clone for CircuitBreaker<C> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            classify: self.classify.clone(),
        }
    }
}
