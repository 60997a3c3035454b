use super::Delta;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a function, a line or a kind of request has allocated; all zero without a
/// [`ProfilingAllocator`](super::ProfilingAllocator).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct MemoryStats {
    /// Bytes allocated, freed or not.
    pub bytes: u64,
    /// Allocations. A block that grows or shrinks counts once more.
    pub allocations: u64,
    /// Bytes allocated less bytes freed, whoever had allocated them.
    pub net: i64,
    /// The most bytes that one call, or one poll of a future, had at once beyond those at its start.
    pub peak: u64,
    /// Bytes allocated by itself, profiled callees excluded; for what has no callees the same as `bytes`.
    pub own_bytes: u64,
}

/// The counters behind it.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    bytes: AtomicU64,
    allocations: AtomicU64,
    net: AtomicU64,
    peak: AtomicU64,
}

impl Totals {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: AtomicU64::new(0),
            allocations: AtomicU64::new(0),
            net: AtomicU64::new(0),
            peak: AtomicU64::new(0),
        }
    }

    /// Adds a stretch of work, where only one thread ever adds.
    pub(crate) fn add_exclusive(&self, delta: Delta) {
        let add = |counter: &AtomicU64, amount| {
            counter.store(counter.load(Relaxed).wrapping_add(amount), Relaxed);
        };
        add(&self.bytes, delta.bytes);
        add(&self.allocations, delta.allocations);
        add(&self.net, delta.net.cast_unsigned());
        self.peak
            .store(self.peak.load(Relaxed).max(delta.peak), Relaxed);
    }

    /// Adds a stretch of work from any thread.
    pub(crate) fn add(&self, delta: Delta) {
        // As all are where nobody counts.
        if delta.is_nothing() {
            return;
        }
        self.bytes.fetch_add(delta.bytes, Relaxed);
        self.allocations.fetch_add(delta.allocations, Relaxed);
        self.net.fetch_add(delta.net.cast_unsigned(), Relaxed);
        self.peak.fetch_max(delta.peak, Relaxed);
    }

    pub(crate) fn stats(&self) -> MemoryStats {
        let bytes = self.bytes.load(Relaxed);
        MemoryStats {
            bytes,
            allocations: self.allocations.load(Relaxed),
            net: self.net.load(Relaxed).cast_signed(),
            peak: self.peak.load(Relaxed),
            own_bytes: bytes,
        }
    }
}

impl MemoryStats {
    /// Adds another's figures to these.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.bytes = self.bytes.wrapping_add(other.bytes);
        self.allocations = self.allocations.wrapping_add(other.allocations);
        self.net = self.net.wrapping_add(other.net);
        self.peak = self.peak.max(other.peak);
        self.own_bytes = self.own_bytes.wrapping_add(other.own_bytes);
    }
}
