//! All of it in the one order that is right.
//!
//! From the outside in: fallback, retry, rate limit, breaker, bulkhead, time-out, call. Each place has a
//! reason. The fallback is asked once, after the last attempt. Every attempt takes from the rate limit,
//! because the callee sees every attempt. An open breaker turns calls away before they queue for a place. The
//! time-out begins when the call does: time spent in the queue says nothing of the callee. And what the
//! bulkhead refuses is no failure of the callee, so the breaker does not hear of it.

mod builder;
mod call;
mod fallback;
mod pledge;

use crate::breaker::{AnyError, CircuitBreaker, Classify};
use crate::bulkhead::Bulkhead;
use crate::holder::Holder;
use crate::limiter::RateLimiter;
use crate::retry::Retry;
use perf_core::{Clock, SystemClock};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub use builder::GuardBuilder;
pub use call::{GuardCall, MakeCall};
pub use fallback::{Fallback, NoFallback};

/// Retry, rate limit, breaker, bulkhead and time-out before a call, as far as they are set, with one error
/// type. Clones share all of them.
///
/// Within a [`Deadline`](crate::Deadline), no attempt gets more time than what is left of it, and none is
/// made after it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_breaker::{Bulkhead, CircuitBreaker, Guard, GuardError, RateLimiter, Retry};
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// let guard = Guard::builder()
///     .retry(Retry::builder().attempts(3).build()?)
///     .rate(Arc::new(RateLimiter::new(&"100/second".parse()?)))
///     .breaker(CircuitBreaker::new("billing"))
///     .bulkhead(Bulkhead::builder("billing", 20).queue(100).build()?)
///     .timeout(Duration::from_millis(250))
///     .fallback(|_: GuardError<std::io::Error>| async { Ok(0) })
///     .build()?;
/// let invoices = guard.call(|| async { Ok(7) }).await?;
/// assert_eq!(invoices, 7);
/// let invoices = guard.call(|| async { Err(std::io::ErrorKind::NotFound.into()) }).await?;
/// assert_eq!(invoices, 0);
/// # Ok(())
/// # }
/// ```
pub struct Guard<C = AnyError, G = NoFallback, K = SystemClock> {
    stages: Arc<Stages<C, G, K>>,
}

/// What stands before a call, outermost first.
#[derive(Clone)]
struct Stages<C, G, K> {
    fallback: G,
    retry: Option<Retry<K>>,
    rate: Option<Rate<K>>,
    breaker: Option<CircuitBreaker<C>>,
    bulkhead: Option<Bulkhead<K>>,
    timeout: Option<Duration>,
    classify: C,
    clock: K,
}

#[derive(Debug)]
struct Rate<K> {
    limiter: Arc<RateLimiter<K>>,
    max_wait: Duration,
}

impl<K> Clone for Rate<K> {
    fn clone(&self) -> Self {
        Self {
            limiter: Arc::clone(&self.limiter),
            max_wait: self.max_wait,
        }
    }
}

impl Guard {
    /// A guard to be composed, without any stage so far.
    pub const fn builder() -> GuardBuilder {
        GuardBuilder::new()
    }
}

impl<C, G, K: Clock> Guard<C, G, K> {
    /// Awaits what `make` makes, once for each attempt, as far as every stage lets it.
    ///
    /// # Errors
    ///
    /// What the fallback returns; without one, the [`GuardError`](crate::GuardError) of the last attempt.
    ///
    /// # Panics
    ///
    /// A panic of the call counts as its failure and goes on. On the default clock, a call that has to wait
    /// panics outside a tokio runtime with its timer, if there is a time-out, a wait for the rate limit or a
    /// retry.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped gives back its place in every stage; the breaker judges it by its age, or not
    /// at all while it has not begun. What the rate limit and the retry budget have given is spent.
    pub fn call<T, E, M>(&self, make: M) -> GuardCall<'_, M, C, G, K, G::Future>
    where
        M: MakeCall,
        M::Future: Future<Output = Result<T, E>>,
        C: Classify<T, E>,
        G: Fallback<T, E>,
    {
        GuardCall::new(Holder::Borrowed(&self.stages), make)
    }

    /// As [`call`](Self::call), and borrows nothing, so that the call can be spawned.
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    pub fn call_owned<T, E, M>(&self, make: M) -> GuardCall<'static, M, C, G, K, G::Future>
    where
        M: MakeCall,
        M::Future: Future<Output = Result<T, E>>,
        C: Classify<T, E>,
        G: Fallback<T, E>,
    {
        GuardCall::new(Holder::Owned(Arc::clone(&self.stages)), make)
    }

    /// The same guard, its state shared, with another fallback: one for each kind of call.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), perf_breaker::ConfigError> {
    /// use perf_breaker::{CircuitBreaker, Guard, GuardError};
    ///
    /// let guard = Guard::builder().breaker(CircuitBreaker::new("rates")).build()?;
    /// let rate = guard
    ///     .with_fallback(|_: GuardError<&str>| async { Ok(1.08) })
    ///     .call(|| async { Err("unreachable") })
    ///     .await;
    /// assert_eq!(rate, Ok(1.08));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_fallback<H>(&self, fallback: H) -> Guard<C, H, K>
    where
        C: Clone,
        K: Clone,
    {
        let stages = &*self.stages;
        let stages = Stages {
            fallback,
            retry: stages.retry.clone(),
            rate: stages.rate.clone(),
            breaker: stages.breaker.clone(),
            bulkhead: stages.bulkhead.clone(),
            timeout: stages.timeout,
            classify: stages.classify.clone(),
            clock: stages.clock.clone(),
        };
        Guard {
            stages: Arc::new(stages),
        }
    }
}

impl<C, G, K> Clone for Guard<C, G, K> {
    fn clone(&self) -> Self {
        Self {
            stages: Arc::clone(&self.stages),
        }
    }
}

impl<C: fmt::Debug, G, K: fmt::Debug> fmt::Debug for Guard<C, G, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stages = &*self.stages;
        f.debug_struct("Guard")
            .field("retry", &stages.retry)
            .field("rate", &stages.rate)
            .field("breaker", &stages.breaker)
            .field("bulkhead", &stages.bulkhead)
            .field("timeout", &stages.timeout)
            .finish_non_exhaustive()
    }
}
