use crate::builder::RECONNECTING;
use crate::error::{Elapsed, Phase, PoolError};
use crate::lazy::{AsyncLazy, LazyError};
use crate::manager::Manager;
use crate::status::Status;
use perf_core::{Clock, Health, Inspect, Moment, Registry, Sample, SystemClock};
use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::Notify;

/// A few connections that many callers use at the same time, for protocols that interleave requests:
/// Redis pipelines, HTTP/2.
///
/// Nobody waits for a turn: a caller gets a clone of the connection with fewer callers out of two chosen
/// at random, which balances almost as well as asking all of them. A connection is made when it is
/// first chosen, in a task of its own that no caller can cancel; meanwhile callers are sent to those that
/// exist. One that a caller gives up with [`Share::discard`] is made anew, once, however many callers report it.
///
/// The choice is that of Michael Mitzenmacher, *The Power of Two Choices in Randomized Load Balancing*,
/// IEEE Transactions on Parallel and Distributed Systems 12(10), 2001.
///
/// ```
/// use perf_pool::{SharedPool, from_fn};
/// use std::io;
/// use std::sync::Arc;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let connect = from_fn(async || io::Result::Ok(Arc::new(String::from("a client"))));
/// let pool = SharedPool::builder(connect).connections(1).build()?;
/// let (one, other) = (pool.acquire().await?, pool.acquire().await?);
/// assert!(Arc::ptr_eq(&one, &other));
/// assert_eq!(pool.in_flight(), 2);
/// # Ok(())
/// # }
/// ```
pub struct SharedPool<M: Manager> {
    shared: Arc<Shared<M>>,
}

/// The settings of a [`SharedPool`], checked when it is built.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct SharedPoolBuilder<M> {
    manager: M,
    name: String,
    connections: usize,
    acquire_timeout: Duration,
    connect_timeout: Duration,
    max_lifetime: Option<Duration>,
    clock: Arc<dyn Clock>,
}

struct Shared<M: Manager> {
    name: String,
    manager: Arc<M>,
    lanes: Box<[Lane<M>]>,
    /// Tells of every connection that was made or given up.
    changed: Arc<Notify>,
    acquire_timeout: Duration,
    clock: Arc<dyn Clock>,
    acquired: AtomicU64,
    timeouts: AtomicU64,
    discarded: AtomicU64,
}

/// The place of one connection.
struct Lane<M: Manager> {
    connection: AsyncLazy<Connection<M::Resource>, Unconnected<M::Error>>,
    in_flight: AtomicUsize,
}

struct Connection<R> {
    resource: R,
    expires: Moment,
}

/// Why an attempt to connect failed.
#[derive(Debug, thiserror::Error)]
enum Unconnected<E> {
    #[error("{0}")]
    Refused(Arc<E>),
    #[error("connecting took too long")]
    Late,
}

/// The share of the lifetime that a connection may lose at random.
const LIFETIME_JITTER: f64 = 0.25;

