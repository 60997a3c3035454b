//! When an entry stops being fresh, in numbers small enough to travel with every value.
//!
//! Time is counted in ticks of 2²³ ns (8.4 ms). A near entry has 36 bits for its deadline, which last for
//! 18 years from the clock's origin, usually the start of the process; after that nothing is fresh any
//! more. Fewer bits would wrap around within the life of a process, and every hit would have to ask
//! whether they have.
//!
//! Deadlines are rounded down to a tick and never up, except that no time to live is shorter than one
//! tick: an entry may go up to 8.4 ms early, never late.

use perf_core::Moment;
use std::time::Duration;

/// The longest time to live. A longer one is held at this.
pub(crate) const MAX_TTL: Duration = Duration::from_nanos(MAX_TTL_TICKS * TICK_NANOS);
const TICK_BITS: u32 = 23;
const TICK_NANOS: u64 = 1 << TICK_BITS;
/// A hundred days and a bit.
const MAX_TTL_TICKS: u64 = 1 << 30;

/// A point in time, in ticks since the clock's origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(u64);

impl Tick {
    #[inline(always)]
    pub(crate) const fn of(moment: Moment) -> Self {
        Self(moment.as_nanos() >> TICK_BITS)
    }
}

/// The tick at which an entry stops being fresh, in 36 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline(u64);

impl Deadline {
    pub(crate) const BITS: u32 = 36;
    const LAST: u64 = (1 << Self::BITS) - 1;

    /// The deadline that the lowest bits tell.
    #[inline(always)]
    pub(crate) const fn of_bits(bits: u64) -> Self {
        Self(bits & Self::LAST)
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// Whether this has not come at `now`.
    #[inline(always)]
    pub(crate) const fn is_ahead_of(self, now: Tick) -> bool {
        self.0 > now.0
    }

    /// How long ago this came; zero when it is ahead.
    pub(crate) const fn passed_before(self, now: Tick) -> Duration {
        duration_of(now.0.saturating_sub(self.0))
    }
}

/// How long an entry was to be fresh, in 12 bits: 7 of mantissa, 5 of exponent. Never zero.
///
/// It is exact up to 127 ticks (1 s) and off by less than a hundredth above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime(u64);

const MANTISSA_BITS: u32 = 7;

impl Lifetime {
    pub(crate) const BITS: u32 = MANTISSA_BITS + 5;

    const fn of_ticks(ticks: u64) -> Self {
        let bits = u64::BITS - ticks.leading_zeros();
        let exponent = bits.saturating_sub(MANTISSA_BITS);
        let rounded = (ticks + (1 << exponent >> 1)) >> exponent;
        // Rounding up may carry into the next power of two.
        let carry = rounded >> MANTISSA_BITS;
        Self(((exponent as u64 + carry) << MANTISSA_BITS) | (rounded >> carry))
    }

    /// The lifetime that the lowest bits tell.
    pub(crate) const fn of_bits(bits: u64) -> Self {
        Self(bits & ((1 << Self::BITS) - 1))
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    const fn ticks(self) -> u64 {
        let mantissa = self.0 & ((1 << MANTISSA_BITS) - 1);
        mantissa << (self.0 >> MANTISSA_BITS)
    }
}

/// When an entry was stored and when it stops being fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expiry {
    pub(crate) deadline: Deadline,
    pub(crate) lifetime: Lifetime,
}

impl Expiry {
    /// The expiry of what is stored at `now` for `ttl`, shortened by up to the share `jitter`.
    ///
    /// `draw` is a random number of 0 to 1. Jitter only ever shortens, so a time to live is a promise.
    pub(crate) fn after(now: Moment, ttl: Duration, jitter: f64, draw: f64) -> Self {
        let ttl = ttl.min(MAX_TTL);
        let ttl = ttl.saturating_sub(ttl.mul_f64(jitter * draw));
        let stored = Tick::of(now);
        let ticks = (Tick::of(now.saturating_add(ttl)).0 - stored.0).max(1);
        Self {
            deadline: Deadline((stored.0 + ticks).min(Deadline::LAST)),
            lifetime: Lifetime::of_ticks(ticks),
        }
    }

    /// How long it was to be until the deadline.
    pub(crate) const fn lifetime(self) -> Duration {
        duration_of(self.lifetime.ticks())
    }

