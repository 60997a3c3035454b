use crate::memory::{Delta, Totals};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One function's statements on one lane; written by the lane's owner alone.
#[derive(Debug)]
pub(crate) struct Table {
    lines: Box<[Counts]>,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) hits: AtomicU64,
    pub(super) busy: AtomicU64,
    pub(super) idle: AtomicU64,
    pub(super) memory: Totals,
}

impl Table {
    pub(super) fn new(lines: usize) -> Self {
        Self {
            lines: (0..lines).map(|_| Counts::default()).collect(),
        }
    }

    pub(super) fn lines(&self) -> &[Counts] {
        &self.lines
    }

    /// Ends one statement and begins the next.
    #[inline]
    pub(super) fn step(&self, from: usize, busy: u64, to: usize) {
        self.spend(from, busy);
        if let Some(counts) = self.lines.get(to) {
            add(&counts.hits, 1);
        }
    }

    #[inline]
    pub(super) fn spend(&self, line: usize, busy: u64) {
        if let Some(counts) = self.lines.get(line) {
            add(&counts.busy, busy);
        }
    }

    pub(super) fn wait(&self, line: usize, idle: u64) {
        if let Some(counts) = self.lines.get(line) {
            add(&counts.idle, idle);
        }
    }

    pub(super) fn allocate(&self, line: usize, delta: Delta) {
        if let Some(counts) = self.lines.get(line) {
            counts.memory.add_exclusive(delta);
        }
    }
}

#[inline]
fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(amount), Relaxed);
}
