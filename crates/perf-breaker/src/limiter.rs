//! The rate limiters: one for all calls, one for each key's.

mod decision;
mod gcra;
mod inspect;
mod keyed;
mod line;
mod rule;
mod several;
mod table;

use crate::error::ConfigError;
use crate::name::Name;
use crate::quota::Quota;
use crate::sync::{AtomicU64, Ordering::AcqRel, Ordering::Acquire};
use crate::timeline::Timeline;
use perf_core::{Clock, SystemClock};

use gcra::Gcra;
use inspect::Figures;
use line::Line;
use several::Several;
use std::time::Duration;

pub use decision::Decision;
pub use keyed::KeyedLimiter;
pub(crate) use rule::Rule;
pub(crate) use table::Table;

/// Admits calls as a [`Quota`] allows.
///
/// A call is never denied that the quota allows, and in no stretch of time are more admitted than the
/// burst plus what comes back in it. A quota of one limit is one exchange on one word; several limits
/// share a lock, because a call that one of them denies must take nothing from the others. So does a
/// quota that was [changed](Self::change) while in use.
///
/// ```
/// # fn main() -> Result<(), perf_breaker::ConfigError> {
/// use perf_breaker::RateLimiter;
/// use perf_core::ManualClock;
/// use std::time::Duration;
///
/// let clock = ManualClock::new();
/// let limiter = RateLimiter::with_clock(&"2/second".parse()?, clock.clone());
/// assert!(limiter.check().is_allowed());
/// assert!(limiter.check().is_allowed());
///
/// let denied = limiter.check();
/// assert_eq!(denied.retry_after(), Duration::from_millis(500));
/// clock.advance(denied.retry_after());
/// assert!(limiter.check().is_allowed());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RateLimiter<K = SystemClock> {
    figures: Figures,
    time: Timeline<K>,
    /// The only limit, as long as `arrival` is in use.
    rule: Rule,
    /// Its arrival time, or [`UNUSED`] if `several` decides.
    arrival: AtomicU64,
    several: Several,
    line: Line,
}

/// No arrival time: 2⁶⁴ parts lie nine years ahead.
const UNUSED: u64 = u64::MAX;

impl RateLimiter {
    /// A limiter on the system's clock, with its whole burst available.
    #[must_use]
    pub fn new(quota: &Quota) -> Self {
        Self::with_clock(quota, SystemClock)
    }
}

impl<K: Clock> RateLimiter<K> {
    /// A limiter on `clock`, with its whole burst available.
    #[must_use]
    pub fn with_clock(quota: &Quota, clock: K) -> Self {
        let arrival = if quota.limits().len() == 1 { 0 } else { UNUSED };
        Self {
            figures: Figures::of(quota),
            time: Timeline::begin(clock),
            rule: Rule::new(&quota.limits()[0]),
            arrival: AtomicU64::new(arrival),
            several: Several::new(quota),
            line: Line::new(),
        }
    }

