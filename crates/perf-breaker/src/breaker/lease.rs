use super::word::Deadline;
use crate::sync::{AtomicU64, Ordering::AcqRel, Ordering::Acquire};
use crate::window::Generation;
use perf_core::Moment;
use std::time::Duration;

/// Until when the probes that are out may report: `{generation 20, deadline 44}`.
///
/// Every probe renews it, so that one given out late has as long as the first. A generation whose probes
/// all hang is followed by one that has twice as long, up to an hour: calls that merely take longer than
/// the lease would otherwise be replaced for ever, each before it can report.
#[derive(Debug)]
pub(super) struct Lease {
    word: AtomicU64,
}

const TAG_SHIFT: u32 = 64 - Generation::BITS;

impl Lease {
    pub(super) fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
        }
    }

    /// How long the probes of `generation` still have of the `full` time.
    pub(super) fn left(&self, generation: Generation, full: Duration, now: Moment) -> Duration {
        let word = self.word.load(Acquire);
        if word >> TAG_SHIFT == generation.bits() {
            Deadline(word & ((1 << TAG_SHIFT) - 1)).left(now)
        } else {
            // Whoever began this generation has not come to write its lease yet.
            full
        }
    }

    /// Gives the probes of `generation` their full time from now on; never less than they have.
    pub(super) fn renew(
        &self,
        generation: Generation,
        full: Duration,
        now: Moment,
        stands: impl Fn() -> bool,
    ) {
        let deadline = Deadline::after(now, full).0;
        let next = (generation.bits() << TAG_SHIFT) | deadline;
        let mut word = self.word.load(Acquire);
        loop {
            let own = word >> TAG_SHIFT == generation.bits();
            // After the load: a lease that was written later than this generation began stays.
            if (own && word >= next) || (!own && !stands()) {
                return;
            }
            match self.word.compare_exchange_weak(word, next, AcqRel, Acquire) {
                Ok(_) => return,
                Err(moved) => word = moved,
            }
        }
    }
}