impl<M> SharedPool<M>
where
    M: Manager<Resource: Clone + Sync>,
{
    /// A pool of connections that `manager` creates, to be configured. Of the manager's other methods only
    /// [`classify`](Manager::classify) is used.
    pub fn builder(manager: M) -> SharedPoolBuilder<M> {
        SharedPoolBuilder {
            manager,
            name: "default".into(),
            connections: 4,
            acquire_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(10),
            max_lifetime: Some(Duration::from_mins(30)),
            clock: Arc::new(SystemClock),
        }
    }

    /// Hands out a connection that others use, too. Waits only while none exists, at most the pool's
    /// [`acquire_timeout`](SharedPoolBuilder::acquire_timeout).
    ///
    /// # Errors
    ///
    /// [`PoolError::Timeout`] with the last failure to connect, [`PoolError::Create`] with one that is
    /// permanent, [`PoolError::NoRuntime`] outside a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future only stops waiting; a connection that is being made is kept for the next caller.
    pub async fn acquire(&self) -> Result<Share<M>, PoolError<M::Error>> {
        let shared = &self.shared;
        if let Some(share) = self.take_existing() {
            return Ok(share);
        }
        let start = shared.clock.now();
        let limit = shared.clock.sleep(shared.acquire_timeout);
        tokio::pin!(limit);
        let mut last_error = None;
        loop {
            tokio::select! {
                biased;
                share = self.attempt(&mut last_error) => if let Some(share) = share? {
                    return Ok(share);
                },
                share = self.any_existing() => return Ok(share),
                () = &mut limit => return Err(self.late(start, last_error)),
            }
        }
    }

    /// How many callers hold a share now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        let lanes = self.shared.lanes.iter();
        lanes.map(|lane| lane.in_flight.load(Relaxed)).sum()
    }

    /// How many connections exist now.
    #[must_use]
    pub fn connected(&self) -> usize {
        self.shared.connected()
    }

    /// Replaces every connection that exists now; those who hold a share keep it.
    pub fn invalidate_all(&self) {
        for lane in &self.shared.lanes {
            lane.connection.reset();
        }
    }

    /// Shows the pool in `registry` for as long as a handle or a share of it lives.
    pub fn register(&self, registry: &Registry) {
        registry.register(&self.shared);
    }

    /// A share of the better of two connections, or of any that exists.
    fn take_existing(&self) -> Option<Share<M>> {
        let lane = self.choose();
        if let Some(connection) = self.usable(lane) {
            return Some(self.share(lane, connection));
        }
        // Made in the background while others serve; without a runtime the caller learns of it elsewhere.
        let _started = self.shared.lanes[lane].connection.start();
        self.share_existing()
    }

    /// A share of the better of two connections once it is made; `None` when it failed and may be tried again.
    async fn attempt(
        &self,
        last_error: &mut Option<Arc<M::Error>>,
    ) -> Result<Option<Share<M>>, PoolError<M::Error>> {
        let lane = self.choose();
        let cell = &self.shared.lanes[lane].connection;
        match cell.get().await {
            Ok(connection) => return Ok(Some(self.share(lane, connection))),
            Err(LazyError::NoRuntime) => return Err(PoolError::NoRuntime),
            Err(LazyError::Failed(failure)) => {
                if let Unconnected::Refused(error) = &*failure {
                    if !self.shared.manager.classify(error).is_transient() {
                        return Err(PoolError::Create(Arc::clone(error)));
                    }
                    *last_error = Some(Arc::clone(error));
                }
            }
        }
        self.shared.clock.sleep_until(cell.retry()).await;
        Ok(None)
    }

    /// A share of the first connection that exists, whoever had it made.
    async fn any_existing(&self) -> Share<M> {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            // Enrol before the look: a connection made between the two must not be missed.
            changed.as_mut().enable();
            if let Some(share) = self.share_existing() {
                return share;
            }
            changed.await;
        }
    }

    /// A share of the connection with the fewest callers.
    fn share_existing(&self) -> Option<Share<M>> {
        let lanes = 0..self.shared.lanes.len();
        let existing = lanes.filter_map(|lane| Some((lane, self.usable(lane)?)));
        let (lane, connection) = existing.min_by_key(|(lane, _)| self.load(*lane))?;
        Some(self.share(lane, connection))
    }

    /// The connection of `lane`, unless it has to be made or is too old.
    fn usable(&self, lane: usize) -> Option<Arc<Connection<M::Resource>>> {
        let cell = &self.shared.lanes[lane].connection;
        let connection = cell.peek()?;
        if connection.expires != Moment::NEVER && connection.expires <= self.shared.clock.now() {
            cell.reset_if(&connection);
            return None;
        }
        Some(connection)
    }

    /// The one with fewer callers out of two at random.
    fn choose(&self) -> usize {
        let lanes = self.shared.lanes.len();
        let (one, other) = (fastrand::usize(..lanes), fastrand::usize(..lanes));
        if self.load(other) < self.load(one) {
            other
        } else {
            one
        }
    }

    fn load(&self, lane: usize) -> usize {
        self.shared.lanes[lane].in_flight.load(Relaxed)
    }

    fn share(&self, lane: usize, connection: Arc<Connection<M::Resource>>) -> Share<M> {
        self.shared.lanes[lane].in_flight.fetch_add(1, Relaxed);
        self.shared.acquired.fetch_add(1, Relaxed);
        Share {
            resource: connection.resource.clone(),
            pool: Arc::clone(&self.shared),
            lane,
            connection,
        }
    }

    fn late(&self, start: Moment, last_error: Option<Arc<M::Error>>) -> PoolError<M::Error> {
        self.shared.timeouts.fetch_add(1, Relaxed);
        PoolError::Timeout(Box::new(Elapsed {
            phase: Phase::Connect,
            waited: self.shared.clock.now().since(start),
            status: self.shared.status(),
            held: 0,
            last_error,
        }))
    }
}

