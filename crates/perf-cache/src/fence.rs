//! One number that orders every group invalidation against every load.
//!
//! Invalidating a tag takes the next number of the sequence and writes it to the tag's slot; clearing
//! writes it to one word for all. A load notes the sequence *before* it starts. Its result may be served
//! for as long as no number above the noted one stands in its slots or in the clear word. So group
//! invalidation costs O(1) whatever the group holds, and a load that an invalidation overtook can never
//! pass as fresh: no window lies between check and publication, because every hit checks again.
//!
//! A hit compares one word in the common case: when no group invalidation happened since its load began,
//! the entry's stamp equals the sequence and nothing else is looked at. The alternative, an index from
//! tags to keys, makes each store pay and each invalidation walk.
//!
//! Doubt raises the same floor as a clear, and leaves the clear word where it is: what was born before it may have been invalidated
//! by a message that did not arrive. It is not served as current, but it is still there to be
//! confirmed, where a clear would have given it up.
//!
//! # Orderings
//!
//! Whoever was told that an invalidation is done has synchronised with the thread that did it, so
//! coherence alone makes it see the new words: hits read relaxed. Taking a number releases what the
//! writer did before (its database commit), and noting the sequence acquires it, so a load whose stamp
//! covers an invalidation happens after the write that caused it.
//!
//! # Wrap-around
//!
//! The sequence has 64 bits; stamps in entries and slots keep the lower 32 and are compared by
//! difference. Once in 2³⁰ numbers [`Fence::renew`] moves all slots up and the near tier is emptied, so
//! two stamps that are compared are never further apart than 2³¹. A load that 2³⁰ invalidations overtook
//! is refused outright.

use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::tags::Slots;
use std::sync::OnceLock;

/// The sequence when a load began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(u64);

/// The lower half of a [`Stamp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Born(u32);

impl Born {
    /// The stamp that the lower half tells.
    #[inline(always)]
    pub(crate) const fn of_bits(bits: u64) -> Self {
        Self(low(bits))
    }

    pub(crate) fn bits(self) -> u64 {
        self.0.into()
    }

    /// How far this is ahead of the number in `word`, where they are less than 2³¹ apart: with the highest
    /// bit if it is behind.
    #[inline(always)]
    fn lead_on(self, word: &AtomicU32) -> u32 {
        self.0.wrapping_sub(word.load(Ordering::Relaxed))
    }
}

impl Stamp {
    pub(crate) const fn born(self) -> Born {
        Born(low(self.0))
    }
}

#[derive(Debug)]
pub(crate) struct Fence {
    sequence: AtomicU64,
    cleared: AtomicU32,
    /// What was born before this was cleared, or may have been invalidated unheard. Never below `cleared`,
    /// so a hit looks at this one alone.
    floor: AtomicU32,
    /// Made when the first tag is invalidated: a cache without tags does not pay its 256 KiB.
    slots: OnceLock<Box<[AtomicU32; SLOTS]>>,
}

const SLOTS: usize = if cfg!(loom) { 4 } else { 1 << 16 };
const RENEWAL: u64 = 1 << 30;

impl Fence {
    pub(crate) fn new() -> Self {
        let fence = Self::starting_at(0);
        if cfg!(loom) {
            // The model cannot see that a `OnceLock` orders what it holds.
            fence.slots();
        }
        fence
    }

    fn starting_at(sequence: u64) -> Self {
        Self {
            sequence: AtomicU64::new(sequence),
            cleared: AtomicU32::new(low(sequence)),
            floor: AtomicU32::new(low(sequence)),
            slots: OnceLock::new(),
        }
    }