    /// The same limiter under a name of its own; without one it is called by its quota.
    #[must_use]
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.figures.name = name.into();
        self
    }

    /// Takes one call from the quota, or nothing if it denies it.
    #[inline]
    pub fn check(&self) -> Decision {
        self.figures.note(self.take_behind_line(1))
    }

    /// As [`check`](Self::check), for who goes on to wait when it is denied: that is no denial yet.
    #[inline]
    pub(crate) fn check_before_waiting(&self) -> Decision {
        self.take_behind_line(1)
    }

    /// Takes `cost` calls from the quota at once, or nothing if it denies them. A cost of 0 only looks.
    ///
    /// # Errors
    ///
    /// [`ConfigError::CostExceedsBurst`] if no wait could make the cost admissible.
    ///
    /// ```
    /// # fn main() -> Result<(), perf_breaker::ConfigError> {
    /// use perf_breaker::RateLimiter;
    ///
    /// let limiter = RateLimiter::new(&"10/hour; 100/day".parse()?);
    /// assert_eq!(limiter.check_cost(7)?.remaining(), 3);
    /// assert!(!limiter.check_cost(7)?.is_allowed());
    /// assert!(limiter.check_cost(11).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn check_cost(&self, cost: u32) -> Result<Decision, ConfigError> {
        self.affordable(cost)?;
        Ok(self.figures.note(self.take_behind_line(cost)))
    }

    /// Waits until the quota allows a call, and takes it; at most `max_wait`. Whoever waits is served in
    /// the order of arrival, and [`check`](Self::check) does not pass those who wait.
    ///
    /// A call that would have to wait longer is denied at once.
    ///
    /// # Panics
    ///
    /// On the default clock, a call that has to wait panics outside a tokio runtime with its timer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the line; nothing was taken, and those behind move up.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), perf_breaker::ConfigError> {
    /// use perf_breaker::RateLimiter;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::new(&"1/second".parse()?);
    /// let a_minute = Duration::from_secs(60);
    /// assert!(limiter.check().is_allowed());
    /// assert!(limiter.until_ready(a_minute).await.is_allowed()); // after a second
    /// assert!(!limiter.until_ready(Duration::from_millis(10)).await.is_allowed()); // at once
    /// # Ok(())
    /// # }
    /// ```
    pub async fn until_ready(&self, max_wait: Duration) -> Decision {
        self.wait_in_line(1, max_wait).await
    }

    /// As [`until_ready`](Self::until_ready), for `cost` calls at once.
    ///
    /// # Errors
    ///
    /// [`ConfigError::CostExceedsBurst`] if no wait could make the cost admissible.
    ///
    /// # Panics
    ///
    /// As [`until_ready`](Self::until_ready).
    ///
    /// # Cancel safety
    ///
    /// As [`until_ready`](Self::until_ready).
    pub async fn until_ready_cost(
        &self,
        cost: u32,
        max_wait: Duration,
    ) -> Result<Decision, ConfigError> {
        self.affordable(cost)?;
        Ok(self.wait_in_line(cost, max_wait).await)
    }

    /// What a call would be told now; takes nothing.
    pub fn peek(&self) -> Decision {
        self.look(self.line.cost().saturating_add(1)).before()
    }

    /// Gives back `cost` calls that were admitted and not made. More than was taken has no effect beyond
    /// a full burst.
    pub fn refund(&self, cost: u32) {
        let give_back =
            |arrival| (arrival != UNUSED).then(|| self.rule.gcra.give_back(arrival, cost));
        if self
            .arrival
            .fetch_update(AcqRel, Acquire, give_back)
            .is_err()
        {
            self.several.refund(cost);
        }
    }

    /// Puts another quota in force for all calls from now on, those that wait included.
    ///
    /// What has been taken stays taken: limits are matched by their place in the quota, and the time until
    /// everything taken has come back stays, up to the new limit's longest. A limit without a predecessor
    /// begins with its whole burst. Call this for a change of mind, not for each call: the limiter shares a
    /// lock from then on.
    ///
    /// ```
    /// # fn main() -> Result<(), perf_breaker::ConfigError> {
    /// use perf_breaker::RateLimiter;
    ///
    /// let limiter = RateLimiter::new(&"2/hour".parse()?);
    /// assert!(limiter.check().is_allowed());
    /// limiter.change(&"10/hour".parse()?); // half was taken, half is left
    /// assert_eq!(limiter.peek().remaining(), 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn change(&self, quota: &Quota) {
        self.several.change(quota, &self.time, || {
            let arrival = self.arrival.swap(UNUSED, AcqRel);
            (arrival != UNUSED).then_some(arrival)
        });
    }

    /// The quota in force.
    #[must_use]
    pub fn quota(&self) -> Quota {
        if self.arrival.load(Acquire) == UNUSED {
            self.several.quota()
        } else {
            self.rule.limit.into()
        }
    }

    fn affordable(&self, cost: u32) -> Result<(), ConfigError> {
        let burst = self.burst();
        if cost > burst {
            return Err(ConfigError::CostExceedsBurst { cost, burst });
        }
        Ok(())
    }

    /// The most that can be taken at once.
    fn burst(&self) -> u32 {
        if self.arrival.load(Acquire) == UNUSED {
            self.several.burst()
        } else {
            self.rule.limit.burst()
        }
    }

    async fn wait_in_line(&self, cost: u32, max_wait: Duration) -> Decision {
        // Joined before the look: two callers must not both think that they are next.
        let place = self.line.join(cost);
        let expected = self.look(place.cost_up_to_here());
        if expected.retry_after() > max_wait {
            return self.figures.note(expected);
        }
        let _first = place.turn().await;
        loop {
            let decision = self.take(cost);
            if decision.is_allowed() {
                return decision;
            }
            if cost > self.burst() {
                // The quota has been changed, and no wait would do.
                return self.figures.note(decision);
            }
            self.time.sleep(decision.retry_after()).await;
        }
    }

    #[inline]
    fn take_behind_line(&self, cost: u32) -> Decision {
        let line = self.line.cost();
        if line > 0 {
            let decision = self.look(line.saturating_add(cost));
            if !decision.is_allowed() {
                return decision;
            }
        }
        self.take(cost)
    }

    #[inline]
    fn take(&self, cost: u32) -> Decision {
        let now = self.time.now();
        let mut arrival = self.arrival.load(Acquire);
        while arrival != UNUSED {
            let (next, decision) = self.rule.decide(arrival, now, cost);
            if cost == 0 || !decision.is_allowed() {
                return decision;
            }
            let exchanged = self
                .arrival
                .compare_exchange_weak(arrival, next, AcqRel, Acquire);
            match exchanged {
                Ok(_) => return decision,
                Err(moved) => arrival = moved,
            }
        }
        self.several.take(&self.time, cost)
    }

    /// What would be said of `cost` calls now.
    fn look(&self, cost: u32) -> Decision {
        match self.arrival.load(Acquire) {
            UNUSED => self.several.look(&self.time, cost),
            arrival => self.rule.decide(arrival, self.time.now(), cost).1,
        }
    }
}
