//! How long to wait before the next attempt.
//!
//! A [`Backoff`] is a value without state; [`Backoff::delays`] turns it into an iterator over the waits
//! *between* attempts. It reads no clock and owns no randomness: the caller passes a generator, so a
//! seeded test repeats exactly, and sleeps on its own [`Clock`](crate::Clock).
//!
//! Full jitter is the default for growing delays: of the known schemes it spreads a herd of clients
//! best at the least total work. Formulas: Marc Brooker, *Exponential Backoff And Jitter*, 2015.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

/// How much of a computed delay is drawn at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Jitter {
    /// The computed delay exactly.
    None,
    /// Anything from zero to the computed delay.
    Full,
    /// Anything from the base to three times the previous delay, up to the cap.
    Decorrelated,
}

/// Permission to retry, granted by something that sees all retries at once.
///
/// Without one, a hundred callers with three retries each quadruple the load on a server that is
/// already failing. A budget grants retries in proportion to recent successes instead.
pub trait RetryBudget: fmt::Debug + Send + Sync {
    /// Takes one retry from the budget; `false` when it is spent.
    fn withdraw(&self) -> bool;
    /// Adds to the budget after a first attempt.
    fn deposit(&self);
}

/// The schedule of waits between attempts.
///
/// Delays never exceed the cap (default 30 s) and attempts are unlimited unless
/// [`with_max_attempts`](Backoff::with_max_attempts) says otherwise.
///
/// ```
/// use perf_core::{Backoff, Jitter};
/// use std::time::Duration;
///
/// let backoff = Backoff::exponential(Duration::from_millis(100))
///     .with_cap(Duration::from_millis(350))
///     .with_jitter(Jitter::None)
///     .with_max_attempts(5);
/// let delays: Vec<_> = backoff.delays(fastrand::Rng::new()).map(|d| d.as_millis()).collect();
/// assert_eq!(delays, [100, 200, 350, 350]); // four waits between five attempts
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    base: Duration,
    factor: f64,
    cap: Duration,
    jitter: Jitter,
    max_attempts: Option<NonZeroU32>,
}

impl Backoff {
    const DEFAULT_CAP: Duration = Duration::from_secs(30);

    /// Always `delay`, without jitter.
    #[must_use]
    pub const fn constant(delay: Duration) -> Self {
        Self {
            base: delay,
            factor: 1.0,
            cap: delay,
            jitter: Jitter::None,
            max_attempts: None,
        }
    }

    /// `base`, doubled after every attempt, with full jitter.
    #[must_use]
    pub const fn exponential(base: Duration) -> Self {
        let cap = Self::DEFAULT_CAP;
        Self {
            base,
            factor: 2.0,
            cap,
            jitter: Jitter::Full,
            max_attempts: None,
        }
    }

    /// From `base` to three times the previous delay, drawn evenly.
    #[must_use]
    pub const fn decorrelated(base: Duration) -> Self {
        let mut backoff = Self::exponential(base);
        backoff.jitter = Jitter::Decorrelated;
        backoff
    }

    /// The longest delay.
    #[must_use]
    pub const fn with_cap(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }

    /// What a delay is multiplied by after every attempt; below 1, or not a number, counts as 1.
    #[must_use]
    pub const fn with_factor(mut self, factor: f64) -> Self {
        self.factor = if factor >= 1.0 { factor } else { 1.0 };
        self
    }

    /// How much of each delay is random.
    #[must_use]
    pub const fn with_jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// The number of attempts, the first included; zero counts as one.
    #[must_use]
    pub const fn with_max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = match NonZeroU32::new(attempts) {
            Some(attempts) => Some(attempts),
            None => Some(NonZeroU32::MIN),
        };
        self
    }

    /// The waits between attempts: one fewer than attempts.
    pub const fn delays(&self, rng: fastrand::Rng) -> Delays<'static> {
        let left = match self.max_attempts {
            Some(attempts) => attempts.get() - 1,
            None => u32::MAX,
        };
        Delays {
            backoff: *self,
            rng,
            previous: self.base,
            next: self.base,
            left,
            budget: None,
        }
    }
}

/// The iterator of [`Backoff::delays`].
#[derive(Clone, Debug)]
pub struct Delays<'a> {
    backoff: Backoff,
    rng: fastrand::Rng,
    previous: Duration,
    next: Duration,
    left: u32,
    budget: Option<&'a dyn RetryBudget>,
}

impl Delays<'_> {
    /// Ends the iteration as soon as `budget` refuses a retry.
    pub fn within(self, budget: &dyn RetryBudget) -> Delays<'_> {
        let Self {
            backoff,
            rng,
            previous,
            next,
            left,
            ..
        } = self;
        Delays {
            backoff,
            rng,
            previous,
            next,
            left,
            budget: Some(budget),
        }
    }
}

impl Iterator for Delays<'_> {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if self.left == 0 || self.budget.is_some_and(|budget| !budget.withdraw()) {
            return None;
        }
        if self.backoff.max_attempts.is_some() {
            self.left -= 1;
        }
        let Backoff {
            base,
            factor,
            cap,
            jitter,
            ..
        } = self.backoff;
        let full = self.next.min(cap);
        let delay = match jitter {
            Jitter::None => full,
            Jitter::Full => full.mul_f64(self.rng.f64()),
            Jitter::Decorrelated => {
                let span = times(self.previous, 3.0, cap).saturating_sub(base);
                base + span.mul_f64(self.rng.f64())
            }
        };
        self.previous = delay.min(cap);
        self.next = times(self.next, factor, cap);
        Some(self.previous)
    }
}

/// `delay × factor`, at most `cap`; also where the product exceeds what a `Duration` holds.
fn times(delay: Duration, factor: f64, cap: Duration) -> Duration {
    Duration::try_from_secs_f64(delay.as_secs_f64() * factor)
        .map_or(cap, |product| product.min(cap))
}
