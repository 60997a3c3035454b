use std::cell::Cell;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What one thread has allocated and freed. All but `peak` only grow, and wrap.
struct Counters {
    bytes: Cell<u64>,
    allocations: Cell<u64>,
    freed: Cell<u64>,
    /// The most bytes at once, allocated less freed, since the innermost stretch began.
    peak: Cell<i64>,
}

thread_local! {
    static COUNTERS: Counters = const {
        Counters {
            bytes: Cell::new(0),
            allocations: Cell::new(0),
            freed: Cell::new(0),
            peak: Cell::new(0),
        }
    };
}

impl Counters {
    #[inline]
    fn grow(&self, size: usize) {
        self.bytes.set(self.bytes.get().wrapping_add(size as u64));
        self.allocations.set(self.allocations.get().wrapping_add(1));
        let net = self.net();
        if net > self.peak.get() {
            self.peak.set(net);
        }
    }

    /// Allocated less freed: negative on a thread that frees what others have allocated.
    #[inline]
    const fn net(&self) -> i64 {
        self.bytes
            .get()
            .wrapping_sub(self.freed.get())
            .cast_signed()
    }
}

#[inline]
pub(super) fn allocated(size: usize) {
    COUNTERS.with(|counters| counters.grow(size));
}

#[inline]
pub(super) fn freed(size: usize) {
    COUNTERS.with(|counters| {
        let freed = counters.freed.get();
        counters.freed.set(freed.wrapping_add(size as u64));
    });
}

/// A block that grows or shrinks counts as one allocation of what it gains.
#[inline]
pub(super) fn resized(old: usize, new: usize) {
    freed(old.saturating_sub(new));
    allocated(new.saturating_sub(old));
}

/// Whether this process's allocations are counted.
pub(crate) fn is_installed() -> bool {
    let allocations = || COUNTERS.with(|counters| counters.allocations.get());
    let before = allocations();
    drop(black_box(Vec::<u8>::with_capacity(black_box(1))));
    allocations() != before
}

/// The counters at the start of a stretch of work.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    bytes: u64,
    allocations: u64,
    net: i64,
    /// The peak of the stretch around it so far.
    outer_peak: i64,
}

/// What a stretch of work has allocated on its thread.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Delta {
    pub(crate) bytes: u64,
    pub(crate) allocations: u64,
    pub(crate) net: i64,
    pub(crate) peak: u64,
}

impl Delta {
    /// Whether nothing was allocated or freed.
    pub(crate) const fn is_nothing(self) -> bool {
        self.allocations == 0 && self.net == 0
    }
}

impl Mark {
    /// Starts a stretch; stretches end in the reverse order of their start.
    pub(crate) fn start() -> Self {
        COUNTERS.with(|counters| {
            let net = counters.net();
            Self {
                bytes: counters.bytes.get(),
                allocations: counters.allocations.get(),
                net,
                outer_peak: counters.peak.replace(net),
            }
        })
    }

    /// Ends the stretch on the thread that it started on.
    pub(crate) fn end(self) -> Delta {
        COUNTERS.with(|counters| {
            let peak = counters.peak.get();
            counters.peak.set(peak.max(self.outer_peak));
            Delta {
                bytes: counters.bytes.get().wrapping_sub(self.bytes),
                allocations: counters.allocations.get().wrapping_sub(self.allocations),
                net: counters.net().wrapping_sub(self.net),
                peak: u64::try_from(peak.wrapping_sub(self.net)).unwrap_or(0),
            }
        })
    }
}

/// A mark that is kept in a place which other threads can see, and one writes.
#[derive(Debug)]
pub(crate) struct KeptMark([AtomicU64; 4]);

impl KeptMark {
    pub(crate) const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; 4])
    }

    pub(crate) fn keep(&self, mark: Mark) {
        let Mark {
            bytes,
            allocations,
            net,
            outer_peak,
        } = mark;
        let words = [
            bytes,
            allocations,
            net.cast_unsigned(),
            outer_peak.cast_unsigned(),
        ];
        for (kept, word) in self.0.iter().zip(words) {
            kept.store(word, Relaxed);
        }
    }

    pub(crate) fn mark(&self) -> Mark {
        let [bytes, allocations, net, outer_peak] =
            [0, 1, 2, 3].map(|word: usize| self.0[word].load(Relaxed));
        Mark {
            bytes,
            allocations,
            net: net.cast_signed(),
            outer_peak: outer_peak.cast_signed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_knows_what_was_allocated_in_it_and_its_own_peak() {
        let outer = Mark::start();
        allocated(100);
        let inner = Mark::start();
        allocated(50);
        freed(50);
        resized(100, 130);
        let inner = inner.end();
        assert_eq!(
            (inner.bytes, inner.allocations, inner.net, inner.peak),
            (80, 2, 30, 50)
        );
        resized(130, 10);
        freed(10);
        let outer = outer.end();
        // A block that shrinks is an allocation of nothing.
        assert_eq!(
            (outer.bytes, outer.allocations, outer.net, outer.peak),
            (180, 4, 0, 150)
        );
    }

    #[test]
    fn what_others_have_allocated_may_be_freed() {
        let mark = Mark::start();
        freed(70);
        allocated(20);
        let delta = mark.end();
        assert_eq!((delta.bytes, delta.net, delta.peak), (20, -50, 0));
    }
}
