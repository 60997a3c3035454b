//! Writes and invalidations, through both tiers, and to other processes.
//!
//! Each touches the near tier *after* the far one has acknowledged. A read that came between the two
//! and copied the old far value near is then forgotten with its flight, or stamped too old. It touches
//! the near tier *before* as well, so that this process stops serving old data at once; where the far
//! tier fails, that much has happened, and the error says that more has not.
//!
//! With [`Coherence`](crate::Coherence) the failure is a debt instead: the far tier is not read until it
//! has been told. Others are told last, so that what they then read is new.

use crate::bounds::{Key, Value};
use crate::coherence::Subject;
use crate::entry::Entry;
use crate::far::Far;
use crate::near::NearTier;
use crate::pattern::Pattern;
use crate::policy::named;
use crate::shared::Shared;
use crate::store::{Displaced, LocalStore};
use crate::tags::Slots;
use crate::versions::Version;
use crate::{CacheError, EntryPolicy, Receipt};
use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::time::Duration;

impl<K: Key, V: Value, S: LocalStore<K, V>> Shared<K, V, S> {
    pub(crate) async fn insert(
        &self,
        key: K,
        value: V,
        policy: EntryPolicy,
    ) -> Result<Receipt, CacheError> {
        self.ensure_open()?;
        policy.validate()?;
        let slots = self.slotting.slots(&policy.tags)?;
        let ttl = self.ttl(&key, &value, policy.ttl);
        if ttl.is_zero() {
            return self.invalidate(&key, || key.clone()).await;
        }
        let writing = Writing {
            value,
            ttl,
            slots,
            policy,
        };
        // Only others need to hear which key it was.
        let told = self
            .coherent
            .iter()
            .map(|_| Subject::Key(key.clone()))
            .collect();
        let put = match &self.far {
            Some(far) => self.insert_through(far, key, writing).await,
            None => {
                let entry = writing.entry(self);
                let displaced = entry.map(|entry| self.near.insert(key, entry));
                self.count_displaced_by(displaced);
                Ok(())
            }
        };
        self.counters.inserts.increment();
        self.tell(told, put).await
    }

    /// Writes through both tiers. Near it is kept only if nothing overtook it meanwhile.
    async fn insert_through(
        &self,
        far: &Far<K, V>,
        key: K,
        writing: Writing<V>,
    ) -> Result<(), CacheError> {
        let name = far.key(&key)?;
        let entry = writing.entry(self);
        let writer = Writer::begin(&self.near, &key);
        let tags = &writing.policy.tags;
        let version = far.put(&name, &writing.value, writing.ttl, tags).await?;
        if version.is_none() {
            self.counters.refused_publications.increment();
        }
        let kept = entry.filter(|_| version.is_some());
        self.count_displaced_by(writer.end(kept, version));
        Ok(())
    }

