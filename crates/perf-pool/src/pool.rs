use crate::acquire::{Acquire, Limit};
use crate::builder::PoolBuilder;
use crate::error::PoolError;
use crate::health::CloseReason;
use crate::manager::Manager;
use crate::pooled::Pooled;
use crate::shared::{Chore, Refusal, Shared, Taken};
use crate::status::{Metrics, Status};
use perf_core::{Health, Inspect, Moment, Sample};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::runtime::Handle;

/// A pool of resources that are expensive to create. Clones are handles of the same pool.
///
/// Dropping the last handle and the last guard drops the resources; [`Pool::close`] ends them politely.
///
/// ```
/// use perf_pool::{Pool, from_fn};
/// use std::io;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder(from_fn(async || io::Result::Ok(Vec::<u8>::new())))
///     .max_size(1)
///     .build()?;
/// let mut buffer = pool.acquire().await?;
/// buffer.push(1);
/// assert!(pool.try_acquire().is_err()); // the only one is out
/// drop(buffer);
/// assert_eq!(*pool.try_acquire()?, [1]);
/// # Ok(())
/// # }
/// ```
pub struct Pool<M: Manager> {
    pub(crate) shared: Arc<Shared<M>>,
}

impl<M: Manager> Pool<M> {
    /// A pool of what `manager` creates, to be configured.
    pub fn builder(manager: M) -> PoolBuilder<M> {
        PoolBuilder::new(manager)
    }

    /// Hands out a resource: an idle one, one that is returned, or a new one, whichever comes first.
    /// Waits at most the pool's [`acquire_timeout`](PoolBuilder::acquire_timeout). Callers who wait are
    /// served in order.
    ///
    /// # Errors
    ///
    /// [`PoolError::Timeout`] when the time has passed, [`PoolError::Create`] when resources cannot be
    /// created and never will, [`PoolError::QueueFull`] when too many wait already, [`PoolError::Shed`]
    /// under overload, and [`PoolError::Closed`]. [`PoolError::NoRuntime`] when something must be created or waited for
    /// outside a tokio runtime, and [`PoolError::Panicked`] in one without a timer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in line. A resource that was handed over at that instant
    /// goes to the next in line; one that is being created or checked meanwhile is kept for the next
    /// caller.
    pub fn acquire(&self) -> Acquire<'_, M> {
        self.acquire_within(self.shared.settings.acquire_timeout)
    }

    /// As [`Pool::acquire`], waiting at most `limit`.
    ///
    /// # Errors
    ///
    /// As [`Pool::acquire`].
    ///
    /// # Cancel safety
    ///
    /// As [`Pool::acquire`].
    pub fn acquire_within(&self, limit: Duration) -> Acquire<'_, M> {
        Acquire::new(&self.shared, Limit::Within(limit))
    }

    /// As [`Pool::acquire`], waiting until `deadline` on the pool's clock: the way to share one
    /// deadline among several steps.
    ///
    /// # Errors
    ///
    /// As [`Pool::acquire`].
    ///
    /// # Cancel safety
    ///
    /// As [`Pool::acquire`].
    pub fn acquire_until(&self, deadline: Moment) -> Acquire<'_, M> {
        Acquire::new(&self.shared, Limit::Until(deadline))
    }

    /// Hands out a resource that is idle and needs no check. Needs no runtime.
    ///
    /// # Errors
    ///
    /// [`PoolError::Exhausted`] when there is none, [`PoolError::Closed`] after [`Pool::close`].
    pub fn try_acquire(&self) -> Result<Pooled<M>, PoolError<M::Error>> {
        loop {
            match self.shared.take() {
                Taken::Ready(ticket) => return Ok(Pooled::new(&self.shared, ticket)),
                Taken::Nothing(Some(_)) => {}
                Taken::Nothing(None) if self.is_closed() => return Err(PoolError::Closed),
                Taken::Nothing(None) => return Err(PoolError::Exhausted(self.status())),
            }
        }
    }

    /// Replaces every resource that exists now: idle ones at once, the others when they are returned.
    /// For credentials that were rotated, or a server that moved.
    pub fn invalidate_all(&self) {
        self.shared.generation.fetch_add(1, Ordering::AcqRel);
        self.shared.signal.notify_one();
    }

    /// Turns away everybody who waits and everybody who comes, ends idle resources, and waits up to
    /// `grace` for the others to be returned. Returns how many were still out: those are dropped when
    /// their holders return them.
    ///
    /// # Errors
    ///
    /// [`PoolError::NoRuntime`] outside a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// The pool is closed from the first poll on; dropping the future only stops waiting.
    pub async fn close(&self, grace: Duration) -> Result<usize, PoolError<M::Error>> {
        let shared = &self.shared;
        for ticket in shared.exchange.close(|| Refusal::Closed) {
            shared.assign(ticket, Chore::Retire(CloseReason::PoolClosed));
        }
        shared.ensure_keeper()?;
        // The keeper may live elsewhere, but the grace is waited for here.
        Handle::try_current().map_err(|_| PoolError::NoRuntime)?;
        let deadline = shared.settings.clock.sleep(grace);
        tokio::pin!(deadline);
        loop {
            let vacated = shared.vacated.notified();
            tokio::pin!(vacated);
            // Enrol before the count: a slot vacated between the two must not be missed.
            vacated.as_mut().enable();
            let left = shared.status().size();
            if left == 0 {
                return Ok(0);
            }
            tokio::select! {
                () = vacated => {}
                () = &mut deadline => return Ok(shared.status().size()),
            }
        }
    }

    /// Whether [`Pool::close`] was called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.exchange.is_closed()
    }

    /// What becomes of the pool's resources now. Costs a look at each slot.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// What the pool has done since it was built.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let wait = self.shared.exchange.waits().snapshot().summary();
        self.shared.counters.metrics(self.shared.acquired(), wait)
    }

    /// The manager that the pool was built with.
    #[must_use]
    pub fn manager(&self) -> &M {
        &self.shared.manager
    }
}

