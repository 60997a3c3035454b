//! A limit of calls at once that finds itself.
//!
//! How many calls a callee can work on at once changes with its load, its version and its neighbours; a number
//! in a configuration is wrong by the next day. These limits watch what calls under them take: as long as
//! the callee keeps up, its times stay what they are when it is idle and the limit grows; beyond that, calls
//! queue at the callee, their times grow with the limit, and it shrinks.
//!
//! All that depends on knowing the idle times. An average drifts up with the very queues that it is to
//! detect, and so does a minimum that is renewed under load: the limit then creeps up for ever. Here both
//! come from a *probe*: now and then the limit is halved until the callee's queue has drained, and only what
//! calls take then counts as idle ([`Idle`](idle::Idle)).
//!
//! Sources: Netflix's *concurrency-limits*, whose names the algorithms keep; Lawrence Brakmo and Larry
//! Peterson, *TCP Vegas*, 1995, for the queue that is estimated from times.

mod aimd;
mod gradient;
mod idle;
mod inspect;
mod vegas;

use crate::breaker::{AnyError, Classify, Outcome};
use crate::error::GuardError;
use crate::holder::Holder;
use crate::name::Name;
use crate::overload::{Overload, OverloadCause};
use crate::seats::Seats;
use crate::sync::{AtomicU64, Mutex, Ordering::Relaxed};
use perf_core::{Clock, Moment, Registry, SystemClock};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub use aimd::Aimd;
pub use gradient::Gradient;
pub use vegas::Vegas;

/// How one call under a limit went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallSample {
    /// What it took.
    pub taken: Duration,
    /// How many calls were under way when it began, itself among them.
    pub under_way: u64,
    /// Whether it failed in a way that overload explains.
    pub failed: bool,
}

/// Decides how many calls may be under way at once. It reads no clock and draws nothing at random.
pub trait LimitPolicy: Send + 'static {
    /// The limit at first.
    fn first(&self) -> u64;

    /// The limit after this call; at least 1.
    fn next(&mut self, sample: CallSample) -> u64;
}

/// Lets as many calls be under way at once as its policy finds good. Clones share the limit.
///
/// A call beyond the limit is refused and does not wait: a queue would hide from the policy what it must
/// see.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_breaker::{AdaptiveLimit, Gradient};
///
/// let limit = AdaptiveLimit::new("search", Gradient::between(5, 200)?);
/// let hits = limit.call(async { Ok::<_, std::io::Error>(7) }).await?;
/// assert_eq!((hits, limit.under_way()), (7, 0));
/// # Ok(())
/// # }
/// ```
pub struct AdaptiveLimit<P = Gradient, K = SystemClock> {
    shared: Arc<Shared<P, K>>,
}

struct Shared<P, K> {
    name: Name,
    clock: K,
    seats: Seats,
    limit: AtomicU64,
    policy: Mutex<P>,
    /// What the last call took, in nanoseconds: about then, a place becomes free.
    last: AtomicU64,
    refused: AtomicU64,
}

impl<P: LimitPolicy> AdaptiveLimit<P> {
    /// A limit that `policy` moves. The name appears in refusals and figures.
    pub fn new(name: impl Into<Name>, policy: P) -> Self {
        Self::with_clock(name, policy, SystemClock)
    }
}