impl<M> SharedPoolBuilder<M>
where
    M: Manager<Resource: Clone + Sync>,
{
    /// What the pool is called in figures. Default: `"default"`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// How many connections there are. Default: 4.
    pub const fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// How long an acquire waits for the first connection in all. Default: 5 s.
    pub const fn acquire_timeout(mut self, limit: Duration) -> Self {
        self.acquire_timeout = limit;
        self
    }

    /// How long one attempt to connect may take. Default: 10 s.
    pub const fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// How old a connection may get, up to a quarter less at random; `None` for any age. Default: 30 min.
    pub fn max_lifetime(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.max_lifetime = limit.into();
        self
    }

    /// The clock of all limits. Default: [`SystemClock`].
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The pool. Connects when it is first used.
    ///
    /// # Errors
    ///
    /// [`PoolError::Misconfigured`] names the setting that makes no sense.
    pub fn build(self) -> Result<SharedPool<M>, PoolError<M::Error>> {
        for (setting, is_zero) in [
            ("connections", self.connections == 0),
            ("acquire_timeout", self.acquire_timeout.is_zero()),
            ("connect_timeout", self.connect_timeout.is_zero()),
            ("max_lifetime", self.max_lifetime == Some(Duration::ZERO)),
        ] {
            if is_zero {
                let reason = "must not be zero";
                return Err(PoolError::Misconfigured { setting, reason });
            }
        }
        let manager = Arc::new(self.manager);
        let changed = Arc::<Notify>::default();
        let lane = |_| {
            let connect = Connect {
                manager: Arc::clone(&manager),
                limit: self.connect_timeout,
                max_lifetime: self.max_lifetime,
                clock: Arc::clone(&self.clock),
            };
            connect.lane(Arc::clone(&changed))
        };
        Ok(SharedPool {
            shared: Arc::new(Shared {
                name: self.name,
                lanes: (0..self.connections).map(lane).collect(),
                manager,
                changed,
                acquire_timeout: self.acquire_timeout,
                clock: self.clock,
                acquired: AtomicU64::new(0),
                timeouts: AtomicU64::new(0),
                discarded: AtomicU64::new(0),
            }),
        })
    }
}

/// What a lane needs to make its connection.
struct Connect<M> {
    manager: Arc<M>,
    limit: Duration,
    max_lifetime: Option<Duration>,
    clock: Arc<dyn Clock>,
}

impl<M: Manager<Resource: Clone + Sync>> Connect<M> {
    fn lane(self, changed: Arc<Notify>) -> Lane<M> {
        let clock = Arc::clone(&self.clock);
        let connect = Arc::new(self);
        let make = move || {
            let connect = Arc::clone(&connect);
            async move { connect.run().await }
        };
        Lane {
            connection: AsyncLazy::announcing(make, RECONNECTING, clock, changed),
            in_flight: AtomicUsize::new(0),
        }
    }

