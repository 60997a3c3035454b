use super::{Counts, Generation, Trace};
use crate::sync::{AtomicU32, AtomicU64, Ordering::AcqRel, Ordering::Acquire};

/// The last so many calls.
///
/// A recorder takes a ticket, puts the outcome into the ticket's slot, and adds the difference between
/// the slot's new and old content to the counts. A slot that already holds the outcome needs neither
/// write. A full window without a failure or a slow call is the same window after another good call, so
/// that call takes no ticket either: a healthy breaker is only read, however many threads share it. At rest
/// the counts equal the sum of the slots; while calls are being recorded they differ by at most the number
/// of those calls.
#[derive(Debug)]
pub(crate) struct CountWindow {
    /// `{generation 20, full 1, index of the next slot 43}`. An index that wraps by hand needs no
    /// division, which would double the cost of a call.
    ticket: AtomicU64,
    /// `{generation 20, failures 22, slow 22}`, both counts offset by [`BIAS`]: a decrement may overtake
    /// the increment that it undoes.
    counts: AtomicU64,
    /// `{generation 20, slow 1, failed 1, used 1}`.
    slots: Box<[AtomicU32]>,
}

const INDEX_BITS: u32 = 43;
const FULL: u64 = 1 << INDEX_BITS;
const COUNT_BITS: u32 = 22;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
const BIAS: u64 = 1 << (COUNT_BITS - 1);
const TAG_SHIFT: u32 = 64 - Generation::BITS;
const SLOT_TAG_SHIFT: u32 = 3;
const USED: u32 = 1;
const FAILED: u32 = 2;
const SLOW: u32 = 4;

impl CountWindow {
    /// The longest window; half of what a count can hold.
    pub(crate) const MOST_CALLS: u64 = 1_000_000;