impl<P: LimitPolicy, K: Clock> AdaptiveLimit<P, K> {
    /// A limit on `clock`.
    pub fn with_clock(name: impl Into<Name>, policy: P, clock: K) -> Self {
        let shared = Shared {
            name: name.into(),
            clock,
            seats: Seats::new(),
            limit: AtomicU64::new(policy.first().max(1)),
            policy: Mutex::new(policy),
            last: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Awaits `future` if the limit is not reached. Every error counts as one that overload explains.
    ///
    /// # Errors
    ///
    /// [`GuardError::Overloaded`] if the limit is reached, [`GuardError::Inner`] with the call's own error.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped frees its place and moves the limit as a failure would: it took too long for
    /// somebody.
    pub async fn call<T, E, F>(&self, future: F) -> Result<T, GuardError<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        self.call_judged(future, &AnyError).await
    }

    /// As [`call`](Self::call); only what `classify` calls a failure counts as one, and what it ignores does
    /// not move the limit.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    pub async fn call_judged<T, E, F>(
        &self,
        future: F,
        classify: &impl Classify<T, E>,
    ) -> Result<T, GuardError<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        let slot = self.admit()?;
        let result = future.await;
        slot.tell(classify.classify(&result));
        result.map_err(GuardError::Inner)
    }

    /// A slot for one call, for what is no future.
    ///
    /// # Errors
    ///
    /// An [`Overload`] if the limit is reached.
    pub fn admit(&self) -> Result<Slot<'_, P, K>, Overload> {
        Slot::take(Holder::Borrowed(&self.shared))
    }

    /// As [`admit`](Self::admit), and borrows nothing.
    ///
    /// # Errors
    ///
    /// As [`admit`](Self::admit).
    pub fn admit_owned(&self) -> Result<Slot<'static, P, K>, Overload> {
        Slot::take(Holder::Owned(Arc::clone(&self.shared)))
    }

    /// How many calls may be under way now.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.shared.limit.load(Relaxed)
    }

    /// How many are.
    #[must_use]
    pub fn under_way(&self) -> u64 {
        self.shared.seats.taken()
    }

    /// Shows the limit in `registry` for as long as it lives.
    pub fn register(&self, registry: &Registry) {
        registry.register(&self.shared);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Worked,
    Failed,
    Ignored,
}

/// One of the calls that may be under way. Dropped without a word, its call has failed.
#[must_use = "a slot that is dropped counts as a call that failed"]
pub struct Slot<'l, P: LimitPolicy = Gradient, K: Clock = SystemClock> {
    shared: Holder<'l, Shared<P, K>>,
    under_way: u64,
    started: Moment,
    end: End,
}

impl<'l, P: LimitPolicy, K: Clock> Slot<'l, P, K> {
    fn take(shared: Holder<'l, Shared<P, K>>) -> Result<Self, Overload> {
        match shared.seats.take(shared.limit.load(Relaxed)) {
            Some(under_way) => Ok(Self {
                under_way,
                started: shared.clock.now(),
                end: End::Failed,
                shared,
            }),
            None => {
                shared.refused.fetch_add(1, Relaxed);
                Err(Overload {
                    name: shared.name.clone(),
                    cause: OverloadCause::LimitReached,
                    retry_after: Duration::from_nanos(shared.last.load(Relaxed)),
                })
            }
        }
    }

    pub(crate) fn tell(self, outcome: Outcome) {
        match outcome {
            Outcome::Success => self.finish(),
            Outcome::Failure | Outcome::OpenFor(_) => self.fail(),
            Outcome::Ignore => self.ignore(),
        }
    }

    /// The call worked.
    pub fn finish(mut self) {
        self.end = End::Worked;
    }

    /// The call failed in a way that overload explains.
    pub fn fail(mut self) {
        self.end = End::Failed;
    }

    /// How the call ended says nothing about the callee's load.
    pub fn ignore(mut self) {
        self.end = End::Ignored;
    }
}

impl<P: LimitPolicy, K: Clock> Drop for Slot<'_, P, K> {
    fn drop(&mut self) {
        let shared = &*self.shared;
        if self.end != End::Ignored {
            let taken = shared.clock.now().since(self.started);
            let sample = CallSample {
                taken,
                under_way: self.under_way,
                failed: self.end == End::Failed,
            };
            let nanos = u64::try_from(taken.as_nanos()).unwrap_or(u64::MAX);
            shared.last.store(nanos, Relaxed);
            let mut policy = shared.policy.lock();
            shared.limit.store(policy.next(sample).max(1), Relaxed);
        }
        shared.seats.give_back();
    }
}

impl<P: LimitPolicy, K> fmt::Debug for Slot<'_, P, K>
where
    K: Clock,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("under_way", &self.under_way)
            .finish_non_exhaustive()
    }
}

impl<P, K> Clone for AdaptiveLimit<P, K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<P, K> fmt::Debug for AdaptiveLimit<P, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptiveLimit")
            .field("name", &self.shared.name)
            .field("limit", &self.shared.limit.load(Relaxed))
            .finish_non_exhaustive()
    }
}
