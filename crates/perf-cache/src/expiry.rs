//! When an entry stops being fresh, in numbers small enough to travel with every value.
//!
//! Time is counted in ticks of 2²³ ns (8.4 ms). A near entry has 4 bytes for its deadline, which
//! therefore wraps around after 417 days. It is *ahead* when it lies within the next [`MAX_TTL`], and
//! past otherwise; comparing differences instead of values makes the wrap-around harmless. An entry left
//! alone for more than 300 days after its deadline would look ahead again. So the near tier counts eras
//! of 2³⁰ ticks, 104 days, without wrapping, and the first who comes in a new one, be it to read or to
//! write, empties it: nobody ever compares a deadline of an era gone by.
//!
//! Deadlines are rounded down to a tick and never up, except that no time to live is shorter than one
//! tick: an entry may go up to 8.4 ms early, never late.

use perf_core::Moment;
use std::time::Duration;

/// The longest time to live. A longer one is held at this.
pub(crate) const MAX_TTL: Duration = Duration::from_nanos(MAX_TTL_TICKS as u64 * TICK_NANOS);
const TICK_BITS: u32 = 23;
const TICK_NANOS: u64 = 1 << TICK_BITS;
const ERA_BITS: u32 = 30;
/// A hundred days and a bit.
const MAX_TTL_TICKS: u32 = 1 << 30;

/// A point in time, in ticks since the clock's origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(u64);

impl Tick {
    #[inline]
    pub(crate) const fn of(moment: Moment) -> Self {
        Self(moment.as_nanos() >> TICK_BITS)
    }

    /// The number of the era.
    #[inline]
    pub(crate) const fn era(self) -> u64 {
        self.0 >> ERA_BITS
    }

    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "deadlines wrap around by design"
    )]
    const fn low(self) -> u32 {
        self.0 as u32
    }
}

/// The lower half of the [`Tick`] at which an entry stops being fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline(u32);

impl Deadline {
    /// Whether this has not come at `now`.
    #[inline]
    pub(crate) const fn is_ahead_of(self, now: Tick) -> bool {
        self.0.wrapping_sub(now.low()).wrapping_sub(1) < MAX_TTL_TICKS
    }

    /// How long ago this came; zero when it is ahead.
    pub(crate) const fn passed_before(self, now: Tick) -> Duration {
        if self.is_ahead_of(now) {
            return Duration::ZERO;
        }
        duration_of(now.low().wrapping_sub(self.0))
    }
}

/// How long an entry was to be fresh, in 16 bits: 11 of mantissa, 5 of exponent.
///
/// It is exact up to 2,047 ticks (17 s) and off by at most one part in a thousand above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime(u16);

const MANTISSA_BITS: u32 = 11;

impl Lifetime {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the mantissa has 11 bits, the exponent is at most 21"
    )]
    const fn of_ticks(ticks: u32) -> Self {
        let bits = u32::BITS - ticks.leading_zeros();
        let exponent = bits.saturating_sub(MANTISSA_BITS);
        Self(((exponent << MANTISSA_BITS) | (ticks >> exponent)) as u16)
    }

    const fn ticks(self) -> u32 {
        let mantissa = self.0 as u32 & ((1 << MANTISSA_BITS) - 1);
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
        let deadline = Tick::of(now.saturating_add(ttl));
        let ticks = deadline.low().wrapping_sub(stored.low()).max(1);
        Self {
            deadline: Deadline(stored.low().wrapping_add(ticks)),
            lifetime: Lifetime::of_ticks(ticks),
        }
    }

    /// The time since it was stored.
    pub(crate) const fn age(self, now: Tick) -> Duration {
        let stored = self.deadline.0.wrapping_sub(self.lifetime.ticks());
        duration_of(now.low().wrapping_sub(stored))
    }
}

const fn duration_of(ticks: u32) -> Duration {
    Duration::from_nanos(ticks as u64 * TICK_NANOS)
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
            start in 0..3_u64 << 32, ttl in 1..u64::from(MAX_TTL_TICKS), beyond in 0..1_u64 << 31,
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
        fn a_lifetime_is_kept_to_a_thousandth(ticks in 1..u32::MAX) {
            let kept = Lifetime::of_ticks(ticks).ticks();
            prop_assert!(kept <= ticks && ticks - kept <= ticks / 1_000);
        }

        #[test]
        fn age_counts_from_storage(start in 0..1_u64 << 33, ttl in 1..1_u64 << 20, age in 0..1_u64 << 20) {
            let expiry = Expiry::after(at(start), Duration::from_nanos(ttl * TICK_NANOS), 0.0, 0.0);
            let told = expiry.age(Tick::of(at(start + age)));
            let slack = Duration::from_nanos(ttl / 1_000 * TICK_NANOS) + TICK;
            prop_assert!(told <= Duration::from_nanos(age * TICK_NANOS) + slack);
            prop_assert!(told + slack >= Duration::from_nanos(age * TICK_NANOS));
        }
    }

    #[test]
    fn the_shortest_time_to_live_is_one_tick() {
        let expiry = Expiry::after(at(5), Duration::from_nanos(1), 0.0, 0.0);
        assert!(expiry.deadline.is_ahead_of(Tick::of(at(5))));
        assert!(!expiry.deadline.is_ahead_of(Tick::of(at(6))));
    }
}
