//! Where the limits of several processes are kept together.
//!
//! A store keeps one number for each limit of a key: the *arrival*, when everything taken so far will
//! have come back, see [`RateLimiter`](crate::RateLimiter). To take is to move it by a price, unless that
//! would put it further ahead of now than the limit's capacity; of several limits all move or none. That
//! is the whole of what a store must do, and every one of ours does it in a single request, on the
//! server's own clock: two clients whose clocks differ then still agree. The alternative, to read a count,
//! to judge it here and to write it back, takes two trips and lets two clients judge the same count.
//!
//! Times are counted in ticks of 128 ns. A second is then a whole number of them, a year fits a double's
//! 53 bits, and a call that comes back after a third of a second does so at most a tick late.
//!
//! Whatever lies more than the capacity ahead stems from a server clock that has gone back, or from a limit
//! that was larger; it counts as a full burst just taken. So a step back never gives anything away and
//! costs nobody more than one burst's wait; a step forward gives away at most one burst.

mod memory;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
pub(crate) mod redis;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;

use crate::error::StoreError;
use async_trait::async_trait;
use std::fmt;
use std::time::Duration;

pub use memory::MemoryStore;
#[cfg(feature = "mysql")]
pub use mysql::MySqlStore;
#[cfg(feature = "postgres")]
pub use postgres::PostgresStore;
#[cfg(feature = "redis")]
pub use redis::RedisStore;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;

/// Keeps arrivals for a fleet.
///
/// Keys are any bytes, at most [`LONGEST_KEY`]; charges are one to [`Quota::MOST_LIMITS`], the same number
/// at each request for one key. Errors must tell whether trying again may help. The suite in
/// `conformance` (feature `conformance`) says the rest.
///
/// [`Quota::MOST_LIMITS`]: crate::Quota::MOST_LIMITS
#[async_trait]
pub trait RateLimitStore: fmt::Debug + Send + Sync + 'static {
    /// Takes every charge's price, or nothing if one of them does not fit.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// A request that is dropped on its way may have taken its price.
    async fn acquire(&self, key: &[u8], charges: &[Charge]) -> Result<Verdict, StoreError>;

    /// What [`acquire`](Self::acquire) would say; takes nothing, and says how much is ahead before the
    /// call.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// It changes nothing.
    async fn peek(&self, key: &[u8], charges: &[Charge]) -> Result<Verdict, StoreError>;

    /// Gives every charge's price back.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// A request that is dropped on its way may have given back.
    async fn refund(&self, key: &[u8], charges: &[Charge]) -> Result<(), StoreError>;

    /// Forgets the key: its whole burst is available.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// A request that is dropped on its way may have been carried out.
    async fn reset(&self, key: &[u8]) -> Result<(), StoreError>;
}

/// The longest key that stores are given, in bytes.
pub const LONGEST_KEY: usize = 200;
/// Nanoseconds in a tick, as a power of two.
pub(crate) const TICK_SHIFT: u32 = 7;

/// What a call takes from one limit. All are ticks of 128 ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Charge {
    /// How far the arrival moves.
    pub price: u64,
    /// How far ahead of now it may then lie; at least the price.
    pub capacity: u64,
    /// The price of one call.
    pub interval: u64,
}

/// What a store says of a call: of all limits the one that matters, the longest wait on denial and the
/// fewest calls left otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// The place of that limit among the charges.
    pub limit: usize,
    /// Ticks until everything taken has come back, this call's price included if it was taken. A store
    /// may round up to a whole call.
    pub ahead: u64,
    /// Ticks until the same call will be allowed if no other comes first; zero if it is.
    pub wait: u64,
}

impl Charge {
    /// A charge of `price` for a limit that holds `capacity` and gives a call back after `interval`.
    #[must_use]
    pub const fn new(price: u64, capacity: u64, interval: u64) -> Self {
        Self {
            price,
            capacity,
            interval,
        }
    }

    /// How many calls fit when everything taken comes back in `ahead` ticks.
    #[must_use]
    pub const fn remaining(&self, ahead: u64) -> u64 {
        self.capacity.saturating_sub(ahead) / self.interval
    }

    /// The arrival as it counts at `now`: not past, and no more than the capacity ahead.
    pub(crate) fn level(&self, arrival: u64, now: u64) -> u64 {
        arrival.clamp(now, now.saturating_add(self.capacity))
    }
}

impl Verdict {
    /// The verdict on `charges` whose arrivals lay `aheads` ticks ahead before the call.
    ///
    /// ```
    /// use perf_breaker::{Charge, Verdict};
    ///
    /// let charges = [Charge::new(10, 50, 10), Charge::new(10, 30, 10)];
    /// let allowed = Verdict::of(&charges, &[20, 20]);
    /// assert_eq!((allowed.limit, allowed.ahead, allowed.wait), (1, 30, 0));
    /// let denied = Verdict::of(&charges, &[20, 25]);
    /// assert_eq!((denied.limit, denied.ahead, denied.wait), (1, 25, 5));
    /// ```
    #[must_use]
    pub fn of(charges: &[Charge], aheads: &[u64]) -> Self {
        let each = || charges.iter().zip(aheads).enumerate();
        let excess = |(limit, (charge, ahead)): (usize, (&Charge, &u64))| {
            let wait = (ahead + charge.price).saturating_sub(charge.capacity);
            Self {
                limit,
                ahead: *ahead,
                wait,
            }
        };
        let longest = each()
            .map(excess)
            .reduce(|a, b| if b.wait > a.wait { b } else { a });
        match longest {
            Some(denied) if denied.wait > 0 => denied,
            _ => {
                let left = |(limit, (charge, ahead)): (usize, (&Charge, &u64))| {
                    let ahead = ahead + charge.price;
                    (charge.remaining(ahead), limit, ahead)
                };
                let (_, limit, ahead) = each().map(left).min().unwrap_or_default();
                Self {
                    limit,
                    ahead,
                    wait: 0,
                }
            }
        }
    }

    /// Whether the call may be made.
    #[must_use]
    pub const fn is_allowed(&self) -> bool {
        self.wait == 0
    }

    /// The time until the same call will be allowed.
    #[must_use]
    pub const fn retry_after(&self) -> Duration {
        Duration::from_nanos(self.wait << TICK_SHIFT)
    }

    /// The same verdict as long as the call has not been made.
    pub(crate) fn before(self, charges: &[Charge]) -> Self {
        let price = charges.get(self.limit).map_or(0, |charge| charge.price);
        let taken = if self.is_allowed() { price } else { 0 };
        Self {
            ahead: self.ahead.saturating_sub(taken),
            ..self
        }
    }
}