    /// What a load or a write notes before it begins.
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp(self.sequence.load(Ordering::Acquire))
    }

    /// Whether what was born then, with these tags, has not been invalidated as part of a group, and
    /// cannot have been so unheard.
    #[inline(always)]
    pub(crate) fn admits(&self, born: Born, slots: Slots) -> bool {
        let now = low(self.sequence.load(Ordering::Relaxed));
        born.0 == now || self.admits_older(born, slots)
    }

    /// As [`Fence::admits`], for a load of any duration.
    pub(crate) fn admits_load(&self, stamp: Stamp, slots: Slots) -> bool {
        let now = self.sequence.load(Ordering::Acquire);
        now - stamp.0 < RENEWAL && self.admits(stamp.born(), slots)
    }

    /// Invalidates everything with a tag in this slot. `true` asks for [`Fence::renew`].
    #[must_use]
    pub(crate) fn move_slot(&self, slot: u16) -> bool {
        let number = self.next();
        raise(&self.slots()[usize::from(slot) % SLOTS], low(number));
        number.is_multiple_of(RENEWAL)
    }

    /// Invalidates everything. `true` asks for [`Fence::renew`].
    #[must_use]
    pub(crate) fn move_all(&self) -> bool {
        let number = self.next();
        raise(&self.cleared, low(number));
        raise(&self.floor, low(number));
        number.is_multiple_of(RENEWAL)
    }

    /// Puts everything in doubt. `true` asks for [`Fence::renew`].
    #[must_use]
    pub(crate) fn doubt_all(&self) -> bool {
        let number = self.next();
        raise(&self.floor, low(number));
        number.is_multiple_of(RENEWAL)
    }

    /// Whether what was born then has not been invalidated as part of a group, but is in doubt.
    pub(crate) fn doubts(&self, born: Born, slots: Slots) -> bool {
        self.is_below_floor(born)
            && is_ahead(born.lead_on(&self.cleared))
            && self.tags_stand(born, slots)
    }

    /// Moves every word up to now, which invalidates everything born before.
    pub(crate) fn renew(&self) {
        let number = low(self.sequence.load(Ordering::Acquire));
        raise(&self.cleared, number);
        raise(&self.floor, number);
        for slot in self.slots.get().into_iter().flat_map(|slots| slots.iter()) {
            raise(slot, number);
        }
    }

    #[inline(always)]
    fn admits_older(&self, born: Born, slots: Slots) -> bool {
        is_ahead(born.lead_on(&self.floor) | self.lead_on_slots(born, slots))
    }

    fn is_below_floor(&self, born: Born) -> bool {
        !is_ahead(born.lead_on(&self.floor))
    }

    fn tags_stand(&self, born: Born, slots: Slots) -> bool {
        is_ahead(self.lead_on_slots(born, slots))
    }

    /// How far `born` is ahead of all slots: with the highest bit if it is behind one of them.
    ///
    /// No branch tells one slot from another, nor an entry without tags: nobody moves slot 0, which stands
    /// for none, and three loads side by side are cheaper than to ask.
    #[inline(always)]
    fn lead_on_slots(&self, born: Born, slots: Slots) -> u32 {
        let Some(numbers) = self.slots.get() else {
            return 0;
        };
        let [first, second, third] = slots
            .0
            .map(|slot| born.lead_on(&numbers[usize::from(slot) % SLOTS]));
        first | second | third
    }

    fn next(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::AcqRel) + 1
    }

    fn slots(&self) -> &[AtomicU32; SLOTS] {
        self.slots.get_or_init(|| {
            // Slots that nobody has moved stand where the sequence stood at the last renewal.
            let sequence = self.sequence.load(Ordering::Acquire);
            let start = low(sequence - sequence % RENEWAL);
            let slots: Box<[AtomicU32]> = (0..SLOTS).map(|_| AtomicU32::new(start)).collect();
            slots.try_into().expect("as many as were made")
        })
    }
}

/// Raises `word` to `number` unless it is there already.
fn raise(word: &AtomicU32, number: u32) {
    // The closure declines when another invalidation of the same slot came later: nothing is lost then.
    let _later = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |current| {
        is_newer(number, current).then_some(number)
    });
}

/// Whether a lead, or all of several joined by `|`, is one.
#[inline(always)]
const fn is_ahead(lead: u32) -> bool {
    lead <= u32::MAX / 2
}

/// Whether `a` comes after `b`, where they are less than 2³¹ apart.
#[inline]
const fn is_newer(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).wrapping_sub(1) < u32::MAX / 2
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the lower half is wanted")]
const fn low(number: u64) -> u32 {
    number as u32
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const TAGGED: Slots = Slots([7, 0, 0]);

    #[test]
    fn a_tag_invalidates_its_own_and_a_clear_all() {
        let fence = Fence::new();
        let before = fence.stamp();
        assert!(!fence.move_slot(7));
        assert!(!fence.admits(before.born(), TAGGED));
        assert!(fence.admits(before.born(), Slots([8, 9, 10])));
        let between = fence.stamp();
        assert!(fence.admits(between.born(), TAGGED));
        assert!(!fence.move_all());
        assert!(!fence.admits(between.born(), Slots::NONE));
        assert!(fence.admits(fence.stamp().born(), TAGGED));
    }

    #[test]
    fn doubt_passes_nothing_and_forgets_nothing() {
        let fence = Fence::new();
        let before = fence.stamp();
        assert!(!fence.doubt_all());
        assert!(!fence.admits(before.born(), TAGGED) && fence.doubts(before.born(), TAGGED));
        let after = fence.stamp();
        assert!(fence.admits(after.born(), TAGGED) && !fence.doubts(after.born(), TAGGED));
        assert!(!fence.move_slot(7));
        assert!(
            !fence.doubts(before.born(), TAGGED),
            "invalidated, not in doubt"
        );
        assert!(fence.doubts(before.born(), Slots::NONE));
    }

    #[test]
    fn nothing_is_lost_or_wedged_around_the_wrap_of_the_stamps() {
        for edge in [RENEWAL, 1 << 31, 3 * RENEWAL, 1 << 32, (1 << 32) + RENEWAL] {
            let fence = Fence::starting_at(edge - 3);
            for _ in 0..6 {
                let before = fence.stamp();
                if fence.move_slot(7) {
                    fence.renew();
                }
                assert!(!fence.admits(before.born(), TAGGED), "lost at {edge}");
                assert!(
                    fence.admits(fence.stamp().born(), TAGGED),
                    "wedged at {edge}"
                );
                assert!(fence.admits(fence.stamp().born(), Slots([9, 0, 0])));
            }
        }
    }

    #[test]
    fn a_load_that_a_whole_era_overtook_is_refused() {
        let fence = Fence::starting_at(0);
        let stamp = fence.stamp();
        fence.sequence.store(RENEWAL, Ordering::Relaxed);
        assert!(!fence.admits_load(stamp, Slots::NONE));
    }

    #[test]
    fn concurrent_moves_of_one_slot_keep_the_highest() {
        let fence = Fence::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let before = fence.stamp();
                        let _renewal = fence.move_slot(7);
                        assert!(!fence.admits(before.born(), TAGGED));
                    }
                });
            }
        });
        assert_eq!(fence.stamp(), Stamp(8_000));
    }
}
