use crate::quota::Limit;
use crate::store::{Charge, TICK_SHIFT};
use perf_core::Moment;
use std::time::Duration;

/// The generic cell rate algorithm for one limit.
///
/// Its whole state is one number, the theoretical arrival time: when everything taken so far will have
/// come back. A call may pass if that lies at most a full burst ahead. Equal to a token bucket that
/// refills continuously, without its two numbers and its rounding of fractions of a token.
/// Source: ITU-T I.371, annex A, virtual scheduling.
///
/// Time is counted in parts of a nanosecond, as many as make the interval between two calls a whole
/// number: a third of a second is none in nanoseconds, and three calls a second would come back after
/// 1.000000002 s. Where that takes more than [`MOST_PARTS`], the interval is rounded up and the burst
/// widened by what that adds over a period, so that a period still gives back its whole count; but by less
/// than one call, so that no burst is ever larger than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gcra {
    /// Parts in 2 to the power of `shift` nanoseconds.
    parts: u64,
    shift: u32,
    /// Parts between two calls.
    interval: u64,
    /// Parts in which a full burst comes back.
    capacity: u64,
}

/// 2⁶⁴ parts last for nine years of uptime.
const MOST_PARTS: u64 = 64;
const COMPACT_SHIFT: u32 = 2;

impl Gcra {
    pub(crate) fn new(limit: &Limit) -> Self {
        let count = u64::from(limit.count());
        let common = greatest_common_divisor(limit.period_nanos(), count);
        Self::counting_in((count / common).min(MOST_PARTS), 0, limit)
    }

    /// With parts so coarse, 4 ns, that an arrival time fits 56 bits for nine years.
    pub(crate) fn compact(limit: &Limit) -> Self {
        Self::counting_in(1, COMPACT_SHIFT, limit)
    }

    /// With parts of a store's tick, so that stores can count in them.
    pub(crate) fn ticking(limit: &Limit) -> Self {
        Self::counting_in(1, TICK_SHIFT, limit)
    }

    /// What a store has to be asked to take `cost`, leaving the price of `reserve` calls untouched.
    pub(crate) const fn charge(&self, cost: u32, reserve: u32) -> Charge {
        let capacity = self.capacity.saturating_sub(self.price(reserve));
        Charge::new(self.price(cost), capacity, self.interval)
    }

    fn counting_in(parts: u64, shift: u32, limit: &Limit) -> Self {
        let count = u64::from(limit.count());
        // Rounded up, as is the interval: a limit may be a trifle strict and never lax.
        let period = (limit.period_nanos() * parts).div_ceil(1 << shift);
        let interval = period.div_ceil(count).max(1);
        let slack = (interval * count).saturating_sub(period).min(interval - 1);
        Self {
            parts,
            shift,
            interval,
            capacity: interval * u64::from(limit.burst()) + slack,
        }
    }

    #[inline]
    pub(crate) const fn instant(&self, now: Moment) -> u64 {
        now.as_nanos().saturating_mul(self.parts) >> self.shift
    }

    /// The arrival time after taking `cost`, or how long to wait until that may be taken.
    ///
    /// `cost` is at most the burst. An arrival more than a full burst ahead stems from a limit with more
    /// than this one; it counts as a burst just taken, so that nobody waits longer than for that.
    #[inline]
    pub(crate) fn take(&self, arrival: u64, now: u64, cost: u32) -> Result<u64, u64> {
        let price = self.price(cost);
        let next = arrival.max(now).saturating_add(price);
        let ahead = next - now;
        if ahead <= self.capacity {
            Ok(next)
        } else {
            Err((ahead - self.capacity).min(price))
        }
    }

    /// The latest arrival that this limit can have led to.
    #[inline]
    pub(crate) const fn latest(&self, now: u64) -> u64 {
        now.saturating_add(self.capacity)
    }

    /// Whether so much ahead is all that there can be.
    pub(crate) const fn is_full(&self, ahead: u64) -> bool {
        ahead >= self.capacity
    }

    /// The arrival time after giving back `cost`.
    pub(crate) const fn give_back(&self, arrival: u64, cost: u32) -> u64 {
        arrival.saturating_sub(self.price(cost))
    }

    /// How many calls may pass while everything taken comes back in `ahead` parts.
    pub(crate) fn remaining(&self, ahead: u64) -> u32 {
        let left = self.capacity.saturating_sub(ahead) / self.interval;
        u32::try_from(left).unwrap_or(u32::MAX)
    }

    /// The duration of so many parts, rounded up: a wait must not end early.
    pub(crate) const fn duration(&self, parts: u64) -> Duration {
        Duration::from_nanos((parts << self.shift).div_ceil(self.parts))
    }

    const fn price(&self, cost: u32) -> u64 {
        self.interval.saturating_mul(cost as u64)
    }
}

const fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_third_of_a_second_is_exact() {
        let gcra = Gcra::new(&Limit::new(3, SECOND).unwrap());
        assert_eq!(
            (gcra.parts, gcra.interval, gcra.capacity),
            (3, 1_000_000_000, 3_000_000_000)
        );
    }

    /// Whatever the count, a burst is back in full after one period and not a part of it before.
    #[test]
    fn a_period_gives_back_its_count() {
        for count in [1, 2, 3, 7, 60, 64, 101, 999, 60_013, 1_000_000] {
            gives_back_its_count(Gcra::new(&Limit::new(count, SECOND).unwrap()), count);
        }
        for count in [1, 2, 3, 7, 60, 64, 101, 999, 10_007, 1_000_000] {
            gives_back_its_count(Gcra::compact(&Limit::new(count, SECOND).unwrap()), count);
        }
    }

    fn gives_back_its_count(gcra: Gcra, count: u32) {
        let start = gcra.instant(Moment::from_nanos(8));
        let spent = gcra.take(0, start, count).unwrap();
        let later = gcra.instant(Moment::from_nanos(1_000_000_008));
        assert!(gcra.take(spent, later, count).is_ok(), "{count}");
        let before = gcra.instant(Moment::from_nanos(999_900_008));
        assert!(gcra.take(spent, before, count).is_err(), "{count}");
    }
}