    /// Forgets `key`, whose owned form `owned` makes if others need it.
    pub(crate) async fn invalidate<Q>(
        &self,
        key: &Q,
        owned: impl FnOnce() -> K,
    ) -> Result<Receipt, CacheError>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.ensure_open()?;
        self.counters.invalidations.increment();
        // What is forgotten is dropped here, after the tier's locks.
        drop(self.near.remove(key));
        if self.far.is_none() && self.coherent.is_none() {
            return Ok(Receipt::Acked);
        }
        let subjects = vec![Subject::Key(owned())];
        self.invalidate_subjects(subjects).await
    }

    pub(crate) async fn invalidate_tags(&self, tags: Vec<Box<str>>) -> Result<Receipt, CacheError> {
        self.ensure_open()?;
        tags.iter().try_for_each(|tag| named(tag))?;
        for tag in &tags {
            self.counters.invalidations.increment();
            self.near.move_slot(self.slotting.slot(tag));
        }
        let subjects: Vec<_> = tags.into_iter().map(Subject::Tag).collect();
        self.invalidate_subjects(subjects).await
    }

    pub(crate) async fn invalidate_event(&self, event: &str) -> Result<Receipt, CacheError> {
        let tags = self.settings.events.get(event);
        let tags = tags.ok_or_else(|| CacheError::UnknownEvent {
            event: event.to_owned(),
        })?;
        self.invalidate_tags(tags.clone()).await
    }

    /// Forgets keys whose displayed form matches; returns how many the outermost tier held.
    pub(crate) async fn delete_pattern(
        &self,
        pattern: Pattern,
        mut progress: impl FnMut(u64) + Send,
    ) -> Result<u64, CacheError>
    where
        K: fmt::Display,
    {
        self.ensure_open()?;
        self.counters.invalidations.increment();
        let forget = |pattern: &Pattern| {
            let is_meant = |key: &K| pattern.matches(&key.to_string());
            self.near.remove_if(&is_meant)
        };
        let mut removed = forget(&pattern);
        match &self.far {
            None => progress(removed),
            Some(far) => {
                removed = far.remove_matching(pattern.clone(), progress).await?;
                forget(&pattern);
            }
        }
        // Which ones they were, others find out by themselves.
        self.tell(vec![Subject::Some], Ok(())).await?;
        Ok(removed)
    }

    pub(crate) async fn clear(&self) -> Result<Receipt, CacheError> {
        self.ensure_open()?;
        self.counters.invalidations.increment();
        self.near.clear();
        self.invalidate_subjects(vec![Subject::All]).await
    }

    /// Invalidates in the far tier, near once more, and elsewhere.
    async fn invalidate_subjects(&self, subjects: Vec<Subject<K>>) -> Result<Receipt, CacheError> {
        let told = self.settle_debts(&subjects).await;
        if self.far.is_some() {
            self.forget_subjects(&subjects);
        }
        self.tell(subjects, told).await
    }

    fn forget_subjects(&self, subjects: &[Subject<K>]) {
        for subject in subjects {
            match subject {
                Subject::Key(key) => drop(self.near.remove(key)),
                Subject::Tag(tag) => self.near.move_slot(self.slotting.slot(tag)),
                Subject::All => self.near.clear(),
                Subject::Some => {}
            }
        }
    }

    /// Invalidates in the far tier: keys in one request, tags in another.
    pub(crate) async fn settle_debts(&self, subjects: &[Subject<K>]) -> Result<(), CacheError> {
        let Some(far) = &self.far else {
            return Ok(());
        };
        let (mut keys, mut tags) = (Vec::new(), Vec::new());
        for subject in subjects {
            match subject {
                Subject::Key(key) => keys.push(far.key(key)?),
                Subject::Tag(tag) => tags.push(tag.clone()),
                Subject::All => far.clear().await?,
                Subject::Some => {}
            }
        }
        if !keys.is_empty() {
            far.remove(&keys).await?;
        }
        if !tags.is_empty() {
            far.renew(&tags).await?;
        }
        Ok(())
    }

    /// Tells others what was done, unless the far tier failed.
    async fn tell(
        &self,
        subjects: Vec<Subject<K>>,
        done: Result<(), CacheError>,
    ) -> Result<Receipt, CacheError> {
        if let Err(error) = done {
            return self.owe(subjects, error);
        }
        let Some(coherent) = &self.coherent else {
            return Ok(Receipt::Acked);
        };
        let tickets = subjects.into_iter();
        let tickets = tickets.map(|subject| coherent.outbox.put(subject, false));
        let sent = match tickets.last() {
            Some(last) => coherent.is_sent(last).await,
            None => true,
        };
        Ok(if sent {
            Receipt::Acked
        } else {
            Receipt::Queued
        })
    }

    /// Owes the far tier what it failed to take, and others the word. From here on nothing is read there;
    /// what was read before is forgotten.
    fn owe(&self, subjects: Vec<Subject<K>>, error: CacheError) -> Result<Receipt, CacheError> {
        let Some(coherent) = self.coherent.as_ref().filter(|_| error.is_transient()) else {
            return Err(error);
        };
        for subject in subjects.clone() {
            coherent.outbox.put(subject, true);
        }
        self.forget_subjects(&subjects);
        Ok(Receipt::Queued)
    }
}

/// A value on its way into both tiers.
struct Writing<V> {
    value: V,
    ttl: Duration,
    slots: Slots,
    policy: EntryPolicy,
}

impl<V: Value> Writing<V> {
    /// The near entry, born now; none if it must not be kept near.
    fn entry<K: Key, S: LocalStore<K, V>>(&self, shared: &Shared<K, V, S>) -> Option<Entry<V>> {
        let born = shared.near.stamp().born();
        let expiry = shared.near_expiry(self.ttl)?;
        Some(Entry::new(self.value.clone(), born, expiry, self.slots))
    }
}

/// A writer that is registered near until it ends, or is dropped.
struct Writer<'a, K: Key, V: Value, S: LocalStore<K, V>> {
    near: &'a NearTier<K, V, S>,
    key: &'a K,
    number: u64,
}

impl<'a, K: Key, V: Value, S: LocalStore<K, V>> Writer<'a, K, V, S> {
    /// What was near is given up.
    fn begin(near: &'a NearTier<K, V, S>, key: &'a K) -> Self {
        let (number, given_up) = near.begin_write(key);
        drop(given_up);
        Self { near, key, number }
    }

    /// Keeps the entry, if there is one and nothing came after this writer began.
    fn end(self, entry: Option<Entry<V>>, version: Option<Version>) -> Option<Displaced<K, V>> {
        self.near.end_write(self.key, self.number, entry, version)
    }
}

impl<K: Key, V: Value, S: LocalStore<K, V>> Drop for Writer<'_, K, V, S> {
    fn drop(&mut self) {
        // One that has ended is not registered any more.
        let kept = self.near.end_write(self.key, self.number, None, None);
        debug_assert!(kept.is_none(), "there is nothing to keep");
    }
}
