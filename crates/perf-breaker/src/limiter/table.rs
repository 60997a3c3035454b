//! The arrival times of a bounded number of keys, 16 bytes each, without a lock for keys that are there.
//!
//! A key's 64-bit hash stands for it: two keys of one hash share a limit, which the square of the number
//! of keys over 2⁶⁵ makes unlikely. The hash picks two sets of eight slots; a key may stand in any of the
//! sixteen. With one set alone, chance fills many sets long before the table is full; the emptier of two
//! evens that out, so that four of five slots can be in use.
//!
//! A slot whose arrival time has passed says the same as no slot: it is free. So the table needs no
//! sweeper, and below capacity it forgets nothing. Of the free slots the one goes first whose arrival is
//! longest ago, so that a key which comes back later than its quota does is still found where it was: putting
//! it in again takes a lock. When all sixteen slots are live, the one whose arrival is next goes: of all
//! victims it is the nearest to being forgotten anyway. A key that is called often has a late arrival and is
//! never the victim.
//!
//! A visitor reads the word, then the hash beside it, then exchanges the word. Whoever takes over a slot
//! first exchanges the word for [`CLAIMED`] and only then writes the hash, so a visitor cannot charge the
//! newcomer: either it has read the old word and its exchange fails, or it sees the new hash.

use crate::sync::{AtomicU64, Mutex, Ordering::AcqRel, Ordering::Acquire, Ordering::Release};

#[derive(Debug)]
pub(crate) struct Table {
    sets: Box<[Set]>,
    /// Held while a key is put in, so that two threads do not put it in twice.
    stripes: Box<[Mutex<()>]>,
    evicted: AtomicU64,
}

/// Two lines of the processor's cache, which it fetches as a pair.
#[derive(Debug)]
#[repr(align(128))]
struct Set([Slot; WAYS]);

#[derive(Debug)]
struct Slot {
    /// Zero if it was never used.
    hash: AtomicU64,
    /// `{version 8, arrival 56}`; the version changes with the key.
    word: AtomicU64,
}

const WAYS: usize = 8;
const STRIPES: usize = 64;
const ARRIVAL_BITS: u32 = 56;
const ARRIVAL_MASK: u64 = (1 << ARRIVAL_BITS) - 1;
/// The arrival of a slot that is changing hands.
const CLAIMED: u64 = ARRIVAL_MASK;
/// With fewer live keys in both sets, it does not matter how many there are.
const ROOMY: usize = 5;

/// A slot, and the word that was read there.
#[derive(Clone, Copy)]
struct Place<'t> {
    slot: &'t Slot,
    word: u64,
}

impl Table {
    /// Room for `keys` live keys in 80 % of the slots.
    pub(crate) fn new(keys: usize) -> Self {
        let sets = (keys.saturating_mul(5) / 4).div_ceil(WAYS).max(2);
        Self {
            sets: (0..sets).map(|_| Set::new()).collect(),
            stripes: (0..STRIPES).map(|_| Mutex::new(())).collect(),
            evicted: AtomicU64::new(0),
        }
    }

    /// Lets `step` see the key's arrival time, zero if it has none, and writes the one that it returns.
    ///
    /// `step` may run several times; the last run counts.
    #[inline]
    pub(crate) fn update<R>(
        &self,
        hash: u64,
        now: u64,
        step: impl Fn(u64) -> (Option<u64>, R),
    ) -> R {
        let hash = hash.max(1);
        while let Some(place) = self.find(hash) {
            let (next, result) = step(place.arrival());
            if next.is_none_or(|next| place.write(next)) {
                return result;
            }
        }
        self.insert(hash, now, step)
    }

    /// The key's arrival time, zero if it has none.
    #[inline]
    pub(crate) fn read(&self, hash: u64) -> u64 {
        self.find(hash.max(1)).map_or(0, |place| place.arrival())
    }

    /// How many live keys had to make room.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted.load(Acquire)
    }

    #[cold]
    fn insert<R>(&self, hash: u64, now: u64, step: impl Fn(u64) -> (Option<u64>, R)) -> R {
        let stripe = usize::try_from(hash % STRIPES as u64).unwrap_or(0);
        let _one_at_a_time = self.stripes[stripe].lock();
        loop {
            let (arrival, place) = match self.find(hash) {
                Some(place) => (place.arrival(), place),
                None => (0, self.room(hash, now)),
            };
            let known = place.hash() == hash && !place.is_claimed();
            let (next, result) = step(arrival);
            let Some(next) = next else { return result };
            if known && place.write(next) {
                return result;
            }
            if !known && place.claim(hash, next) {
                if place.arrival() > now {
                    self.evicted.fetch_add(1, AcqRel);
                }
                return result;
            }
        }
    }

    /// Where the key stands: four times in five in its first set.
    #[inline]
    fn find(&self, hash: u64) -> Option<Place<'_>> {
        let [first, second] = self.sets_of(hash);
        let place = first.slot_of(hash).or_else(|| second.slot_of(hash))?.read();
        // The word first: see the module.
        (place.hash() == hash && !place.is_claimed()).then_some(place)
    }

    /// A free slot, or the slot whose arrival is next.
    fn room(&self, hash: u64, now: u64) -> Place<'_> {
        let [first, second] = self.sets_of(hash);
        let (live, other_live) = (first.live(now), second.live(now));
        let (place, other) = (first.next_to_arrive(), second.next_to_arrive());
        let is_first = if live < ROOMY && other_live < ROOMY || live == WAYS && other_live == WAYS {
            place.arrival() <= other.arrival()
        } else {
            live <= other_live
        };
        if is_first { place } else { other }
    }

    #[inline]
    fn sets_of(&self, hash: u64) -> [&Set; 2] {
        // The product's upper half spreads the hash over any number of sets without a division.
        const MIX: u64 = 0x9E37_79B9_7F4A_7C15;
        let scale = |hash: u64| {
            let product = u128::from(hash) * self.sets.len() as u128;
            usize::try_from(product >> 64).unwrap_or(0)
        };
        [
            &self.sets[scale(hash)],
            &self.sets[scale(hash.wrapping_mul(MIX).rotate_left(32))],
        ]
    }
}

