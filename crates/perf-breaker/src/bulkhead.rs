//! So many calls at once, and so many that wait.
//!
//! A slow callee takes its callers' memory, connections and patience with it, one caller after the other. A
//! bulkhead keeps that within one compartment: beyond its places, calls wait in a line of bounded length,
//! first come first served, and beyond that they are refused at once. An unbounded line would only move
//! the overload to where nobody sees it.

mod call;
mod entry;

use crate::check;
use crate::error::ConfigError;
use crate::holder::Holder;
use crate::name::Name;
use crate::overload::{Overload, OverloadCause};
use crate::seats::Seats;
use crate::sync::{AtomicU64, Ordering::Relaxed};
use perf_core::{Clock, Health, Inspect, Registry, Sample, SystemClock};
use std::borrow::Cow;
use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

pub use call::BulkheadCall;
pub(crate) use entry::Entry;

/// Lets a bounded number of calls be under way at once. Clones share its places.
///
/// | setting | default |
/// |---|---|
/// | queue | none: a call that finds no place is refused |
/// | longest wait | none: as long as it takes |
/// | `retry_after` of a refusal | 1 s |
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_breaker::Bulkhead;
///
/// let bulkhead = Bulkhead::builder("reports", 2).queue(10).build()?;
/// let report = bulkhead.call(async { Ok::<_, std::io::Error>("42 pages") }).await?;
/// assert_eq!((report, bulkhead.under_way()), ("42 pages", 0));
/// # Ok(())
/// # }
/// ```
pub struct Bulkhead<K = SystemClock> {
    shared: Arc<Shared<K>>,
}

#[derive(Debug)]
pub(crate) struct Shared<K> {
    name: Name,
    places: usize,
    queue: u64,
    max_wait: Option<Duration>,
    retry_after: Duration,
    clock: K,
    /// Tokio's semaphore hands its permits on in order of arrival, and nobody passes those who wait.
    free: Arc<Semaphore>,
    waiting: Seats,
    refused: AtomicU64,
}

/// The settings of a [`Bulkhead`], checked by [`build`](Self::build).
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until they are built"]
pub struct BulkheadBuilder<K = SystemClock> {
    name: Name,
    places: usize,
    queue: usize,
    max_wait: Option<Duration>,
    retry_after: Duration,
    clock: K,
}

/// The most places, and the longest queue.
const MOST: u64 = 1 << 20;

impl Bulkhead {
    /// Settings to build a bulkhead of so many `places` from, 1 to 1,048,576. The name appears in refusals
    /// and figures.
    pub fn builder(name: impl Into<Name>, places: usize) -> BulkheadBuilder {
        BulkheadBuilder {
            name: name.into(),
            places,
            queue: 0,
            max_wait: None,
            retry_after: Duration::from_secs(1),
            clock: SystemClock,
        }
    }
}

impl<K: Clock> BulkheadBuilder<K> {
    /// Lets so many calls wait for a place; 0 to 1,048,576.
    pub fn queue(mut self, calls: usize) -> Self {
        self.queue = calls;
        self
    }

    /// Refuses a call that has waited for so long; 1 ns to a year. No call waits longer than what is left of
    /// the current [`Deadline`](crate::Deadline).
    pub fn max_wait(mut self, time: Duration) -> Self {
        self.max_wait = Some(time);
        self
    }

    /// What refusals advise; a bulkhead cannot know when its calls will end.
    pub fn retry_after(mut self, time: Duration) -> Self {
        self.retry_after = time;
        self
    }

    /// Waits on `clock`.
    pub fn clock<L: Clock>(self, clock: L) -> BulkheadBuilder<L> {
        BulkheadBuilder {
            name: self.name,
            places: self.places,
            queue: self.queue,
            max_wait: self.max_wait,
            retry_after: self.retry_after,
            clock,
        }
    }

    /// The bulkhead, with all its places free.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] names the first setting that cannot work.
    ///
    /// ```
    /// use perf_breaker::Bulkhead;
    ///
    /// let error = Bulkhead::builder("reports", 0).build().unwrap_err();
    /// assert_eq!(error.to_string(), "number of places is 0, must be 1 to 1048576");
    /// ```
    pub fn build(self) -> Result<Bulkhead<K>, ConfigError> {
        check::range("number of places", self.places as u64, 1, MOST)?;
        check::range("queue length", self.queue as u64, 0, MOST)?;
        if let Some(wait) = self.max_wait {
            check::span("longest wait", wait, Duration::from_nanos(1))?;
        }
        let shared = Shared {
            name: self.name,
            places: self.places,
            queue: self.queue as u64,
            max_wait: self.max_wait,
            retry_after: self.retry_after,
            clock: self.clock,
            free: Arc::new(Semaphore::new(self.places)),
            waiting: Seats::new(),
            refused: AtomicU64::new(0),
        };
        Ok(Bulkhead {
            shared: Arc::new(shared),
        })
    }
}

