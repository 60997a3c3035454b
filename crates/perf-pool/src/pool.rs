use crate::acquire::{Acquire, Limit};
use crate::builder::PoolBuilder;
use crate::error::PoolError;
use crate::health::CloseReason;
use crate::holder::{Holder, current_caller};
use crate::manager::Manager;
use crate::pooled::Pooled;
use crate::roster::Chore;
use crate::shared::{Refusal, Shared, Taken};
use crate::status::{Metrics, Status};
use perf_core::{Health, Inspect, Moment, Registry, Sample};
use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::runtime::Handle;

/// A pool of resources that are expensive to create. Clones are handles of the same pool.
///
/// A pool may be used from several runtimes. Its tasks and its resources' I/O run in that of the first
/// acquire that had to wait. If that one stands still for longer than a check may take, the runtime of
/// somebody who waits takes over, and what the first one drove is replaced.
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
    /// # Panics
    ///
    /// If it has to wait in a runtime without a timer, other than the one in which the pool's tasks run.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in line. A resource that was handed over at that instant
    /// goes to the next in line; one that is being created or checked meanwhile is kept for the next
    /// caller.
    #[track_caller]
    pub fn acquire(&self) -> Acquire<'_, M> {
        self.acquire_within(self.shared.settings.acquire_timeout)
    }

    /// As [`Pool::acquire`], waiting at most `limit`.
    ///
    /// # Errors
    ///
    /// As [`Pool::acquire`].
    ///
    /// # Panics
    ///
    /// As [`Pool::acquire`].
    ///
    /// # Cancel safety
    ///
    /// As [`Pool::acquire`].
    #[track_caller]
    pub fn acquire_within(&self, limit: Duration) -> Acquire<'_, M> {
        Acquire::new(&self.shared, Limit::Within(limit), Location::caller())
    }

    /// As [`Pool::acquire`], waiting until `deadline` on the pool's clock: the way to share one
    /// deadline among several steps.
    ///
    /// # Errors
    ///
    /// As [`Pool::acquire`].
    ///
    /// # Panics
    ///
    /// As [`Pool::acquire`].
    ///
    /// # Cancel safety
    ///
    /// As [`Pool::acquire`].
    #[track_caller]
    pub fn acquire_until(&self, deadline: Moment) -> Acquire<'_, M> {
        Acquire::new(&self.shared, Limit::Until(deadline), Location::caller())
    }

    /// Hands out a resource that is idle and needs no check. Needs no runtime.
    ///
    /// # Errors
    ///
    /// [`PoolError::Exhausted`] when there is none, [`PoolError::Suspended`] after [`Pool::suspend`],
    /// [`PoolError::Closed`] after [`Pool::close`].
    #[track_caller]
    pub fn try_acquire(&self) -> Result<Pooled<M>, PoolError<M::Error>> {
        let location = Location::caller();
        loop {
            match self.shared.take() {
                Taken::Ready(ticket) => return Ok(Pooled::new(&self.shared, ticket, location)),
                Taken::Nothing(Some(_)) => {}
                Taken::Nothing(None) if self.is_closed() => return Err(PoolError::Closed),
                Taken::Nothing(None) if self.is_suspended() => return Err(PoolError::Suspended),
                Taken::Nothing(None) => return Err(PoolError::Exhausted(self.status())),
            }
        }
    }

    /// Creates the [`min_idle`](PoolBuilder::min_idle) resources now instead of with the first acquire,
    /// and learns whether that works.
    ///
    /// ```
    /// use perf_pool::{Pool, from_fn};
    /// use std::io;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder(from_fn(async || io::Result::Ok(0))).min_idle(3).build()?;
    /// pool.warm_up().await?;
    /// assert_eq!(pool.status().idle, 3);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Pool::acquire`], whose limit holds for all of them together.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future only stops waiting; what is being created is kept.
    pub async fn warm_up(&self) -> Result<(), PoolError<M::Error>> {
        let settings = &self.shared.settings;
        let limit = settings.acquire_timeout;
        let deadline = settings.clock.now().saturating_add(limit);
        let mut guards = Vec::with_capacity(settings.min_idle);
        // The first has all created at the same time; each of the others waits for its own.
        for _ in 0..settings.min_idle {
            guards.push(self.acquire_until(deadline).await?);
        }
        Ok(())
    }

    /// Replaces every resource that exists now: idle ones at once, the others when they are returned.
    /// For credentials that were rotated, or a server that moved.
    pub fn invalidate_all(&self) {
        self.shared.generation.fetch_add(1, Ordering::AcqRel);
        self.shared.seat.ring();
    }

    /// Changes the most resources that may exist. More are created when they are asked for; if there are
    /// too many, idle ones are closed at once, and others when they are returned.
    ///
    /// ```
    /// use perf_pool::{Pool, from_fn};
    /// use std::io;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder(from_fn(async || io::Result::Ok(0))).max_size(4).build()?;
    /// pool.resize(8)?;
    /// assert_eq!(pool.status().max_size, 8);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`PoolError::Misconfigured`] if it is zero, or more than the pool's
    /// [`capacity`](PoolBuilder::capacity).
    pub fn resize(&self, max_size: u32) -> Result<(), PoolError<M::Error>> {
        let shared = &self.shared;
        let limit = max_size as usize;
        if !(1..=shared.gauges.len()).contains(&limit) {
            return Err(PoolError::Misconfigured {
                setting: "max_size",
                reason: "must lie between 1 and capacity",
            });
        }
        {
            let mut roster = shared.roster.lock();
            roster.limit = limit;
            shared.note_limit(&roster);
        }
        if shared.surplus.load(Ordering::Relaxed) > 0 {
            // What was idle for longest comes last, and is offered first.
            for ticket in shared.exchange.drain().into_iter().rev() {
                shared.hand_on(ticket);
            }
        }
        shared.seat.ring();
        Ok(())
    }

    /// Hands out nothing until [`Pool::resume`]: callers wait, at most until their deadlines. Those who
    /// hold a resource keep it. For the time in which a server is replaced by another.
    ///
    /// ```
    /// use perf_pool::{Pool, PoolError, from_fn};
    /// use std::io;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder(from_fn(async || io::Result::Ok(0))).build()?;
    /// drop(pool.acquire().await?);
    /// pool.suspend();
    /// assert!(matches!(pool.try_acquire(), Err(PoolError::Suspended)));
    /// pool.invalidate_all(); // the next ones go to the new server
    /// pool.resume();
    /// drop(pool.acquire().await?);
    /// assert_eq!(pool.metrics().create.count, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn suspend(&self) {
        self.shared.exchange.suspend();
    }

    /// Ends what [`Pool::suspend`] began. What was idle meanwhile is checked like everything that was idle.
    pub fn resume(&self) {
        let shared = &self.shared;
        let idle = shared.exchange.resume();
        for ticket in idle.into_iter().rev() {
            shared.hand_on_if_fit(ticket);
        }
        shared.seat.ring();
    }

    /// Whether [`Pool::suspend`] is in force.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.shared.exchange.is_suspended()
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
        let clock = &shared.settings.clock;
        let deadline = clock.sleep(grace);
        tokio::pin!(deadline);
        let mut seen = shared.ring();
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
                () = clock.sleep(shared.settings.check_timeout), if shared.keeper_is_elsewhere(current_caller()) => {
                    shared.take_over(seen);
                    seen = shared.ring();
                }
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
        self.shared.metrics()
    }

    /// Everybody who holds a resource now, whoever holds longest first: where to look when a pool is
    /// exhausted. Costs a look at each slot.
    ///
    /// ```
    /// use perf_pool::{Pool, from_fn};
    /// use std::io;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder(from_fn(async || io::Result::Ok(0))).build()?;
    /// let held = pool.acquire().await?;
    /// assert_eq!(pool.holders()[0].location.line(), line!() - 1);
    /// drop(held);
    /// assert!(pool.holders().is_empty());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn holders(&self) -> Vec<Holder> {
        self.shared.holders()
    }

    /// Shows the pool in `registry` for as long as a handle or a guard of it lives.
    ///
    /// ```
    /// use perf_core::Registry;
    /// use perf_pool::{Pool, from_fn};
    /// use std::io;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let registry = Registry::new();
    /// let pool = Pool::builder(from_fn(async || io::Result::Ok(0))).name("orders").build()?;
    /// pool.register(&registry);
    /// assert_eq!(registry.inspect()[0].name, "orders");
    /// # Ok(())
    /// # }
    /// ```
    pub fn register(&self, registry: &Registry) {
        registry.register(&self.shared);
    }

    /// Whether neither a guard nor another handle of the pool exists.
    pub(crate) fn is_only_handle(&self) -> bool {
        Arc::strong_count(&self.shared) == 1
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
        self.shared.name()
    }

    fn kind(&self) -> &'static str {
        self.shared.kind()
    }

    fn health(&self) -> Health {
        self.shared.health()
    }

    fn samples(&self, samples: &mut Vec<Sample>) {
        self.shared.samples(samples);
    }
}
