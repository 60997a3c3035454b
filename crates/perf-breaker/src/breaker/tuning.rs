use super::machine::Probes;
use super::open_time::OpenTime;
use super::rules::Rules;
use crate::sync::RwLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What the machine decides by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tuning {
    pub(super) rules: Rules,
    pub(super) open_time: OpenTime,
    pub(super) probes: Probes,
    pub(super) readmission: Duration,
}

/// A tuning that can be replaced while calls are under way.
///
/// Whoever decides takes a copy of the whole, so no decision mixes two tunings. The two figures that every
/// healthy call asks for stand beside it in atomics: with one of them older than the other, a call is
/// looked at once too often or too seldom, and what then decides is a whole tuning again.
#[derive(Debug)]
pub(super) struct Tuner {
    whole: RwLock<Tuning>,
    min_calls: AtomicU32,
    consecutive: AtomicU32,
}

impl Tuner {
    pub(super) fn new(tuning: Tuning) -> Self {
        Self {
            whole: RwLock::new(tuning),
            min_calls: AtomicU32::new(tuning.rules.min_calls),
            consecutive: AtomicU32::new(tuning.rules.consecutive),
        }
    }

    #[cold]
    pub(super) fn all(&self) -> Tuning {
        *self.whole.read()
    }

    #[inline]
    pub(super) fn min_calls(&self) -> u64 {
        self.min_calls.load(Relaxed).into()
    }

    /// Whether failures in a row matter.
    #[inline]
    pub(super) fn counts_rows(&self) -> bool {
        self.consecutive.load(Relaxed) > 0
    }

    pub(super) fn replace(&self, tuning: Tuning) {
        let mut whole = self.whole.write();
        *whole = tuning;
        self.min_calls.store(tuning.rules.min_calls, Relaxed);
        self.consecutive.store(tuning.rules.consecutive, Relaxed);
    }
}

/// How long a call may take, in nanoseconds; `u64::MAX` for any time.
#[derive(Debug)]
pub(super) struct Limits {
    slow: AtomicU64,
    timeout: AtomicU64,
}

impl Limits {
    pub(super) const fn new(slow: u64, timeout: u64) -> Self {
        Self {
            slow: AtomicU64::new(slow),
            timeout: AtomicU64::new(timeout),
        }
    }

    #[inline]
    pub(super) fn slow(&self) -> u64 {
        self.slow.load(Relaxed)
    }

    #[inline]
    pub(super) fn timeout(&self) -> u64 {
        self.timeout.load(Relaxed)
    }

    /// Whether anyone asks how long a call took. If not, the clock is not read.
    #[inline]
    pub(super) fn are_set(&self) -> bool {
        self.slow() & self.timeout() != u64::MAX
    }

    pub(super) fn replace(&self, other: &Self) {
        self.slow.store(other.slow(), Relaxed);
        self.timeout.store(other.timeout(), Relaxed);
    }
}
