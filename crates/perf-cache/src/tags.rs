//! Groups of entries that can be invalidated together.
//!
//! A near entry has room for three 16-bit slots. A tag's slot is a keyed hash of its name, so two tags
//! may share one: invalidating either then drops the other's entries too, which costs a load and never
//! serves old data.

use crate::CacheError;

/// The most tags one entry can carry.
pub(crate) const MAX_TAGS: usize = 3;

/// The slots of an entry's tags; 0 stands for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slots(pub(crate) [u16; MAX_TAGS]);

impl Slots {
    pub(crate) const NONE: Self = Self([0; MAX_TAGS]);

    /// How many bits the first takes.
    pub(crate) const FIRST_BITS: u32 = 16;
    /// How many bits the others take.
    pub(crate) const OTHER_BITS: u32 = 32;

    /// The first, and the others one after the other.
    pub(crate) fn bits(self) -> [u64; 2] {
        let [first, second, third] = self.0.map(u64::from);
        [first, second | (third << 16)]
    }

    /// The slots that the lower bits tell.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "each slot is 16 of the bits"
    )]
    pub(crate) const fn of_bits([first, others]: [u64; 2]) -> Self {
        Self([first as u16, others as u16, (others >> 16) as u16])
    }

    /// Whether each of these is among `others`.
    pub(crate) fn are_within(self, others: Self) -> bool {
        self.0
            .iter()
            .all(|slot| *slot == 0 || others.0.contains(slot))
    }

    /// These and `others`, if there is room for all.
    pub(crate) fn with(self, others: Self) -> Option<Self> {
        let mut all = self;
        for slot in others.0.into_iter().filter(|slot| *slot != 0) {
            if !all.0.contains(&slot) {
                *all.0.iter_mut().find(|free| **free == 0)? = slot;
            }
        }
        Some(all)
    }
}

/// Finds the slots of tags.
#[derive(Clone, Debug)]
pub(crate) struct Slotting(ahash::RandomState);

impl Slotting {
    pub(crate) fn new() -> Self {
        Self(ahash::RandomState::new())
    }

    /// One of 1 to 65,535.
    pub(crate) fn slot(&self, tag: &str) -> u16 {
        let hash = self.0.hash_one(tag) % u64::from(u16::MAX) + 1;
        u16::try_from(hash).unwrap_or(u16::MAX)
    }

    pub(crate) fn slots(&self, tags: &[Box<str>]) -> Result<Slots, CacheError> {
        if tags.len() > MAX_TAGS {
            return Err(CacheError::TooManyTags {
                count: tags.len(),
                limit: MAX_TAGS,
            });
        }
        let mut slots = Slots::NONE;
        for (slot, tag) in slots.0.iter_mut().zip(tags) {
            *slot = self.slot(tag);
        }
        Ok(slots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_keeps_its_slot_and_slots_spread() {
        let slotting = Slotting::new();
        let slots: std::collections::HashSet<_> = (0..1_000)
            .map(|n| slotting.slot(&format!("user:{n}")))
            .collect();
        assert!(slots.len() > 950, "{} of 1,000 distinct", slots.len());
        assert!(!slots.contains(&0));
        assert_eq!(slotting.slot("user:7"), slotting.slot("user:7"));
    }

    #[test]
    fn slots_survive_as_bits() {
        let slots = Slots([1, 0x8000, u16::MAX]);
        let [first, others] = slots.bits();
        assert_eq!(Slots::of_bits([first, others]), slots);
        let above = [
            first | (7 << Slots::FIRST_BITS),
            others | (7 << Slots::OTHER_BITS),
        ];
        assert_eq!(Slots::of_bits(above), slots);
    }

    #[test]
    fn slots_join_where_there_is_room() {
        let (some, more) = (Slots([7, 8, 0]), Slots([8, 0, 9]));
        assert_eq!(some.with(more), Some(Slots([7, 8, 9])));
        assert!(some.are_within(Slots([7, 8, 9])) && Slots::NONE.are_within(some));
        assert!(!some.are_within(more));
        assert_eq!(Slots([7, 8, 9]).with(Slots([1, 0, 0])), None);
        assert_eq!(Slots([7, 8, 9]).with(some), Some(Slots([7, 8, 9])));
    }
}
