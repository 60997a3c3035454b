use crate::sync::{AtomicU64, Ordering::AcqRel, Ordering::Acquire};

/// How many of something are taken, never more than the limit of the moment.
#[derive(Debug)]
pub(crate) struct Seats(AtomicU64);

impl Seats {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(crate) fn taken(&self) -> u64 {
        self.0.load(Acquire)
    }

    /// Takes one if fewer than `limit` are taken, and says how many are now.
    #[inline]
    pub(crate) fn take(&self, limit: u64) -> Option<u64> {
        let another = |taken: u64| (taken < limit).then(|| taken + 1);
        let before = self.0.fetch_update(AcqRel, Acquire, another).ok()?;
        Some(before + 1)
    }

    #[inline]
    pub(crate) fn give_back(&self) {
        self.0.fetch_sub(1, AcqRel);
    }
}
