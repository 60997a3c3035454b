use crate::sync::{AtomicU64, Mutex, Ordering::Relaxed};
use perf_core::{Histogram, histogram::Snapshot};
use std::time::Duration;

/// After what time a call is late: fixed, or learnt from the calls before.
#[derive(Debug)]
pub(super) enum Lateness {
    Fixed(Duration),
    Learnt {
        share: f64,
        /// Nanoseconds; [`UNKNOWN`] at first. Calls read it without the lock.
        delay: AtomicU64,
        times: Mutex<Times>,
    },
}

/// The last calls: a histogram cannot forget, so two take turns.
#[derive(Debug)]
pub(super) struct Times {
    current: Box<Histogram>,
    recorded: u32,
    previous: Snapshot,
}

const UNKNOWN: u64 = u64::MAX;
/// How many calls must have been watched before any is called late.
const FIRST: u32 = 100;
/// After how many calls the delay is computed anew and the older half is forgotten.
const HALF: u32 = 1_000;

impl Lateness {
    pub(super) const fn fixed(delay: Duration) -> Self {
        Self::Fixed(delay)
    }

    pub(super) fn learnt(share: f64) -> Self {
        Self::Learnt {
            share,
            delay: AtomicU64::new(UNKNOWN),
            times: Mutex::new(Times {
                current: Box::new(Histogram::new()),
                recorded: 0,
                previous: Snapshot::default(),
            }),
        }
    }

    pub(super) fn delay(&self) -> Option<Duration> {
        match self {
            Self::Fixed(delay) => Some(*delay),
            Self::Learnt { delay, .. } => match delay.load(Relaxed) {
                UNKNOWN => None,
                nanos => Some(Duration::from_nanos(nanos)),
            },
        }
    }

    pub(super) fn watch(&self, taken: Duration) {
        let Self::Learnt {
            share,
            delay,
            times,
        } = self
        else {
            return;
        };
        let mut times = times.lock();
        times.current.record_duration(taken);
        times.recorded += 1;
        let is_first = times.recorded == FIRST && delay.load(Relaxed) == UNKNOWN;
        if is_first || times.recorded == HALF {
            let mut both = times.current.snapshot();
            both.merge(&times.previous);
            let late = both.quantile(*share).as_nanos();
            delay.store(u64::try_from(late).unwrap_or(UNKNOWN), Relaxed);
        }
        if times.recorded == HALF {
            times.previous = times.current.snapshot();
            *times.current = Histogram::new();
            times.recorded = 0;
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn it_learns_and_forgets() {
        let lateness = Lateness::learnt(0.9);
        let watch = |times: u32, millis: u64| {
            (0..times).for_each(|_| lateness.watch(Duration::from_millis(millis)));
        };
        watch(FIRST - 1, 10);
        assert_eq!(lateness.delay(), None);
        watch(1, 10);
        let near = |expected: f64| {
            let delay = lateness.delay().unwrap().as_secs_f64() * 1_000.0;
            assert!((delay / expected - 1.0).abs() < 0.02, "{delay}");
        };
        near(10.0);
        watch(HALF - FIRST, 10);
        watch(HALF, 500);
        near(500.0);
        watch(2 * HALF, 20);
        near(20.0);
    }
}
