use crate::sync::{AtomicU64, Ordering::AcqRel, Ordering::Acquire};
use crate::window::Generation;

/// Failures in a row, tagged like the window's words: `{generation 20, count 44}`.
///
/// A success writes only if there is a row to end.
#[derive(Debug)]
pub(super) struct Streak(AtomicU64);

const TAG_SHIFT: u32 = 64 - Generation::BITS;
const COUNT_MASK: u64 = (1 << TAG_SHIFT) - 1;

impl Streak {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Whether `generation` has no row that a success would end.
    #[inline]
    pub(super) fn is_empty(&self, generation: Generation) -> bool {
        let word = self.0.load(Acquire);
        word & COUNT_MASK == 0 || word >> TAG_SHIFT != generation.bits()
    }

    /// The length of the row after this call.
    #[inline]
    pub(super) fn record(
        &self,
        generation: Generation,
        failed: bool,
        stands: impl Fn() -> bool,
    ) -> u64 {
        let tag = generation.bits() << TAG_SHIFT;
        let mut word = self.0.load(Acquire);
        loop {
            let own = word & !COUNT_MASK == tag;
            let count = if own { word & COUNT_MASK } else { 0 };
            let next = if failed { count + 1 } else { 0 };
            if next == count || (!own && !stands()) {
                return count;
            }
            match self
                .0
                .compare_exchange_weak(word, tag | next, AcqRel, Acquire)
            {
                Ok(_) => return next,
                Err(moved) => word = moved,
            }
        }
    }
}
