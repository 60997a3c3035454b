use crate::limiter::Table;
use crate::store::{TICK_SHIFT, Verdict};
use perf_core::Moment;

/// Until when keys are denied, as a store has said.
///
/// A denial ends when its time is up, counted from when the answer came: up to one round trip later than
/// the store would have it, and never earlier, so that whoever waits as long as it was told is admitted. It
/// holds for calls of the same cost or more.
#[derive(Debug)]
pub(super) struct Denials {
    /// In place of arrivals: `{end 48, cost 5, limit 3}`.
    ends: Table,
}

/// Nanoseconds in the unit of an end, as a power of two: 48 bits last for nine years of uptime.
const UNIT_SHIFT: u32 = 10;
const COST_SHIFT: u32 = 3;
const END_SHIFT: u32 = 8;
/// A cost that does not fit its bits is not remembered.
const MOST_COST: u64 = (1 << (END_SHIFT - COST_SHIFT)) - 1;

impl Denials {
    pub(super) fn new(keys: usize) -> Self {
        Self {
            ends: Table::new(keys),
        }
    }

    /// The denial of a call that the key would get again.
    #[inline]
    pub(super) fn recall(&self, hash: u64, now: Moment, cost: u32) -> Option<Verdict> {
        let word = self.ends.read(hash);
        if word == 0 {
            return None;
        }
        let (end, least) = (word >> END_SHIFT, word >> COST_SHIFT & MOST_COST);
        let left = (end << UNIT_SHIFT).saturating_sub(now.as_nanos());
        if left == 0 || u64::from(cost) < least {
            return None;
        }
        let wait = left.div_ceil(1 << TICK_SHIFT);
        Some(Verdict {
            limit: usize::try_from(word & 7).unwrap_or(0),
            ahead: wait,
            wait,
        })
    }

    pub(super) fn remember(&self, hash: u64, now: Moment, cost: u32, denied: &Verdict) {
        if u64::from(cost) > MOST_COST {
            return;
        }
        let end = now.saturating_add(denied.retry_after()).as_nanos();
        let end = end.div_ceil(1 << UNIT_SHIFT);
        let place = u64::try_from(denied.limit).unwrap_or(0) & 7;
        let word = end << END_SHIFT | u64::from(cost) << COST_SHIFT | place;
        let now = now.as_nanos() >> UNIT_SHIFT << END_SHIFT;
        self.ends.update(hash, now, |_| (Some(word), ()));
    }

    pub(super) fn forget(&self, hash: u64) {
        if self.ends.read(hash) > 0 {
            self.ends.update(hash, 0, |_| (Some(0), ()));
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::time::Duration;

    const NOW: Moment = Moment::from_nanos(5_000_000_000);

    fn denied(wait: u64) -> Verdict {
        Verdict {
            limit: 3,
            ahead: 0,
            wait,
        }
    }

    #[test]
    fn a_denial_holds_until_its_end_and_for_its_cost_or_more() {
        let denials = Denials::new(10);
        let second = 1_000_000_000 >> TICK_SHIFT;
        assert_eq!(denials.recall(7, NOW, 1), None);
        denials.remember(7, NOW, 2, &denied(second));
        assert_eq!(denials.recall(7, NOW, 1), None);
        let recalled = denials.recall(7, NOW, 2).unwrap();
        assert_eq!(recalled.limit, 3);
        assert!(recalled.wait >= second && recalled.wait <= second + 9);
        let later = NOW.saturating_add(recalled.retry_after());
        assert_eq!(denials.recall(7, later, 2), None);
        let earlier = later.saturating_sub(Duration::from_micros(3));
        assert!(denials.recall(7, earlier, 31).is_some());
        denials.forget(7);
        assert_eq!(denials.recall(7, earlier, 31), None);
    }

    #[test]
    fn a_cost_beyond_its_bits_is_not_remembered() {
        let denials = Denials::new(10);
        denials.remember(7, NOW, 32, &denied(1_000));
        assert_eq!(denials.recall(7, NOW, 32), None);
    }
}
