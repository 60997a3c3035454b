use super::Subject;
use crate::sync::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Notify, watch};

/// What waits to be told: a set, and bounded.
#[derive(Debug)]
pub(crate) struct Outbox<K> {
    waiting: Mutex<Waiting<K>>,
    /// Whether the far tier is owed something, in the outbox or on its way.
    debts: Arc<AtomicBool>,
    filled: Notify,
    /// The highest ticket that has been sent.
    sent: watch::Sender<u64>,
    limit: usize,
}

#[derive(Debug)]
struct Waiting<K> {
    /// Each subject, and whether the far tier is owed it too.
    keys: HashMap<K, bool, ahash::RandomState>,
    tags: HashMap<Box<str>, bool, ahash::RandomState>,
    all: Option<bool>,
    some: bool,
    /// The last ticket given out.
    ticket: u64,
    is_closed: bool,
}

/// What is sent together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parcel<K> {
    pub(super) subjects: Vec<Subject<K>>,
    /// Those of the subjects that the far tier is owed.
    pub(super) debts: Vec<Subject<K>>,
    /// All tickets up to this one are done when the parcel is.
    ticket: u64,
    pub(super) is_last: bool,
}

impl<K: Hash + Eq + Clone> Outbox<K> {
    /// Puts a subject in, and returns a ticket for it.
    pub(crate) fn put(&self, subject: Subject<K>, is_owed: bool) -> u64 {
        let mut waiting = self.waiting.lock();
        let waiting = &mut *waiting;
        if is_owed {
            self.debts.store(true, Ordering::Release);
        }
        match subject {
            _ if waiting.all.is_some() => {
                waiting.all = waiting.all.map(|owed| owed || is_owed);
            }
            Subject::Key(key) => *waiting.keys.entry(key).or_default() |= is_owed,
            Subject::Tag(tag) => *waiting.tags.entry(tag).or_default() |= is_owed,
            Subject::Some => waiting.some = true,
            Subject::All => waiting.become_all(is_owed),
        }
        if waiting.len() > self.limit {
            // Whatever the far tier is owed, a clear pays.
            let is_owed = waiting.is_owing();
            waiting.become_all(is_owed);
        }
        waiting.ticket += 1;
        let ticket = waiting.ticket;
        self.filled.notify_one();
        ticket
    }

    /// Takes everything out, as soon as there is something.
    pub(super) async fn take(&self) -> Parcel<K> {
        loop {
            if let Some(parcel) = self.waiting.lock().take() {
                return parcel;
            }
            self.filled.notified().await;
        }
    }

    /// The far tier has been paid what the last parcel owed.
    pub(super) fn paid(&self) {
        let waiting = self.waiting.lock();
        self.debts.store(waiting.is_owing(), Ordering::Release);
    }
}

impl<K> Outbox<K> {
    pub(super) fn new(limit: NonZeroUsize, debts: Arc<AtomicBool>) -> Self {
        Self {
            waiting: Mutex::new(Waiting {
                keys: HashMap::default(),
                tags: HashMap::default(),
                all: None,
                some: false,
                ticket: 0,
                is_closed: false,
            }),
            debts,
            filled: Notify::new(),
            sent: watch::Sender::new(0),
            limit: limit.get(),
        }
    }

    /// A parcel has been sent.
    pub(super) fn done(&self, parcel: &Parcel<K>) {
        self.sent.send_replace(parcel.ticket);
    }

    /// Waits until the subject of this ticket has been sent.
    pub(super) async fn sent(&self, ticket: u64) {
        let mut sent = self.sent.subscribe();
        // The sender lives as long as `self`, so the wait ends without an error.
        drop(sent.wait_for(|&sent| sent >= ticket).await);
    }

    /// How many invalidations have not been sent.
    pub(crate) fn len(&self) -> u64 {
        self.waiting.lock().ticket - *self.sent.borrow()
    }

    /// What waits is the last to be sent.
    pub(super) fn close(&self) {
        self.waiting.lock().is_closed = true;
        self.filled.notify_one();
    }
}

