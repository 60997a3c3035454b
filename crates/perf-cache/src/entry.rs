use crate::expiry::{Deadline, Expiry, Lifetime, Tick};
use crate::fence::{Born, Fence};
use crate::tags::Slots;
use std::num::NonZeroU64;
use std::time::Duration;

/// A value as the near tier keeps it: with its deadline, the stamp of its load and its tags, 16 bytes in
/// all.
///
/// Its fields are the cache's own. A [`LocalStore`](crate::store::LocalStore) keeps entries and hands
/// them back.
#[derive(Clone, Debug)]
pub struct Entry<V> {
    value: V,
    marks: Marks,
}

/// Two words, because a hit copies them: fields of their own sizes would be as many writes, and the
/// engine's lock waits for each of them.
#[derive(Clone, Copy, Debug)]
struct Marks {
    /// From above: deadline, lifetime, first slot. A lifetime is never zero, which leaves `Option` a
    /// form to use.
    first: NonZeroU64,
    /// From above: birth, the other slots.
    second: u64,
}

impl<V> Entry<V> {
    pub(crate) fn new(value: V, born: Born, expiry: Expiry, slots: Slots) -> Self {
        let [slot, others] = slots.bits();
        let times = (expiry.deadline.bits() << Lifetime::BITS) | expiry.lifetime.bits();
        let first = NonZeroU64::new((times << Slots::FIRST_BITS) | slot);
        let marks = Marks {
            first: first.expect("no lifetime is shorter than a tick"),
            second: (born.bits() << Slots::OTHER_BITS) | others,
        };
        Self { value, marks }
    }

    /// The value, for a store that weighs it.
    #[inline]
    pub const fn value(&self) -> &V {
        &self.value
    }

    #[inline]
    pub(crate) fn into_value(self) -> V {
        self.value
    }

    #[inline(always)]
    pub(crate) const fn slots(&self) -> Slots {
        Slots::of_bits([self.marks.first.get(), self.marks.second])
    }

    /// Whether it may be served as current.
    #[inline(always)]
    pub(crate) fn is_fresh(&self, now: Tick, fence: &Fence) -> bool {
        self.deadline().is_ahead_of(now) && self.is_admitted(fence)
    }

    /// Whether no group invalidation forbids it.
    #[inline(always)]
    pub(crate) fn is_admitted(&self, fence: &Fence) -> bool {
        fence.admits(self.born(), self.slots())
    }

    #[inline(always)]
    const fn born(&self) -> Born {
        Born::of_bits(self.marks.second >> Slots::OTHER_BITS)
    }

    /// Whether it may have been invalidated by a message that did not arrive, and is not known to have been.
    pub(crate) fn is_doubted(&self, fence: &Fence) -> bool {
        fence.doubts(self.born(), self.slots())
    }

    /// The same entry, confirmed at `born`.
    pub(crate) fn reborn(self, born: Born) -> Self {
        let others = self.marks.second & ((1 << Slots::OTHER_BITS) - 1);
        let marks = Marks {
            second: (born.bits() << Slots::OTHER_BITS) | others,
            ..self.marks
        };
        Self { marks, ..self }
    }

    /// How long its deadline has passed.
    pub(crate) const fn overdue(&self, now: Tick) -> Duration {
        self.deadline().passed_before(now)
    }

    pub(crate) const fn age(&self, now: Tick) -> Duration {
        self.expiry().age(now)
    }

    pub(crate) const fn expiry(&self) -> Expiry {
        Expiry {
            deadline: self.deadline(),
            lifetime: Lifetime::of_bits(self.marks.first.get() >> Slots::FIRST_BITS),
        }
    }

    #[inline(always)]
    const fn deadline(&self) -> Deadline {
        Deadline::of_bits(self.marks.first.get() >> (Slots::FIRST_BITS + Lifetime::BITS))
    }
}

/// A deadline, a lifetime and a slot fill a word.
const _: () = assert!(Deadline::BITS + Lifetime::BITS + Slots::FIRST_BITS == u64::BITS);

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn an_entry_adds_sixteen_bytes_to_its_value() {
        assert_eq!(size_of::<Entry<Arc<u64>>>(), 24);
        assert_eq!(size_of::<Entry<Arc<str>>>(), 32);
        assert_eq!(size_of::<Option<Entry<u64>>>(), 24);
    }
}