    pub(crate) fn new(calls: usize) -> Self {
        Self {
            ticket: AtomicU64::new(0),
            counts: AtomicU64::new(empty_counts(Generation(0))),
            slots: (0..calls).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    /// How many calls it holds at most.
    pub(super) const fn len(&self) -> usize {
        self.slots.len()
    }

    #[inline]
    pub(super) fn record(
        &self,
        generation: Generation,
        trace: Trace,
        minimum: u64,
        stands: impl Fn() -> bool,
    ) -> bool {
        if trace == Trace::GOOD && self.is_full_of_good_calls(generation) {
            return false;
        }
        let Some(ticket) = self.take_ticket(generation, &stands) else {
            return false;
        };
        self.fill(ticket.slot, generation, trace, &stands);
        ticket.first_lap && ticket.slot as u64 + 1 == minimum
    }

    pub(super) fn counts(&self, generation: Generation) -> Counts {
        // The counts first: calls that come in between make failures fewer among more calls. The other way
        // round, the failures of many would be seen among the few calls before them.
        let counts = self.counts.load(Acquire);
        let ticket = self.ticket.load(Acquire);
        if tag(ticket) != generation {
            return Counts::default();
        }
        let index = ticket & (FULL - 1);
        let calls = if ticket & FULL == 0 {
            index
        } else {
            self.slots.len() as u64
        };
        if tag(counts) != generation {
            return Counts {
                calls,
                ..Counts::default()
            };
        }
        Counts {
            calls,
            failures: unbiased(counts >> COUNT_BITS).min(calls),
            slow: unbiased(counts).min(calls),
        }
    }

    #[inline]
    pub(super) fn is_full_of_good_calls(&self, generation: Generation) -> bool {
        let full = (generation.bits() << 1) | 1;
        if self.ticket.load(Acquire) >> INDEX_BITS != full {
            return false;
        }
        let counts = self.counts.load(Acquire);
        // A generation that has not adopted the word has counted nothing in it.
        counts == empty_counts(generation) || tag(counts) != generation
    }

    #[inline]
    fn take_ticket(&self, generation: Generation, stands: impl Fn() -> bool) -> Option<Ticket> {
        let mut ticket = self.ticket.load(Acquire);
        loop {
            let taken = if tag(ticket) == generation {
                ticket
            } else if stands() {
                generation.bits() << TAG_SHIFT
            } else {
                return None;
            };
            match self
                .ticket
                .compare_exchange_weak(ticket, self.after(taken), AcqRel, Acquire)
            {
                Ok(_) => return Some(Ticket::from_word(taken)),
                Err(moved) => ticket = moved,
            }
        }
    }

    fn after(&self, ticket: u64) -> u64 {
        let next = ticket + 1;
        if next & (FULL - 1) == self.slots.len() as u64 {
            (next & !(FULL - 1)) | FULL
        } else {
            next
        }
    }

    #[inline]
    fn fill(&self, slot: usize, generation: Generation, trace: Trace, stands: impl Fn() -> bool) {
        let slot = &self.slots[slot];
        let new = slot_word(generation, trace);
        let mut old = slot.load(Acquire);
        while old != new {
            if !same_tag(old, new) && !stands() {
                return;
            }
            match slot.compare_exchange_weak(old, new, AcqRel, Acquire) {
                Ok(_) => {
                    let old = if same_tag(old, new) { old } else { 0 };
                    return self.adjust(generation, old, new, stands);
                }
                Err(moved) => old = moved,
            }
        }
    }

    fn adjust(&self, generation: Generation, old: u32, new: u32, stands: impl Fn() -> bool) {
        let (minus, plus) = (count_delta(old), count_delta(new));
        if minus == plus {
            return;
        }
        let mut counts = self.counts.load(Acquire);
        loop {
            let base = if tag(counts) == generation {
                counts
            } else if stands() {
                empty_counts(generation)
            } else {
                return;
            };
            match self
                .counts
                .compare_exchange_weak(counts, base + plus - minus, AcqRel, Acquire)
            {
                Ok(_) => return,
                Err(moved) => counts = moved,
            }
        }
    }
}

struct Ticket {
    slot: usize,
    first_lap: bool,
}

impl Ticket {
    const fn from_word(word: u64) -> Self {
        Self {
            slot: (word & (FULL - 1)) as usize,
            first_lap: word & FULL == 0,
        }
    }
}

const fn tag(word: u64) -> Generation {
    Generation::from_bits(word >> TAG_SHIFT)
}

const fn empty_counts(generation: Generation) -> u64 {
    (generation.bits() << TAG_SHIFT) | (BIAS << COUNT_BITS) | BIAS
}

const fn unbiased(count: u64) -> u64 {
    (count & COUNT_MASK).saturating_sub(BIAS)
}

const fn slot_word(generation: Generation, trace: Trace) -> u32 {
    let mut word = (generation.0 << SLOT_TAG_SHIFT) | USED;
    if trace.failed {
        word |= FAILED;
    }
    if trace.slow {
        word |= SLOW;
    }
    word
}

const fn same_tag(a: u32, b: u32) -> bool {
    a >> SLOT_TAG_SHIFT == b >> SLOT_TAG_SHIFT
}

const fn count_delta(slot: u32) -> u64 {
    let failures = if slot & FAILED == 0 {
        0
    } else {
        1 << COUNT_BITS
    };
    let slow = if slot & SLOW == 0 { 0 } else { 1 };
    failures | slow
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const ONE: Generation = Generation(1);
    const OK: Trace = Trace::GOOD;

    #[test]
    fn it_forgets_what_has_slid_out() {
        let window = CountWindow::new(3);
        for trace in [Trace::FAILED, Trace::FAILED, OK, OK, OK] {
            window.record(ONE, trace, 1, || true);
        }
        assert_eq!(
            window.counts(ONE),
            Counts {
                calls: 3,
                failures: 0,
                slow: 0
            }
        );
    }

    #[test]
    fn a_good_call_changes_nothing_only_in_a_full_window_of_good_calls() {
        let window = CountWindow::new(3);
        let ticket = || window.ticket.load(Acquire);
        let record = |trace| {
            let before = ticket();
            window.record(ONE, trace, 1, || true);
            ticket() != before
        };
        assert!([OK, OK, OK].map(record).iter().all(|moved| *moved));
        assert!(!record(OK));
        assert!(record(Trace::FAILED));
        assert!([OK, OK, OK].map(record).iter().all(|moved| *moved));
        assert!(!record(OK));
        assert_eq!(window.counts(ONE).failures, 0);
        let next = Generation(2);
        assert!(!window.is_full_of_good_calls(next));
        (0..3).for_each(|_| _ = window.record(next, OK, 1, || true));
        assert!(window.is_full_of_good_calls(next));
    }

    #[test]
    fn the_minimum_is_reached_once() {
        let window = CountWindow::new(4);
        let reached: Vec<_> = (0..9).map(|_| window.record(ONE, OK, 2, || true)).collect();
        assert_eq!(reached.iter().filter(|reached| **reached).count(), 1);
        assert!(reached[1]);
    }

    #[test]
    fn a_generation_that_has_ended_writes_nothing() {
        let window = CountWindow::new(4);
        window.record(Generation(2), OK, 1, || true);
        window.record(ONE, Trace::FAILED, 1, || false);
        assert_eq!(
            window.counts(Generation(2)),
            Counts {
                calls: 1,
                failures: 0,
                slow: 0
            }
        );
        assert_eq!(window.counts(ONE), Counts::default());
    }
}
