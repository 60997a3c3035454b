//! The rate limiters: one for all calls, one for each key's.

mod decision;
mod gcra;
mod inspect;
mod keyed;
mod line;
mod rule;
mod table;

use crate::error::ConfigError;
use crate::name::Name;
use crate::quota::Quota;
use crate::sync::{AtomicU64, Mutex, Ordering::AcqRel, Ordering::Acquire};
use crate::timeline::Timeline;
use perf_core::{Clock, Moment, SystemClock};

use inspect::Figures;
use line::Line;
use rule::Rule;
use std::time::Duration;

pub use decision::Decision;
pub use keyed::KeyedLimiter;

/// Admits calls as a [`Quota`] allows.
///
/// A call is never denied that the quota allows, and in no stretch of time are more admitted than the
/// burst plus what comes back in it. A quota of one limit is one exchange on one word; several limits
/// share a lock, because a call that one of them denies must take nothing from the others.
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
    rules: Box<[Rule]>,
    cells: Cells,
    line: Line,
}

/// Arrival times, one for each rule.
#[derive(Debug)]
enum Cells {
    One(AtomicU64),
    Many(Mutex<Box<[u64]>>),
}

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
        let rules: Box<[Rule]> = quota.limits().iter().map(Rule::new).collect();
        let cells = if rules.len() == 1 {
            Cells::One(AtomicU64::new(0))
        } else {
            Cells::Many(Mutex::new(vec![0; rules.len()].into()))
        };
        Self {
            figures: Figures::of(quota),
            time: Timeline::begin(clock),
            rules,
            cells,
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
        match &self.cells {
            Cells::One(cell) => {
                let gcra = self.rules[0].gcra;
                let give_back = |arrival| Some(gcra.give_back(arrival, cost));
                // The closure never declines.
                let _previous = cell.fetch_update(AcqRel, Acquire, give_back);
            }
            Cells::Many(cells) => {
                for (arrival, rule) in cells.lock().iter_mut().zip(&self.rules) {
                    *arrival = rule.gcra.give_back(*arrival, cost);
                }
            }
        }
    }

    fn affordable(&self, cost: u32) -> Result<(), ConfigError> {
        match self.rules.iter().map(|rule| rule.limit.burst()).min() {
            Some(burst) if cost > burst => Err(ConfigError::CostExceedsBurst { cost, burst }),
            _ => Ok(()),
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
        match &self.cells {
            Cells::One(cell) => take_from_one(cell, &self.rules[0], self.time.now(), cost),
            Cells::Many(cells) => {
                let mut arrivals = cells.lock();
                // Read under the lock: with a reading older than another's, less would have come back.
                let now = self.time.now();
                let decision = self.judge(&arrivals, now, cost);
                if decision.is_allowed() {
                    for (arrival, rule) in arrivals.iter_mut().zip(&self.rules) {
                        *arrival = rule.decide(*arrival, now, cost).0;
                    }
                }
                decision
            }
        }
    }

    /// What would be said of `cost` calls now.
    fn look(&self, cost: u32) -> Decision {
        let now = self.time.now();
        match &self.cells {
            Cells::One(cell) => self.judge(&[cell.load(Acquire)], now, cost),
            Cells::Many(cells) => self.judge(&cells.lock(), now, cost),
        }
    }

    /// What the rule that matters says.
    fn judge(&self, arrivals: &[u64], now: Moment, cost: u32) -> Decision {
        let decide = |(arrival, rule): (&u64, &Rule)| rule.decide(*arrival, now, cost).1;
        let decisions = arrivals.iter().zip(&self.rules).map(decide);
        decisions
            .reduce(Decision::graver)
            .expect("a quota has at least one limit")
    }
}

#[inline]
fn take_from_one(cell: &AtomicU64, rule: &Rule, now: Moment, cost: u32) -> Decision {
    let mut arrival = cell.load(Acquire);
    loop {
        let (next, decision) = rule.decide(arrival, now, cost);
        if cost == 0 || !decision.is_allowed() {
            return decision;
        }
        match cell.compare_exchange_weak(arrival, next, AcqRel, Acquire) {
            Ok(_) => return decision,
            Err(moved) => arrival = moved,
        }
    }
}