impl Set {
    fn new() -> Self {
        Self(std::array::from_fn(|_| Slot {
            hash: AtomicU64::new(0),
            word: AtomicU64::new(0),
        }))
    }

    /// The slot with the key's hash. All eight are compared, without a branch: a processor that guesses which
    /// it is mostly guesses wrong, and that costs more than eight comparisons.
    #[inline]
    fn slot_of(&self, hash: u64) -> Option<&Slot> {
        let mut found = None;
        for slot in &self.0 {
            if slot.hash.load(Acquire) == hash {
                found = Some(slot);
            }
        }
        found
    }

    fn live(&self, now: u64) -> usize {
        let arrivals = self.0.iter().map(|slot| slot.read().arrival());
        arrivals.filter(|arrival| *arrival > now).count()
    }

    fn next_to_arrive(&self) -> Place<'_> {
        let mut best = self.0[0].read();
        for slot in &self.0[1..] {
            let place = slot.read();
            if place.arrival() < best.arrival() {
                best = place;
            }
        }
        best
    }
}

impl Slot {
    #[inline]
    fn read(&self) -> Place<'_> {
        Place {
            slot: self,
            word: self.word.load(Acquire),
        }
    }
}

impl Place<'_> {
    #[inline]
    const fn arrival(&self) -> u64 {
        self.word & ARRIVAL_MASK
    }

    #[inline]
    const fn is_claimed(&self) -> bool {
        self.arrival() == CLAIMED
    }

    #[inline]
    fn hash(&self) -> u64 {
        self.slot.hash.load(Acquire)
    }

    /// Writes the arrival time of the key that stands here, unless anyone has written since.
    #[inline]
    fn write(&self, arrival: u64) -> bool {
        let next = (self.word & !ARRIVAL_MASK) | arrival.min(CLAIMED - 1);
        self.exchange(next)
    }

    /// Puts another key here, unless anyone has written since.
    fn claim(&self, hash: u64, arrival: u64) -> bool {
        let version = (self.word >> ARRIVAL_BITS).wrapping_add(1) << ARRIVAL_BITS;
        if self.is_claimed() || !self.exchange(version | CLAIMED) {
            return false;
        }
        self.slot.hash.store(hash, Release);
        self.slot
            .word
            .store(version | arrival.min(CLAIMED - 1), Release);
        true
    }

    #[inline]
    fn exchange(&self, next: u64) -> bool {
        self.slot
            .word
            .compare_exchange(self.word, next, AcqRel, Acquire)
            .is_ok()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Adds `by` to the key's arrival time, which starts at `now`.
    fn add(table: &Table, hash: u64, now: u64, by: u64) -> u64 {
        table.update(hash, now, |arrival| {
            let next = arrival.max(now) + by;
            (Some(next), next)
        })
    }

    #[test]
    fn live_keys_keep_their_arrival_up_to_the_capacity() {
        let table = Table::new(10_000);
        let hashes: Vec<_> = {
            let mut random = fastrand::Rng::with_seed(5);
            (0..10_000).map(|_| random.u64(1..)).collect()
        };
        for round in 1..=3 {
            for hash in &hashes {
                add(&table, *hash, 0, 10);
            }
            let kept = hashes
                .iter()
                .filter(|hash| add(&table, **hash, 0, 0) == round * 10)
                .count();
            // 80 % full: 0.2 % may have had to make room.
            assert!(kept >= 9_980, "{kept} of 10,000");
        }
    }

    #[test]
    fn keys_that_have_arrived_stay_until_their_slot_is_needed() {
        let table = Table::new(10_000);
        let mut random = fastrand::Rng::with_seed(7);
        let hashes: Vec<_> = (0..10_000).map(|_| random.u64(1..)).collect();
        let visits = (1..).zip(hashes.iter().cycle());
        let mut lost = 0;
        for (visit, hash) in visits.take(200_000) {
            lost += usize::from(visit > 190_000 && table.read(*hash) == 0);
            add(&table, *hash, 100 * visit, 10);
        }
        assert!(lost <= 10, "{lost} of 10,000");
    }

    #[test]
    fn keys_that_have_arrived_make_room_and_are_not_counted_as_lost() {
        let table = Table::new(100);
        for now in 0..1_000 {
            for key in 0..10_u64 {
                add(
                    &table,
                    fastrand::Rng::with_seed(now * 10 + key).u64(1..),
                    now,
                    1,
                );
            }
        }
        assert_eq!(table.evicted(), 0);
    }

    #[test]
    fn the_victim_is_the_next_to_arrive() {
        let table = Table::new(1);
        let mut random = fastrand::Rng::with_seed(1);
        let late = random.u64(1..);
        add(&table, late, 0, 1_000_000);
        for _ in 0..10_000 {
            add(&table, random.u64(1..), 0, 10);
        }
        assert!(table.evicted() > 9_000);
        assert_eq!(add(&table, late, 0, 0), 1_000_000);
    }
}
