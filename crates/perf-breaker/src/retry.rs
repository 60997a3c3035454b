//! Trying again, as far as that helps.
//!
//! A retry helps against a fault of the moment and makes every lasting one worse. So there is one only if
//! all of these allow it: the classifier (the result is a failure), the number of attempts, the longest wait
//! (the callee asks for no more), the deadline (something is left of it after the wait), and the budget,
//! which sees all callers at once. If one does not, the caller gets the error of the last attempt.

use crate::breaker::{Classify, Outcome};
use crate::budget::RetryBudget;
use crate::check;
use crate::deadline::Deadline;
use crate::error::ConfigError;
use crate::quota::Quota;
use crate::sync::{AtomicU64, Ordering::Relaxed};
use perf_core::backoff::Delays;
use perf_core::{Backoff, Clock, RetryBudget as _, SystemClock};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Repeats calls that failed. Clones share budget and figures.
///
/// | setting | default |
/// |---|---|
/// | attempts | 3, the first among them |
/// | back-off | 100 ms, doubled, at most 2 s, full jitter |
/// | longest wait | 2 s: who asks for more is not asked again |
/// | budget | one retry for each five calls, and ten a second |
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), perf_breaker::ConfigError> {
/// use perf_breaker::{AnyError, Retry};
///
/// let retry = Retry::builder().attempts(3).build()?;
/// let mut attempts = 0;
/// let reply = retry
///     .call(
///         || {
///             attempts += 1;
///             std::future::ready(if attempts < 3 { Err("busy") } else { Ok(7) })
///         },
///         &AnyError,
///     )
///     .await;
/// assert_eq!((reply, attempts), (Ok(7), 3));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Retry<K = SystemClock> {
    shared: Arc<Shared<K>>,
}

#[derive(Debug)]
struct Shared<K> {
    backoff: Backoff,
    attempts: u32,
    longest_wait: Duration,
    budget: Option<Arc<RetryBudget<K>>>,
    clock: K,
    retries: AtomicU64,
    refused_by_budget: AtomicU64,
}

/// The settings of a [`Retry`], checked by [`build`](Self::build).
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until they are built"]
pub struct RetryBuilder<K = SystemClock> {
    backoff: Backoff,
    attempts: u32,
    longest_wait: Duration,
    budget: Budget<K>,
    clock: K,
}

#[derive(Clone, Debug)]
enum Budget<K> {
    Default,
    Shared(Arc<RetryBudget<K>>),
    None,
}

const MOST_ATTEMPTS: u64 = 100;
const LONGEST_WAIT: Duration = Duration::from_secs(2);
const DEFAULT_SHARE: f64 = 0.2;
const DEFAULT_ALLOWANCE: &str = "10/second";

impl Retry {
    /// Settings to build from.
    pub const fn builder() -> RetryBuilder {
        RetryBuilder {
            backoff: Backoff::exponential(Duration::from_millis(100)).with_cap(LONGEST_WAIT),
            attempts: 3,
            longest_wait: LONGEST_WAIT,
            budget: Budget::Default,
            clock: SystemClock,
        }
    }
}

impl<K: Clock + Clone> RetryBuilder<K> {
    /// Makes at most so many attempts, the first among them; 1 to 100.
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Waits as `backoff` says between attempts; if it has a number of attempts of its own, the lower holds.
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Gives up if the callee asks to be left alone for longer, by a `Retry-After` or a refusal.
    pub const fn longest_wait(mut self, time: Duration) -> Self {
        self.longest_wait = time;
        self
    }

    /// Takes each retry from `budget`, which others may share.
    pub fn budget(mut self, budget: Arc<RetryBudget<K>>) -> Self {
        self.budget = Budget::Shared(budget);
        self
    }

    /// Retries as often as the number of attempts allows, whatever that does to the callee.
    pub fn without_budget(mut self) -> Self {
        self.budget = Budget::None;
        self
    }