    async fn run(&self) -> Result<Connection<M::Resource>, Unconnected<M::Error>> {
        let made = tokio::select! {
            biased;
            made = self.manager.create() => made,
            () = self.clock.sleep(self.limit) => return Err(Unconnected::Late),
        };
        let resource = made.map_err(|error| Unconnected::Refused(Arc::new(error)))?;
        let expires = self.max_lifetime.map_or(Moment::NEVER, |lifetime| {
            let lifetime = lifetime.mul_f64(1.0 - LIFETIME_JITTER * fastrand::f64());
            self.clock.now().saturating_add(lifetime)
        });
        Ok(Connection { resource, expires })
    }
}

impl<M: Manager> Shared<M> {
    fn connected(&self) -> usize {
        let is_made = |lane: &&Lane<M>| lane.connection.peek().is_some();
        self.lanes.iter().filter(is_made).count()
    }

    fn status(&self) -> Status {
        let connected = self.connected();
        let busy =
            |lane: &&Lane<M>| lane.in_flight.load(Relaxed) > 0 && lane.connection.peek().is_some();
        let in_use = self.lanes.iter().filter(busy).count().min(connected);
        let connecting = self
            .lanes
            .iter()
            .filter(|lane| lane.connection.is_running());
        Status {
            max_size: self.lanes.len(),
            idle: connected - in_use,
            in_use,
            connecting: connecting.count(),
            ..Status::default()
        }
    }
}

/// A share of a connection. Dropping it says that the caller is done; the connection stays.
///
/// It is used through a clone of the connection of its own.
pub struct Share<M: Manager> {
    resource: M::Resource,
    pool: Arc<Shared<M>>,
    lane: usize,
    connection: Arc<Connection<M::Resource>>,
}

impl<M: Manager> Share<M> {
    /// Reports that the connection is useless: it is made anew for those who come from now on.
    pub fn discard(share: Self) {
        Self::condemn(&share);
    }

    /// As [`Share::discard`], while the caller still holds the share.
    pub(crate) fn condemn(share: &Self) {
        let lane = &share.pool.lanes[share.lane];
        if lane.connection.reset_if(&share.connection) {
            share.pool.discarded.fetch_add(1, Relaxed);
        }
    }
}

impl<M: Manager> Drop for Share<M> {
    fn drop(&mut self) {
        self.pool.lanes[self.lane].in_flight.fetch_sub(1, Relaxed);
    }
}

impl<M: Manager> Deref for Share<M> {
    type Target = M::Resource;

    fn deref(&self) -> &M::Resource {
        &self.resource
    }
}

impl<M: Manager> DerefMut for Share<M> {
    fn deref_mut(&mut self) -> &mut M::Resource {
        &mut self.resource
    }
}

impl<M: Manager<Resource: Sync>> Inspect for Shared<M> {
    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.name)
    }

    fn kind(&self) -> &'static str {
        "shared_pool"
    }

    fn health(&self) -> Health {
        let failed = self.lanes.iter().find_map(|lane| lane.connection.failure());
        match failed {
            None => Health::Healthy,
            Some(failure) if self.connected() > 0 => {
                Health::Degraded(format!("cannot connect: {failure}").into())
            }
            Some(failure) => Health::Unhealthy(format!("cannot connect: {failure}").into()),
        }
    }

    fn samples(&self, samples: &mut Vec<Sample>) {
        let in_flight = self.lanes.iter().map(|lane| lane.in_flight.load(Relaxed));
        samples.extend([
            Sample::gauge("connections", self.connected() as f64),
            Sample::gauge("max_connections", self.lanes.len() as f64),
            Sample::gauge("in_flight", in_flight.sum::<usize>() as f64),
            Sample::counter("acquired", self.acquired.load(Relaxed)),
            Sample::counter("timeouts", self.timeouts.load(Relaxed)),
            Sample::counter("discarded", self.discarded.load(Relaxed)),
        ]);
    }
}

impl<M: Manager> Clone for SharedPool<M> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<M: Manager> fmt::Debug for SharedPool<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedPool")
            .field("name", &self.shared.name)
            .field("status", &self.shared.status())
            .finish_non_exhaustive()
    }
}

impl<M: Manager<Resource: fmt::Debug>> fmt::Debug for Share<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Share").field(&self.resource).finish()
    }
}