    /// The time since it was stored. A lifetime is rounded, so a young entry may seem to be stored a little
    /// after now.
    pub(crate) const fn age(self, now: Tick) -> Duration {
        let stored = self.deadline.0.saturating_sub(self.lifetime.ticks());
        duration_of(now.0.saturating_sub(stored))
    }
}

const fn duration_of(ticks: u64) -> Duration {
    Duration::from_nanos(ticks.saturating_mul(TICK_NANOS))
}

/// How long after its deadline an entry may still be served, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Windows {
    /// While a load runs in the background.
    pub(crate) revalidate: Duration,
    /// When a load fails, or takes longer than `soft`.
    pub(crate) error: Duration,
    /// How long a caller with such a value waits before it takes that.
    pub(crate) soft: Option<Duration>,
    /// How long after a failed load no other is started while there is such a value.
    pub(crate) rest: Duration,
}

impl Windows {
    pub(crate) const CLOSED: Self = Self {
        revalidate: Duration::ZERO,
        error: Duration::ZERO,
        soft: None,
        rest: Duration::ZERO,
    };
}

/// When an entry that is still fresh is loaded anew for whoever reads it.
///
/// An entry's deadline is then not the end of its time to live but the beginning of the last part of it,
/// so that a hit before compares no more than it did. What is left is known from the lifetime that the
/// entry keeps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Refresh {
    /// The share of a time to live before the last part.
    pub(crate) after: f64,
    /// The eagerness of the draw that each read in it makes; without, the first one refreshes.
    pub(crate) beta: Option<f64>,
}

impl Refresh {
    /// The deadline's share of a time to live.
    pub(crate) fn before(self, ttl: Duration) -> Duration {
        ttl.mul_f64(self.after)
    }

    /// How long an entry with that lifetime is fresh beyond its deadline. A lifetime is kept to a
    /// hundredth, and nothing must be fresh too long.
    pub(crate) fn late(self, lifetime: Duration) -> Duration {
        lifetime.mul_f64((1.0 - self.after) / self.after * 0.99)
    }