impl<K: Clock> Bulkhead<K> {
    /// Awaits `future` once there is a place for it.
    ///
    /// # Errors
    ///
    /// [`GuardError::Overloaded`](crate::GuardError::Overloaded) if there is none and the call may not wait,
    /// or not any longer; [`GuardError::Inner`](crate::GuardError::Inner) with the call's own error.
    ///
    /// # Panics
    ///
    /// With a longest wait on the default clock, a call that has to wait panics outside a tokio runtime with
    /// its timer.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped leaves the queue or frees its place, whichever it has.
    pub fn call<T, E, F>(&self, future: F) -> BulkheadCall<'_, F, K>
    where
        F: Future<Output = Result<T, E>>,
    {
        BulkheadCall::new(Holder::Borrowed(&self.shared), future)
    }

    /// As [`call`](Self::call), and borrows nothing.
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    pub fn call_owned<T, E, F>(&self, future: F) -> BulkheadCall<'static, F, K>
    where
        F: Future<Output = Result<T, E>>,
    {
        BulkheadCall::new(Holder::Owned(Arc::clone(&self.shared)), future)
    }

    /// A place, for what is no future; waits for it.
    ///
    /// # Errors
    ///
    /// An [`Overload`] if there is none and the queue is full, or the wait is over.
    ///
    /// # Panics
    ///
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the queue; those behind move up.
    pub async fn enter(&self) -> Result<Place<'_, K>, Overload> {
        let mut entry = Entry::new();
        poll_fn(|context| entry.poll(&Holder::Borrowed(&*self.shared), context)).await
    }

    /// A place if there is one now and nobody waits for it.
    ///
    /// # Errors
    ///
    /// An [`Overload`] if there is none.
    pub fn try_enter(&self) -> Result<Place<'_, K>, Overload> {
        let shared = Holder::Borrowed(&*self.shared);
        Place::take(&shared).ok_or_else(|| self.shared.refuse(OverloadCause::QueueFull))
    }

    /// How many calls are under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.shared.places - self.shared.free.available_permits()
    }

    /// How many calls wait for a place.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.shared.waiting.taken()
    }

    /// Shows the bulkhead in `registry` for as long as it lives.
    pub fn register(&self, registry: &Registry) {
        registry.register(&self.shared);
    }
}

impl<K> Shared<K> {
    #[cold]
    fn refuse(&self, cause: OverloadCause) -> Overload {
        self.refused.fetch_add(1, Relaxed);
        Overload {
            name: self.name.clone(),
            cause,
            retry_after: self.retry_after,
        }
    }
}

/// A place in a [`Bulkhead`]; dropping it frees it for the first in line.
#[derive(Debug)]
#[must_use = "a place that is dropped is free"]
pub struct Place<'b, K = SystemClock> {
    shared: Holder<'b, Shared<K>>,
}

impl<'b, K> Place<'b, K> {
    #[inline]
    fn take(shared: &Holder<'b, Shared<K>>) -> Option<Self> {
        shared.free.try_acquire().ok()?.forget();
        Some(Self {
            shared: shared.clone(),
        })
    }
}

impl<K> Drop for Place<'_, K> {
    #[inline]
    fn drop(&mut self) {
        self.shared.free.add_permits(1);
    }
}

impl<K> Bulkhead<K> {
    pub(crate) fn borrowed(&self) -> Holder<'_, Shared<K>> {
        Holder::Borrowed(&self.shared)
    }

    pub(crate) fn owned(&self) -> Holder<'static, Shared<K>> {
        Holder::Owned(Arc::clone(&self.shared))
    }
}

impl<K> Clone for Bulkhead<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<K: fmt::Debug> fmt::Debug for Bulkhead<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}

impl<K: Clock> Inspect for Shared<K> {
    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.name)
    }

    fn kind(&self) -> &'static str {
        "bulkhead"
    }

    fn health(&self) -> Health {
        if self.free.available_permits() == 0 && self.waiting.taken() >= self.queue {
            Health::Degraded("full".into())
        } else {
            Health::Healthy
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a bulkhead has far fewer than 2⁵² places"
    )]
    fn samples(&self, samples: &mut Vec<Sample>) {
        let under_way = self.places - self.free.available_permits();
        samples.extend([
            Sample::gauge("under_way", under_way as f64),
            Sample::gauge("waiting", self.waiting.taken() as f64),
            Sample::counter("refused", self.refused.load(Relaxed)),
        ]);
    }
}
