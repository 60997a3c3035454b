//! Which writing of its key a near entry is, in eight bytes.
//!
//! An entry that came from the far tier, or was published there, is a copy of one writing, told from every
//! other by its seal. Who is in doubt about the entry asks the far tier for the seal alone and compares. The
//! seals stand beside the entries, so that a hit does not carry them: in a table without keys, where a
//! key's place is its hash and the last to write a place owns it. Seals are random, so a place that
//! another key has taken matches nothing, and costs that entry a second reading. The table never grows.
//!
//! A place is written together with its key's entry, under the lock of the key's lane, so a seal that
//! matches is that of the entry which is there.

use std::hash::Hash;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

/// The seal of one writing of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version(NonZeroU64);

impl Version {
    /// None for a seal of zero, which no writer makes.
    pub(crate) const fn of_seal(seal: u64) -> Option<Self> {
        match NonZeroU64::new(seal) {
            Some(seal) => Some(Self(seal)),
            None => None,
        }
    }
}

/// The versions of near entries.
#[derive(Debug)]
pub(crate) struct Versions {
    hasher: ahash::RandomState,
    places: Box<[AtomicU64]>,
}

/// 8 MiB of places.
const MAX_PLACES: usize = 1 << 20;
/// Places for each entry: with two, a key finds its place taken by another two times in five at most.
const PLACES_PER_ENTRY: usize = 2;

impl Versions {
    /// Remembers nothing.
    pub(crate) fn none() -> Self {
        Self::with_places(0)
    }

    /// For about that many entries.
    pub(crate) fn for_entries(entries: u64) -> Self {
        let entries = usize::try_from(entries).unwrap_or(MAX_PLACES);
        Self::with_places(
            entries
                .saturating_mul(PLACES_PER_ENTRY)
                .clamp(64, MAX_PLACES),
        )
    }

    fn with_places(places: usize) -> Self {
        Self {
            hasher: ahash::RandomState::new(),
            places: (0..places).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// The entry of `key` is now this writing, or one unknown to the far tier.
    pub(crate) fn note<K: Hash>(&self, key: &K, version: Option<Version>) {
        if let Some(place) = self.place(key) {
            let seal = version.map_or(0, |version| version.0.get());
            place.store(seal, Ordering::Relaxed);
        }
    }

    /// Which writing the entry of `key` is, unless that is unknown or another key's.
    pub(crate) fn of<K: Hash>(&self, key: &K) -> Option<Version> {
        Version::of_seal(self.place(key)?.load(Ordering::Relaxed))
    }

    fn place<K: Hash>(&self, key: &K) -> Option<&AtomicU64> {
        let places = u64::try_from(self.places.len()).ok()?;
        let place = self.hasher.hash_one(key).checked_rem(places)?;
        self.places.get(usize::try_from(place).ok()?)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_place_tells_its_last_writing_and_nobody_elses() {
        let versions = Versions::for_entries(1_000);
        let seal = |key: u64| Version::of_seal(key + 1);
        for key in 0..1_000 {
            versions.note(&key, seal(key));
            assert_eq!(versions.of(&key), seal(key));
        }
        let known = (0..1_000)
            .filter(|&key| versions.of(&key) == seal(key))
            .count();
        assert!(known > 500, "only {known} of 1,000 are known");
        versions.note(&7, None);
        assert_eq!(versions.of(&7), None);
    }

    #[test]
    fn without_places_nothing_is_known() {
        let versions = Versions::none();
        versions.note(&7, Version::of_seal(7));
        assert_eq!(versions.of(&7), None);
    }
}
