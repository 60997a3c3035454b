//! Breakers of a fleet that know of each other.
//!
//! Each process has its own breaker and judges by its own calls. Beside the calls, a [`FleetMember`] tells
//! a store now and then whether its breaker is open and learns how many others' are. Once a quorum of them
//! is, all members refuse calls, and one of them, the holder of the probe lease, finds out for all whether
//! the upstream works again: its breaker goes on by its own rules, probes, and when it closes, all others
//! close with it. A holder that is gone loses the lease to another.
//!
//! A call never waits for any of this: it meets its process's breaker and nothing else. The known
//! alternative, one state in the store that every call locks and changes, makes the fleet as slow as its
//! store, fails with it, and lets one broken process shut out all others. Here a process that alone sees
//! failures stays alone: a quorum is never fewer than two. Without the store every member is on its own
//! again.

mod memory;
#[cfg(feature = "redis")]
mod redis;

use crate::breaker::{CircuitBreaker, Hold, Outcome, State};
use crate::check;
use crate::error::{ConfigError, StoreError};
use async_trait::async_trait;
use perf_core::{Clock, Moment, SystemClock};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use memory::MemoryFleet;
#[cfg(feature = "redis")]
pub use redis::RedisFleet;

/// Where the members of a fleet leave word for each other.
#[async_trait]
pub trait FleetStore: fmt::Debug + Send + Sync + 'static {
    /// Tells of one member and answers with what all have told.
    ///
    /// Whoever has not been heard of for [`FleetReport::life`] counts as gone, as do its vote and its
    /// lease. A report of recovery by the lease's holder removes all votes and the lease. Then, if a quorum
    /// has voted, a member that has voted gets the lease if nobody else holds it.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// The report may have been made.
    async fn exchange(&self, fleet: &str, report: FleetReport) -> Result<FleetView, StoreError>;
}

/// What one member tells of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FleetReport {
    /// Tells the members apart.
    pub member: u64,
    /// Whether its breaker is open.
    pub vote: Vote,
    /// Whether its breaker has closed while it held the lease.
    pub has_recovered: bool,
    /// The share of members that is a quorum, in thousandths. Fewer than two are none.
    pub quorum: u32,
    /// For how long this holds unless it is told again.
    pub life: Duration,
}

/// What a member says of its breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Vote {
    /// It is closed.
    No,
    /// It is open or probing.
    Yes,
    /// It was open when the fleet's decision took over: an earlier vote stands, and none is made.
    Stands,
}

/// What all members have told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FleetView {
    /// How many members there are.
    pub members: u32,
    /// How many of them have voted that the upstream has failed.
    pub votes: u32,
    /// Whether the member that asked holds the probe lease.
    pub has_lease: bool,
}

impl FleetView {
    /// A view of so many members and votes.
    #[must_use]
    pub const fn new(members: u32, votes: u32, has_lease: bool) -> Self {
        Self {
            members,
            votes,
            has_lease,
        }
    }

    /// Whether the votes are a quorum of `share` thousandths of the members, and at least two.
    ///
    /// ```
    /// use perf_breaker::FleetView;
    ///
    /// assert!(FleetView::new(5, 3, false).is_open(500));
    /// assert!(!FleetView::new(5, 2, false).is_open(500));
    /// assert!(!FleetView::new(1, 1, false).is_open(500));
    /// ```
    #[must_use]
    pub const fn is_open(&self, share: u32) -> bool {
        let quorum = (self.members * share).div_ceil(1_000);
        self.votes >= 2 && self.votes >= quorum
    }
}

/// One process's breaker as a member of its fleet.
///
/// Breakers of one name form a fleet. The breaker is held while the fleet's decision is in force; who holds it by
/// hand keeps it out of the fleet for as long.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_breaker::{CircuitBreaker, FleetMember, Hold, MemoryFleet, State};
///
/// let store = MemoryFleet::new();
/// let build = || CircuitBreaker::builder("billing").consecutive_failures(1).build();
/// let breakers = [build()?, build()?, build()?];
/// let mut members = breakers.clone().map(|breaker| FleetMember::new("billing", breaker, store.clone()));
/// for breaker in &breakers[..2] {
///     breaker.admit()?.failure();
/// }
/// for _ in 0..2 {
///     for member in &mut members {
///         member.exchange().await?;
///     }
/// }
/// // Two of three have seen it fail; the third need not.
/// assert_eq!(breakers[2].state(), State::Held(Hold::Open));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FleetMember<C = crate::breaker::AnyError> {
    fleet: String,
    breaker: CircuitBreaker<C>,
    store: Arc<dyn FleetStore>,
    clock: Arc<dyn Clock>,
    member: u64,
    quorum: u32,
    interval: Duration,
    /// Whether this has taken the breaker over, and if so whether it was open.
    held: Option<bool>,
    has_lease: bool,
    last_contact: Moment,
}