    /// Whether a read refreshes an entry that is fresh for `left`, where a load takes `cost` and `draw` is
    /// a random number above 0 and up to 1.
    ///
    /// The draw is that of Vattani, Chierichetti and Lowenstein, *Optimal Probabilistic Cache Stampede
    /// Prevention*, 2015: the nearer the end and the longer a load, the likelier.
    pub(crate) fn is_due(self, left: Duration, cost: Duration, draw: f64) -> bool {
        let gap = |beta| cost.as_secs_f64() * beta * -draw.ln();
        self.beta.is_none_or(|beta| gap(beta) >= left.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TICK: Duration = Duration::from_nanos(TICK_NANOS);

    fn at(ticks: u64) -> Moment {
        Moment::from_nanos(ticks * TICK_NANOS)
    }

    proptest! {
        #[test]
        fn an_entry_is_fresh_until_its_deadline_and_never_after(
            start in 0..1_u64 << 34, ttl in 1..MAX_TTL_TICKS, beyond in 0..1_u64 << 31,
        ) {
            let ttl_time = Duration::from_nanos(ttl * TICK_NANOS);
            let expiry = Expiry::after(at(start), ttl_time, 0.0, 0.0);
            prop_assert!(expiry.deadline.is_ahead_of(Tick::of(at(start))));
            prop_assert!(expiry.deadline.is_ahead_of(Tick::of(at(start + ttl - 1))));
            prop_assert!(!expiry.deadline.is_ahead_of(Tick::of(at(start + ttl + beyond))));
            let passed = expiry.deadline.passed_before(Tick::of(at(start + ttl + beyond)));
            prop_assert_eq!(passed, Duration::from_nanos(beyond * TICK_NANOS));
        }

        #[test]
        fn jitter_only_shortens(ttl in 2..1_000_000_u64, jitter in 0.0..0.9, draw in 0.0..1.0) {
            let ttl = Duration::from_millis(ttl);
            let plain = Expiry::after(at(0), ttl, 0.0, 0.0);
            let jittered = Expiry::after(at(0), ttl, jitter, draw);
            prop_assert!(jittered.deadline.0 <= plain.deadline.0);
            let least = ttl.mul_f64(1.0 - jitter).saturating_sub(TICK);
            prop_assert!(duration_of(jittered.deadline.0) >= least);
        }

        #[test]
        fn a_lifetime_is_kept_to_a_hundredth(ticks in 1..=MAX_TTL_TICKS) {
            let lifetime = Lifetime::of_ticks(ticks);
            let kept = lifetime.ticks();
            prop_assert!(kept.abs_diff(ticks) <= ticks / 100);
            prop_assert!(lifetime.bits() > 0 && lifetime.bits() < 1 << Lifetime::BITS);
        }

        #[test]
        fn the_last_part_of_a_life_ends_with_it(
            ttl in 1_000..10_000_000_u64, after in 0.05..0.99, jitter in 0.0..0.5, draw in 0.0..1.0,
        ) {
            let (ttl, refresh) = (Duration::from_millis(ttl), Refresh { after, beta: None });
            let expiry = Expiry::after(at(0), refresh.before(ttl), jitter, draw);
            let end = duration_of(expiry.deadline.0) + refresh.late(expiry.lifetime());
            prop_assert!(end <= ttl + TICK, "{end:?} of {ttl:?}");
            let least = ttl.mul_f64(1.0 - jitter * draw).mul_f64(0.97).saturating_sub(TICK * 21);
            prop_assert!(end >= least, "{end:?} of {least:?}");
        }

        #[test]
        fn age_counts_from_storage(start in 0..1_u64 << 33, ttl in 1..1_u64 << 20, age in 0..1_u64 << 20) {
            let expiry = Expiry::after(at(start), Duration::from_nanos(ttl * TICK_NANOS), 0.0, 0.0);
            let told = expiry.age(Tick::of(at(start + age)));
            let slack = Duration::from_nanos(ttl / 100 * TICK_NANOS) + TICK;
            prop_assert!(told <= Duration::from_nanos(age * TICK_NANOS) + slack);
            prop_assert!(told + slack >= Duration::from_nanos(age * TICK_NANOS));
        }
    }

    /// The share of draws that refresh is that of the paper: e to the power of -left / (beta x cost).
    #[test]
    fn reads_refresh_as_often_as_the_paper_says() {
        let mut random = fastrand::Rng::with_seed(7);
        for (left, cost, beta) in [
            (1.0, 1.0, 1.0),
            (3.0, 1.0, 1.0),
            (3.0, 1.0, 2.0),
            (1.0, 4.0, 1.0),
        ] {
            let refresh = Refresh {
                after: 0.5,
                beta: Some(beta),
            };
            let [left_for, takes] = [left, cost].map(Duration::from_secs_f64);
            let due = (0..100_000).filter(|_| refresh.is_due(left_for, takes, 1.0 - random.f64()));
            let share = f64::from(u32::try_from(due.count()).unwrap()) / 100_000.0;
            let expected = (-left / (beta * cost)).exp();
            assert!((share - expected).abs() < 0.01, "{share} of {expected}");
        }
    }

    #[test]
    fn after_eighteen_years_nothing_is_fresh() {
        let late = at(Deadline::LAST);
        let expiry = Expiry::after(late, TICK * 9, 0.0, 0.0);
        assert!(!expiry.deadline.is_ahead_of(Tick::of(late)));
        let expiry = Expiry::after(at(Deadline::LAST - 1), TICK * 9, 0.0, 0.0);
        assert!(
            expiry
                .deadline
                .is_ahead_of(Tick::of(at(Deadline::LAST - 1)))
        );
    }

    #[test]
    fn an_entry_just_stored_has_no_age_though_its_lifetime_is_rounded() {
        let expiry = Expiry::after(at(0), Duration::from_nanos(281_458 * TICK_NANOS), 0.0, 0.0);
        assert_eq!(expiry.age(Tick::of(at(0))), Duration::ZERO);
    }

    #[test]
    fn the_shortest_time_to_live_is_one_tick() {
        let expiry = Expiry::after(at(5), Duration::from_nanos(1), 0.0, 0.0);
        assert!(expiry.deadline.is_ahead_of(Tick::of(at(5))));
        assert!(!expiry.deadline.is_ahead_of(Tick::of(at(6))));
    }
}
