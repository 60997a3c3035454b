//! What waits to be written: a policy that knows neither time nor source.

use crate::journal::Position;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use tokio::sync::OwnedSemaphorePermit;

/// A change of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change<K, V> {
    /// What changes.
    pub key: K,
    /// Its new value; none if it is deleted.
    pub value: Option<V>,
}

impl<K, V> Change<K, V> {
    pub(super) const fn new(key: K, value: Option<V>) -> Self {
        Self { key, value }
    }
}

/// Changes by key, and the order in which their keys came.
#[derive(Debug)]
pub(super) struct Pending<K, V> {
    changes: HashMap<K, Waiting<V>, ahash::RandomState>,
    order: VecDeque<K>,
    /// The number of the last change.
    last: u64,
}

#[derive(Debug)]
struct Waiting<V> {
    number: u64,
    value: Option<V>,
    /// Its place in the journal, and those of the changes that it replaced.
    positions: Vec<Position>,
    /// Its share of the room.
    _room: Option<OwnedSemaphorePermit>,
}

/// Changes that are being written.
#[derive(Debug)]
pub(super) struct Batch<K, V> {
    pub(super) changes: Vec<Change<K, V>>,
    numbers: Vec<u64>,
}

impl<K: Hash + Eq + Clone, V: Clone> Pending<K, V> {
    pub(super) fn new() -> Self {
        Self {
            changes: HashMap::default(),
            order: VecDeque::new(),
            last: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.changes.len()
    }

    /// The change of `key` that waits, if there is one.
    pub(super) fn of(&self, key: &K) -> Option<Option<V>> {
        self.changes.get(key).map(|waiting| waiting.value.clone())
    }

    /// Adds a change, in the place of one of the same key that waits.
    pub(super) fn add(
        &mut self,
        change: Change<K, V>,
        position: Option<Position>,
        room: Option<OwnedSemaphorePermit>,
    ) {
        self.last += 1;
        let replaced = self.changes.remove(&change.key);
        if replaced.is_none() {
            self.order.push_back(change.key.clone());
        }
        let mut positions = replaced.map_or_else(Vec::new, |replaced| replaced.positions);
        positions.extend(position);
        let waiting = Waiting {
            number: self.last,
            value: change.value,
            positions,
            _room: room,
        };
        self.changes.insert(change.key, waiting);
    }

    /// The oldest changes, which stay until they are [`done`](Pending::done).
    pub(super) fn batch(&self, limit: usize) -> Batch<K, V> {
        let keys = self.order.iter().take(limit);
        let waiting = keys.flat_map(|key| Some((key, self.changes.get(key)?)));
        let (changes, numbers) = waiting
            .map(|(key, waiting)| {
                let change = Change::new(key.clone(), waiting.value.clone());
                (change, waiting.number)
            })
            .unzip();
        Batch { changes, numbers }
    }

    /// The batch has been written. What changed again meanwhile waits on, at the end. Returns what the
    /// journal may forget.
    pub(super) fn done(&mut self, batch: &Batch<K, V>) -> Vec<Position> {
        let mut forgotten = Vec::new();
        for (change, number) in batch.changes.iter().zip(&batch.numbers) {
            // The batch is what stands in front.
            let front = self.order.pop_front();
            debug_assert!(front.as_ref() == Some(&change.key), "batches end in order");
            match self.changes.get(&change.key) {
                Some(waiting) if waiting.number == *number => {
                    let written = self.changes.remove(&change.key);
                    forgotten.extend(written.into_iter().flat_map(|waiting| waiting.positions));
                }
                Some(_) => self.order.push_back(change.key.clone()),
                None => {}
            }
        }
        forgotten
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Against a map of the last value of each key, and the set of what the journal holds.
        #[test]
        fn the_source_ends_with_the_last_values_and_the_journal_empty(
            steps in proptest::collection::vec((0..6_u8, 0..4_u8), 1..60),
            limit in 1..4_usize,
        ) {
            let mut pending = Pending::new();
            let (mut expected, mut source) = (BTreeMap::new(), BTreeMap::new());
            let mut journal = BTreeMap::new();
            let mut writing: Option<Batch<u8, usize>> = None;
            let mut finish = |batch: &Batch<u8, usize>, journal: &mut BTreeMap<_, u8>, pending: &mut Pending<_, _>| {
                for change in &batch.changes {
                    source.insert(change.key, change.value);
                }
                for position in pending.done(batch) {
                    assert!(journal.remove(&position).is_some(), "forgotten once");
                }
                source.clone()
            };
            for (number, (step, key)) in steps.into_iter().enumerate() {
                match (step, writing.take()) {
                    (4, Some(batch)) => drop(finish(&batch, &mut journal, &mut pending)),
                    (4 | 5, None) => writing = Some(pending.batch(limit)),
                    (step, batch) => {
                        writing = batch;
                        let value = (step != 3).then_some(number);
                        let position = Position(number as u64, 0);
                        journal.insert(position, key);
                        pending.add(Change::new(key, value), Some(position), None);
                        expected.insert(key, value);
                    }
                }
                prop_assert!(pending.len() <= 4);
            }
            if let Some(batch) = writing {
                finish(&batch, &mut journal, &mut pending);
            }
            let mut last = BTreeMap::new();
            while pending.len() > 0 {
                let batch = pending.batch(limit);
                last = finish(&batch, &mut journal, &mut pending);
            }
            prop_assert!(journal.is_empty());
            if !last.is_empty() {
                prop_assert_eq!(last, expected);
            }
        }
    }
}