/// So many missed exchanges make a member gone.
const PATIENCE: u32 = 4;
/// The store counts in milliseconds.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);
/// How long a breaker stays open that is to probe at once.
const AT_ONCE: Duration = Duration::from_millis(1);

impl<C> FleetMember<C> {
    /// Makes `breaker` a member of the fleet of that name, on the system's clock: half of all members are
    /// a quorum, and word is exchanged every 250 ms.
    pub fn new(fleet: &str, breaker: CircuitBreaker<C>, store: impl FleetStore) -> Self {
        Self {
            fleet: fleet.to_owned(),
            breaker,
            store: Arc::new(store),
            clock: Arc::new(SystemClock),
            member: fastrand::u64(..),
            quorum: 500,
            interval: Duration::from_millis(250),
            held: None,
            has_lease: false,
            last_contact: SystemClock.now(),
        }
    }

    /// Takes this share of the members for a quorum: above 0, at most 1. Never fewer than two.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Rate`] for another share.
    pub fn with_quorum(mut self, share: f64) -> Result<Self, ConfigError> {
        check::share("quorum", share)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the share is between 0 and 1"
        )]
        let thousandths = (share * 1_000.0).ceil() as u32;
        self.quorum = thousandths;
        Ok(self)
    }

    /// Exchanges word so often, every millisecond to every year. A member that misses four times counts as
    /// gone. All members use the same.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Span`] for another interval.
    pub fn with_interval(mut self, interval: Duration) -> Result<Self, ConfigError> {
        check::span("fleet interval", interval, SHORTEST_INTERVAL)?;
        self.interval = interval;
        Ok(self)
    }

    /// Reads time from `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.last_contact = clock.now();
        self.clock = Arc::new(clock);
        self
    }

    /// Exchanges word for as long as it is polled: spawn it.
    ///
    /// # Cancel safety
    ///
    /// Dropping it takes the breaker out of the fleet.
    pub async fn run(mut self) {
        loop {
            if let Err(error) = self.exchange().await {
                tracing::debug!(fleet = self.fleet, %error, "no word from the fleet");
            }
            self.clock.sleep(self.interval).await;
        }
    }

    /// Exchanges word once and lets the breaker follow.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked. After four intervals of that the breaker is on its own.
    ///
    /// # Cancel safety
    ///
    /// The word may have got through; the next exchange mends what was missed.
    pub async fn exchange(&mut self) -> Result<FleetView, StoreError> {
        let report = self.report();
        match self.store.exchange(&self.fleet, report).await {
            Ok(view) => {
                self.last_contact = self.clock.now();
                self.follow(view);
                Ok(view)
            }
            Err(error) => {
                if self.clock.now().since(self.last_contact) >= self.life() {
                    self.has_lease = false;
                    self.stand_alone();
                }
                Err(error)
            }
        }
    }

    fn life(&self) -> Duration {
        self.interval * PATIENCE
    }

    fn report(&self) -> FleetReport {
        let state = self.breaker.state();
        let vote = match (self.held, state) {
            (Some(true), _) => Vote::Stands,
            (None, State::Open | State::HalfOpen) => Vote::Yes,
            _ => Vote::No,
        };
        FleetReport {
            member: self.member,
            vote,
            has_recovered: self.has_lease && state == State::Closed,
            quorum: self.quorum,
            life: self.life(),
        }
    }

    fn follow(&mut self, view: FleetView) {
        let state = self.breaker.state();
        if self.held.is_some() && state != State::Held(Hold::Open) {
            // Somebody has taken it out of this one's hands.
            self.held = None;
        }
        self.has_lease = view.has_lease;
        match self.held {
            Some(_) if !view.is_open(self.quorum) => {
                self.held = None;
                self.breaker.reset();
            }
            Some(_) if view.has_lease => {
                self.held = None;
                self.probe();
            }
            None if view.is_open(self.quorum)
                && !view.has_lease
                && !matches!(state, State::Held(_)) =>
            {
                self.held = Some(state != State::Closed);
                self.breaker.hold(Hold::Open);
            }
            _ => {}
        }
    }

    /// Gives the breaker back. One that had opened by itself probes before it lets calls pass.
    fn stand_alone(&mut self) {
        match self.held.take() {
            Some(_) if self.breaker.state() != State::Held(Hold::Open) => {}
            Some(true) => self.probe(),
            Some(false) => self.breaker.reset(),
            None => {}
        }
    }

    fn probe(&self) {
        self.breaker.reset();
        if let Ok(permit) = self.breaker.admit() {
            permit.record(Outcome::OpenFor(AT_ONCE));
        }
    }
}

impl<C> Drop for FleetMember<C> {
    fn drop(&mut self) {
        self.stand_alone();
    }
}
