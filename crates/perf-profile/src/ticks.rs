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
    #[cfg(target_arch = "x86_64")]
    if COUNTER.load(Relaxed) {
        return tsc::read();
    }
    CLOCK.get_or_init(Clock::new).raw()
}

/// How many nanoseconds `ticks` ticks last.
pub(crate) fn nanos(ticks: u64) -> u64 {
    CLOCK.get_or_init(Clock::new).delta_as_nanos(0, ticks)
}
