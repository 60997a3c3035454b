use crate::check;
use crate::deadline::Deadline;
use crate::error::{ConfigError, GuardError};
use perf_core::clock::Sleep;
use perf_core::{Clock, SystemClock};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Ends calls that take too long, and never gives one more than what is left of the current [`Deadline`].
///
/// It knows nothing of a breaker: [`BreakerBuilder::timeout`](crate::BreakerBuilder::timeout) is the one
/// whose calls count as failed.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_breaker::{GuardError, Timeout};
/// use std::time::Duration;
///
/// let limit = Duration::from_millis(1);
/// let timeout = Timeout::new(limit)?;
/// assert_eq!(timeout.call(async { Ok::<_, ()>(7) }).await, Ok(7));
/// let hangs = std::future::pending::<Result<(), ()>>();
/// assert_eq!(timeout.call(hangs).await, Err(GuardError::Elapsed { limit }));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Timeout<K = SystemClock> {
    limit: Duration,
    clock: K,
}

impl Timeout {
    /// A limit of 1 ns to a year for each call.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Span`] if the limit is outside its range.
    pub fn new(limit: Duration) -> Result<Self, ConfigError> {
        Self::with_clock(limit, SystemClock)
    }
}

impl<K: Clock + Clone> Timeout<K> {
    /// A limit on `clock`.
    ///
    /// # Errors
    ///
    /// As [`Timeout::new`].
    pub fn with_clock(limit: Duration, clock: K) -> Result<Self, ConfigError> {
        check::span("call time-out", limit, Duration::from_nanos(1))?;
        Ok(Self { limit, clock })
    }

    /// Awaits `future` for as long as it may take.
    ///
    /// # Errors
    ///
    /// [`GuardError::Elapsed`] with the limit that ended the call; [`GuardError::Expired`] if the current
    /// deadline was over before the call was made, which is then never polled; [`GuardError::Inner`] with
    /// the call's own error.
    ///
    /// # Panics
    ///
    /// On the default clock, a call that has to wait panics outside a tokio runtime with its timer.
    ///
    /// # Cancel safety
    ///
    /// As `future`.
    pub fn call<T, E, F>(&self, future: F) -> TimedCall<F, K>
    where
        F: Future<Output = Result<T, E>>,
    {
        TimedCall {
            limit: self.limit,
            begun: false,
            alarm: None,
            clock: self.clock.clone(),
            future,
        }
    }
}

pin_project_lite::pin_project! {
    /// The future of [`Timeout::call`].
    #[must_use = "a call is made when it is awaited"]
    pub struct TimedCall<F, K> {
        limit: Duration,
        begun: bool,
        alarm: Option<Sleep>,
        clock: K,
        #[pin]
        future: F,
    }
}

impl<T, E, F, K> Future for TimedCall<F, K>
where
    F: Future<Output = Result<T, E>>,
    K: Clock,
{
    type Output = Result<T, GuardError<E>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if !*this.begun {
            *this.begun = true;
            if let Some(left) = Deadline::current_left() {
                *this.limit = left.min(*this.limit);
            }
            if this.limit.is_zero() {
                return Poll::Ready(Err(GuardError::Expired));
            }
        }
        if let Poll::Ready(result) = this.future.poll(context) {
            return Poll::Ready(result.map_err(GuardError::Inner));
        }
        // A call that ends at its first poll sets no alarm.
        let (clock, limit) = (this.clock, *this.limit);
        let alarm = this.alarm.get_or_insert_with(|| clock.sleep(limit));
        alarm
            .as_mut()
            .poll(context)
            .map(|()| Err(GuardError::Elapsed { limit }))
    }
}

impl<F, K> fmt::Debug for TimedCall<F, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimedCall")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
