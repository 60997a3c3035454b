//! The kernel's monotonic time, read where it keeps it for every process.
//!
//! Tokio's time is the same unless it can be paused, and comes by a detour: an opaque instant, another one
//! taken from it, and a span in two parts; a seventh of a reading's price. The time of the last tick is
//! there for a fifth of it: the processor's counter is not asked.

use crate::clock::Moment;
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::sync::OnceLock;

/// The time now, unless tokio's may be another.
#[inline]
pub(super) fn now() -> Option<Moment> {
    (!CAN_PAUSE).then(|| read(ClockId::Monotonic))
}

/// The time of the last tick, unless tokio's may be another.
#[inline]
pub(super) fn last_tick() -> Option<Moment> {
    (!CAN_PAUSE).then(|| read(ClockId::MonotonicCoarse))
}

/// Whether tokio's time can be paused, for which it must be built with `test-util`.
///
/// Only then is there a `tokio::time::pause`, which shadows the constant of that name. A function has no size.
const CAN_PAUSE: bool = {
    #[allow(
        unused_imports,
        reason = "there may be nothing in it that is asked for"
    )]
    use tokio::time::*;
    size_of_val(&pause) == 0
};

#[allow(
    dead_code,
    non_upper_case_globals,
    reason = "named as the function in whose place it stands"
)]
const pause: u8 = 0;

#[inline]
fn read(clock: ClockId) -> Moment {
    static ORIGIN: OnceLock<i64> = OnceLock::new();
    let time = clock_gettime(clock);
    let origin = ORIGIN.get_or_init(|| clock_gettime(ClockId::MonotonicCoarse).tv_sec - 1);
    since(*origin, time)
}

#[inline]
fn since(origin: i64, time: Timespec) -> Moment {
    let seconds = u64::try_from(time.tv_sec - origin).unwrap_or(0);
    let rest = u64::try_from(time.tv_nsec).unwrap_or(0);
    Moment::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(rest))
}

#[cfg(test)]
mod tests {
    use super::super::tokio_now;
    use super::*;

    #[test]
    fn tokio_is_built_here_so_that_it_can_pause() {
        const { assert!(CAN_PAUSE) };
        assert_eq!((now(), last_tick()), (None, None));
    }

    #[test]
    fn it_runs_as_tokio_does_when_nobody_pauses_it() {
        for _ in 0..1_000 {
            let (first, outer) = (tokio_now(), read(ClockId::Monotonic));
            let (inner, span) = (tokio_now(), read(ClockId::Monotonic).since(outer));
            assert!(span <= tokio_now().since(first));
            let before = tokio_now();
            assert!(before.since(inner) <= read(ClockId::Monotonic).since(outer));
        }
    }

    #[test]
    fn a_tick_never_leads_nor_goes_back_and_follows_in_the_end() {
        let start = read(ClockId::Monotonic);
        let mut previous = read(ClockId::MonotonicCoarse);
        while previous <= start {
            let tick = read(ClockId::MonotonicCoarse);
            assert!(tick >= previous && tick <= read(ClockId::Monotonic));
            previous = tick;
        }
    }

    #[test]
    fn it_counts_from_the_origin_and_never_below() {
        let at = |tv_sec, tv_nsec| since(10, Timespec { tv_sec, tv_nsec });
        assert_eq!(at(12, 5), Moment::from_nanos(2_000_000_005));
        assert_eq!(at(9, 5), Moment::from_nanos(5));
    }
}