impl<M: Manager> Clone for Pool<M> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<M: Manager> fmt::Debug for Pool<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.shared.settings.name)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

impl<M: Manager> Inspect for Pool<M> {
    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.shared.settings.name)
    }

    fn kind(&self) -> &'static str {
        "pool"
    }

    fn health(&self) -> Health {
        if self.is_closed() {
            return Health::Unhealthy("closed".into());
        }
        let last_error = self.shared.roster.lock().last_error.clone();
        match last_error {
            None => Health::Healthy,
            Some(error) if self.status().idle + self.status().in_use > 0 => {
                Health::Degraded(format!("cannot create: {error}").into())
            }
            Some(error) => Health::Unhealthy(format!("cannot create: {error}").into()),
        }
    }

    fn samples(&self, samples: &mut Vec<Sample>) {
        let (status, metrics) = (self.status(), self.metrics());
        for (state, count) in [
            ("idle", status.idle),
            ("in_use", status.in_use),
            ("connecting", status.connecting),
            ("checking", status.checking),
            ("closing", status.closing),
        ] {
            samples.push(Sample::gauge("resources", count as f64).with_label("state", state));
        }
        samples.extend([
            Sample::gauge("max_size", status.max_size as f64),
            Sample::gauge("waiting", status.waiting as f64),
            Sample::counter("acquired", metrics.acquired),
            Sample::counter("timeouts", metrics.timeouts),
            Sample::counter("refused", metrics.refused),
            Sample::counter("shed", metrics.shed),
            Sample::counter("create_failures", metrics.create_failures),
            Sample::histogram("wait_seconds", metrics.wait),
            Sample::histogram("hold_seconds", metrics.hold),
            Sample::histogram("create_seconds", metrics.create),
            Sample::histogram("check_seconds", metrics.check),
        ]);
        for (reason, count) in metrics.closed {
            samples.push(Sample::counter("closed", count).with_label("reason", reason.as_str()));
        }
    }
}
