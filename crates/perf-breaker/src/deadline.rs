//! The time by which an answer is wanted, handed down from caller to callee.
//!
//! A limit on each step does not bound the whole: three steps of at most a second each may take three, long
//! after whoever asked has gone. A deadline is set once, where the request comes in; it is found by
//! everything that runs in the same task, and no step is given more than what is left of it.

use crate::error::{ConfigError, GuardError};
use perf_core::{Clock, Moment, SystemClock};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

tokio::task_local! {
    static CURRENT: Deadline;
}

/// A point in time by which an answer is wanted. Cloning costs nothing on the default clock.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), perf_breaker::ConfigError> {
/// use perf_breaker::{Deadline, GuardError, Timeout};
/// use std::time::Duration;
///
/// let a_second = Duration::from_secs(1);
/// let step = Timeout::new(Duration::from_secs(30))?;
/// let reply = Deadline::after(a_second)
///     .scope(step.call(std::future::pending::<Result<(), ()>>()))
///     .await;
/// assert_eq!(reply, Err(GuardError::Elapsed { limit: a_second }));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Deadline {
    at: Moment,
    clock: Reader,
}

#[derive(Clone, Debug)]
enum Reader {
    System,
    Other(Arc<dyn Clock>),
}

impl Reader {
    fn now(&self) -> Moment {
        match self {
            Self::System => SystemClock.now(),
            Self::Other(clock) => clock.now(),
        }
    }

    fn sleep_until(&self, deadline: Moment) -> perf_core::clock::Sleep {
        match self {
            Self::System => SystemClock.sleep_until(deadline),
            Self::Other(clock) => clock.sleep_until(deadline),
        }
    }
}

impl Deadline {
    /// So long from now.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self {
            at: SystemClock.now().saturating_add(time),
            clock: Reader::System,
        }
    }

    /// So long from now on `clock`.
    #[must_use]
    pub fn after_on(time: Duration, clock: impl Clock) -> Self {
        Self {
            at: clock.now().saturating_add(time),
            clock: Reader::Other(Arc::new(clock)),
        }
    }

    /// The deadline that the caller's task is in, if any.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// What is left of the current deadline; `None` if there is none.
    pub(crate) fn current_left() -> Option<Duration> {
        CURRENT.try_with(Self::left).ok()
    }

    /// What is left of it; zero once it is over.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.at.since(self.clock.now())
    }

    /// Whether nothing is left of it.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.left().is_zero()
    }

    /// Lets `future` and all that it awaits in the same task find this deadline, or the one around it if
    /// that is nearer. It ends nothing by itself: limits and retries inside keep to it.
    ///
    /// # Cancel safety
    ///
    /// As `future`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// use perf_breaker::Deadline;
    /// use std::time::Duration;
    ///
    /// let seconds = |n| Deadline::after(Duration::from_secs(n));
    /// let left = seconds(1)
    ///     .scope(seconds(60).scope(async { Deadline::current().unwrap().left() }))
    ///     .await;
    /// assert_eq!(left, Duration::from_secs(1));
    /// # }
    /// ```
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        CURRENT.scope(self.nearer(), future).await
    }

    /// As [`scope`](Self::scope), and ends the call at the deadline.
    ///
    /// # Errors
    ///
    /// [`GuardError::Expired`] if the deadline was over before the call was made, [`GuardError::Elapsed`] if
    /// it ended it, [`GuardError::Inner`] with the call's own error.
    ///
    /// # Cancel safety
    ///
    /// As `future`.
    pub async fn limit<T, E, F>(self, future: F) -> Result<T, GuardError<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        let deadline = self.nearer();
        let limit = deadline.left();
        if limit.is_zero() {
            return Err(GuardError::Expired);
        }
        let mut call = pin!(CURRENT.scope(deadline.clone(), future));
        let mut alarm = None;
        poll_fn(|context| {
            if let Poll::Ready(result) = call.as_mut().poll(context) {
                return Poll::Ready(result.map_err(GuardError::Inner));
            }
            let alarm = alarm.get_or_insert_with(|| deadline.clock.sleep_until(deadline.at));
            alarm
                .as_mut()
                .poll(context)
                .map(|()| Err(GuardError::Elapsed { limit }))
        })
        .await
    }

    /// What is left as the value of a `grpc-timeout` header: digits and a unit, at most nine characters,
    /// rounded down. Relative times need no agreement between two machines' clocks.
    ///
    /// ```
    /// use perf_breaker::Deadline;
    /// use perf_core::ManualClock;
    /// use std::time::Duration;
    ///
    /// let deadline = Deadline::after_on(Duration::from_millis(250), ManualClock::new());
    /// assert_eq!(deadline.to_header(), "250000u");
    /// ```
    #[must_use]
    pub fn to_header(&self) -> String {
        let micros = self.left().as_micros();
        let units = [
            (1, 'u'),
            (1_000, 'm'),
            (1_000_000, 'S'),
            (60_000_000, 'M'),
            (3_600_000_000, 'H'),
        ];
        let fitting = units
            .iter()
            .find(|(size, _)| micros / size <= MOST_DIGITS)
            .unwrap_or(&(u128::MAX, 'H'));
        let (size, unit) = fitting;
        match size {
            &u128::MAX => format!("{MOST_DIGITS}{unit}"),
            size => format!("{}{unit}", micros / size),
        }
    }

    /// The time that a `grpc-timeout` header leaves. Whoever trusts no sender takes the shorter of it and a
    /// limit of its own.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Deadline`] if the text is not one to eight digits and one of `H M S m u n`.
    ///
    /// ```
    /// # fn main() -> Result<(), perf_breaker::ConfigError> {
    /// use perf_breaker::Deadline;
    /// use std::time::Duration;
    ///
    /// assert_eq!(Deadline::parse_header("1500m")?, Duration::from_millis(1_500));
    /// assert!(Deadline::parse_header("soon").is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn parse_header(value: &str) -> Result<Duration, ConfigError> {
        let invalid = || ConfigError::Deadline {
            text: value.chars().take(20).collect(),
        };
        let (digits, unit) = value
            .len()
            .checked_sub(1)
            .and_then(|last| value.split_at_checked(last))
            .ok_or_else(invalid)?;
        let is_number =
            (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        let number: u64 = digits.parse().map_err(|_| invalid())?;
        match unit {
            _ if !is_number => Err(invalid()),
            "H" => Ok(Duration::from_secs(number * 3_600)),
            "M" => Ok(Duration::from_secs(number * 60)),
            "S" => Ok(Duration::from_secs(number)),
            "m" => Ok(Duration::from_millis(number)),
            "u" => Ok(Duration::from_micros(number)),
            "n" => Ok(Duration::from_nanos(number)),
            _ => Err(invalid()),
        }
    }

    /// This one or the current one. They may be on different clocks: only what is left can be compared.
    fn nearer(self) -> Self {
        match Self::current() {
            Some(outer) if outer.left() < self.left() => outer,
            _ => self,
        }
    }
}

const MOST_DIGITS: u128 = 99_999_999;
