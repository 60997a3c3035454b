//! The stopwatch of function spans: raw ticks while recording, nanoseconds when read.
//!
//! A span's cost is two readings and a few additions, so the readings decide. On x86-64 with an
//! invariant time stamp counter a reading is one instruction; elsewhere it is [`quanta`]'s, which also
//! knows the counter's rate. Converting at every reading would cost as much again.

#[cfg(target_arch = "x86_64")]
mod tsc;

use quanta::Clock;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

static CLOCK: OnceLock<Clock> = OnceLock::new();
static COUNTER: AtomicBool = AtomicBool::new(false);

/// Chooses the source of ticks; to be called before the first reading.
pub(crate) fn calibrate() {
    let clock = CLOCK.get_or_init(Clock::new);
    // quanta answers in nanoseconds, that is at a rate of exactly one, unless it trusts the counter.
    COUNTER.store(
        cfg!(target_arch = "x86_64") && clock.delta_as_nanos(0, 1 << 40) != 1 << 40,
        Relaxed,
    );
}

/// The present reading.
#[inline]
pub(crate) fn now() -> u64 {
    #[cfg(test)]
    if let Some(ticks) = manual::now() {
        return ticks;
    }
    #[cfg(target_arch = "x86_64")]
    if COUNTER.load(Relaxed) {
        return tsc::read();
    }
    by_clock()
}

/// The present reading where [`by_counter`] holds.
#[inline]
pub(crate) fn counter() -> u64 {
    #[cfg(target_arch = "x86_64")]
    return tsc::read();
    #[cfg(not(target_arch = "x86_64"))]
    return by_clock();
}

/// Whether all readings are of the processor's own counter. Those of tests may be manual.
pub(crate) fn by_counter() -> bool {
    COUNTER.load(Relaxed) && !cfg!(test)
}

#[cold]
fn by_clock() -> u64 {
    CLOCK.get_or_init(Clock::new).raw()
}

/// How many nanoseconds `ticks` ticks last.
pub(crate) fn nanos(ticks: u64) -> u64 {
    CLOCK.get_or_init(Clock::new).delta_as_nanos(0, ticks)
}

/// How many ticks a duration lasts, at a precision of a thousandth.
pub(crate) fn of(duration: Duration) -> u64 {
    let nanos = duration.as_nanos().saturating_mul(1 << 20) / u128::from(nanos(1 << 20).max(1));
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

/// Ticks that pass only when a test says so, for the test's own thread.
#[cfg(test)]
pub(crate) mod manual {
    use std::cell::Cell;

    thread_local!(static TICKS: Cell<Option<u64>> = const { Cell::new(None) });

    pub(super) fn now() -> Option<u64> {
        TICKS.get()
    }

    /// Passes so many ticks, and all others only in the same way from now on.
    pub(crate) fn pass(ticks: u64) {
        TICKS.set(Some(TICKS.get().unwrap_or(1 << 40) + ticks));
    }
}