    /// Waits on `clock`. Back to the default budget.
    pub fn clock<L: Clock + Clone>(self, clock: L) -> RetryBuilder<L> {
        RetryBuilder {
            backoff: self.backoff,
            attempts: self.attempts,
            longest_wait: self.longest_wait,
            budget: match self.budget {
                Budget::None => Budget::None,
                Budget::Default | Budget::Shared(_) => Budget::Default,
            },
            clock,
        }
    }

    /// The policy.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] if the number of attempts or the longest wait is out of range.
    pub fn build(self) -> Result<Retry<K>, ConfigError> {
        check::range("number of attempts", self.attempts.into(), 1, MOST_ATTEMPTS)?;
        check::span("longest wait", self.longest_wait, Duration::ZERO)?;
        let budget = match self.budget {
            Budget::Default => {
                let allowance: Quota = DEFAULT_ALLOWANCE.parse()?;
                let clock = self.clock.clone();
                let budget = RetryBudget::with_clock(DEFAULT_SHARE, &allowance, clock)?;
                Some(Arc::new(budget))
            }
            Budget::Shared(budget) => Some(budget),
            Budget::None => None,
        };
        let shared = Shared {
            backoff: self.backoff,
            attempts: self.attempts,
            longest_wait: self.longest_wait,
            budget,
            clock: self.clock,
            retries: AtomicU64::new(0),
            refused_by_budget: AtomicU64::new(0),
        };
        Ok(Retry {
            shared: Arc::new(shared),
        })
    }
}

impl<K: Clock> Retry<K> {
    /// Awaits what `make` makes, until `classify` calls a result no failure or nothing allows another
    /// attempt. A result that is [`Outcome::OpenFor`] some time is not repeated before it is over.
    ///
    /// # Errors
    ///
    /// The error of the last attempt.
    ///
    /// # Panics
    ///
    /// On the default clock, a wait panics outside a tokio runtime with its timer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the attempt under way; what the budget has paid for it is spent.
    pub async fn call<T, E, F>(
        &self,
        mut make: impl FnMut() -> F,
        classify: &impl Classify<T, E>,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let mut attempts = self.begin();
        loop {
            let result = make().await;
            let at_least = match classify.classify(&result) {
                Outcome::Success | Outcome::Ignore => return result,
                Outcome::Failure => Duration::ZERO,
                Outcome::OpenFor(time) => time,
            };
            match self.wait_before_next(&mut attempts, at_least) {
                Some(wait) => self.shared.clock.sleep(wait).await,
                None => return result,
            }
        }
    }

    /// How often a call was repeated.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.shared.retries.load(Relaxed)
    }

    /// How often one was not, for want of budget.
    #[must_use]
    pub fn refused_by_budget(&self) -> u64 {
        self.shared.refused_by_budget.load(Relaxed)
    }

    pub(crate) fn begin(&self) -> Attempts {
        if let Some(budget) = &self.shared.budget {
            budget.deposit();
        }
        Attempts {
            left: self.shared.attempts - 1,
            delays: None,
        }
    }

    /// How long to wait before the next attempt, at least `at_least`; `None` if there is to be none.
    #[cold]
    pub(crate) fn wait_before_next(
        &self,
        attempts: &mut Attempts,
        at_least: Duration,
    ) -> Option<Duration> {
        let shared = &self.shared;
        attempts.left = attempts.left.checked_sub(1)?;
        let delays = attempts
            .delays
            .get_or_insert_with(|| shared.backoff.delays(fastrand::Rng::new()));
        let wait = delays.next()?.max(at_least);
        let is_in_time = Deadline::current_left().is_none_or(|left| wait < left);
        if at_least > shared.longest_wait || !is_in_time {
            return None;
        }
        // Last: what is taken here is used.
        if shared
            .budget
            .as_ref()
            .is_some_and(|budget| !budget.withdraw())
        {
            shared.refused_by_budget.fetch_add(1, Relaxed);
            return None;
        }
        shared.retries.fetch_add(1, Relaxed);
        Some(wait)
    }
}

impl<K> Clone for Retry<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

/// The attempts of one call.
#[derive(Debug)]
pub(crate) struct Attempts {
    left: u32,
    /// A call that succeeds at once draws no random numbers.
    delays: Option<Delays<'static>>,
}