impl<K> Waiting<K> {
    fn len(&self) -> usize {
        self.keys.len() + self.tags.len()
    }

    fn is_owing(&self) -> bool {
        self.all == Some(true)
            || self
                .keys
                .values()
                .chain(self.tags.values())
                .any(|owed| *owed)
    }

    fn become_all(&mut self, is_owed: bool) {
        let is_owed = is_owed || self.is_owing();
        self.keys.clear();
        self.tags.clear();
        self.some = false;
        self.all = Some(is_owed);
    }
}

impl<K: Clone> Waiting<K> {
    fn take(&mut self) -> Option<Parcel<K>> {
        let is_empty = self.len() == 0 && self.all.is_none() && !self.some;
        if is_empty && !self.is_closed {
            return None;
        }
        let keys = self
            .keys
            .drain()
            .map(|(key, owed)| (Subject::Key(key), owed));
        let tags = self
            .tags
            .drain()
            .map(|(tag, owed)| (Subject::Tag(tag), owed));
        let all = self.all.take().map(|owed| (Subject::All, owed));
        let some = std::mem::take(&mut self.some).then_some((Subject::Some, false));
        let told: Vec<_> = keys.chain(tags).chain(all).chain(some).collect();
        let debts = told.iter().filter(|(_, owed)| *owed);
        Some(Parcel {
            debts: debts.map(|(subject, _)| subject.clone()).collect(),
            subjects: told.into_iter().map(|(subject, _)| subject).collect(),
            ticket: self.ticket,
            is_last: self.is_closed,
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use Subject::{All, Key, Some as SomeKeys, Tag};

    fn outbox(limit: usize) -> Outbox<u64> {
        Outbox::new(NonZeroUsize::new(limit).expect("not zero"), Arc::default())
    }

    fn taken(outbox: &Outbox<u64>) -> Option<Parcel<u64>> {
        outbox.waiting.lock().take()
    }

    #[test]
    fn what_waits_twice_is_told_once_and_owed_if_it_ever_was() {
        let outbox = outbox(10);
        assert_eq!(outbox.put(Key(7), false), 1);
        assert_eq!(outbox.put(Key(7), true), 2);
        assert_eq!(outbox.put(Key(7), false), 3);
        outbox.put(SomeKeys, false);
        let parcel = taken(&outbox).expect("something waits");
        assert_eq!(parcel.subjects, [Key(7), SomeKeys]);
        assert_eq!(parcel.debts, [Key(7)]);
        assert_eq!(taken(&outbox), None);
        assert_eq!(outbox.len(), 4);
        outbox.done(&parcel);
        assert_eq!(outbox.len(), 0);
    }

    #[test]
    fn a_full_outbox_becomes_one_clear_that_pays_all_debts() {
        let outbox = outbox(2);
        outbox.put(Key(1), true);
        outbox.put(Tag("t".into()), false);
        outbox.put(Key(2), false);
        outbox.put(Key(3), false);
        let parcel = taken(&outbox).expect("something waits");
        assert_eq!((parcel.subjects, parcel.debts), (vec![All], vec![All]));
    }

    #[test]
    fn a_debt_stands_until_its_parcel_is_paid_and_no_other_waits() {
        let outbox = outbox(10);
        let is_owing = || outbox.debts.load(Ordering::Acquire);
        outbox.put(Key(1), false);
        assert!(!is_owing());
        outbox.put(Key(1), true);
        let parcel = taken(&outbox);
        assert!(parcel.is_some() && is_owing(), "on its way");
        outbox.put(Tag("t".into()), true);
        outbox.paid();
        assert!(is_owing(), "another waits");
        drop(taken(&outbox));
        outbox.paid();
        assert!(!is_owing());
    }

    #[tokio::test]
    async fn a_closed_outbox_gives_out_a_last_parcel() {
        let outbox = outbox(10);
        outbox.close();
        assert!(outbox.take().await.is_last);
    }
}
