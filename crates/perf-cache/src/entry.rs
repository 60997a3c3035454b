use crate::expiry::{Deadline, Expiry, Lifetime, Tick};
use crate::fence::{Born, Fence};
use crate::tags::Slots;
use std::time::Duration;

/// A value as the near tier keeps it: with its deadline, the stamp of its load and its tags, 16 bytes in
/// all.
///
/// Its fields are the cache's own. A [`LocalStore`](crate::store::LocalStore) keeps entries and hands
/// them back.
#[derive(Clone, Debug)]
pub struct Entry<V> {
    value: V,
    born: Born,
    // The two halves of an `Expiry`: nested, they would be padded.
    deadline: Deadline,
    lifetime: Lifetime,
    slots: Slots,
}

impl<V> Entry<V> {
    pub(crate) const fn new(value: V, born: Born, expiry: Expiry, slots: Slots) -> Self {
        Self {
            value,
            born,
            deadline: expiry.deadline,
            lifetime: expiry.lifetime,
            slots,
        }
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

    pub(crate) const fn slots(&self) -> Slots {
        self.slots
    }

    /// Whether it may be served as current.
    #[inline]
    pub(crate) fn is_fresh(&self, now: Tick, fence: &Fence) -> bool {
        self.deadline.is_ahead_of(now) && fence.admits(self.born, self.slots)
    }

    /// Whether no group invalidation forbids it.
    pub(crate) fn is_admitted(&self, fence: &Fence) -> bool {
        fence.admits(self.born, self.slots)
    }

    /// How long ago it stopped being fresh.
    pub(crate) const fn overdue(&self, now: Tick) -> Duration {
        self.deadline.passed_before(now)
    }

    pub(crate) const fn age(&self, now: Tick) -> Duration {
        let expiry = Expiry {
            deadline: self.deadline,
            lifetime: self.lifetime,
        };
        expiry.age(now)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn an_entry_adds_sixteen_bytes_to_its_value() {
        assert_eq!(size_of::<Entry<Arc<u64>>>(), 24);
        assert_eq!(size_of::<Entry<Arc<str>>>(), 32);
    }
}
