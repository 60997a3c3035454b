//! Writes and invalidations, through both tiers.
//!
//! Each touches the near tier *after* the far one has acknowledged. A read that came between the two
//! and copied the old far value near is then forgotten with its flight, or stamped too old. It touches
//! the near tier *before* as well, so that this process stops serving old data at once; where the far
//! tier fails, that much has happened, and the error says that more has not.

use crate::bounds::{Key, Value};
use crate::entry::Entry;
use crate::pattern::Pattern;
use crate::shared::Shared;
use crate::store::LocalStore;
use crate::{CacheError, EntryPolicy};
use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;

impl<K: Key, V: Value, S: LocalStore<K, V>> Shared<K, V, S> {
    pub(crate) async fn insert(
        &self,
        key: K,
        value: V,
        policy: EntryPolicy,
    ) -> Result<(), CacheError> {
        self.ensure_open()?;
        policy.validate()?;
        let slots = self.slotting.slots(&policy.tags)?;
        let ttl = self.ttl(&key, &value, policy.ttl);
        if ttl.is_zero() {
            return self.invalidate(&key, || key.clone()).await;
        }
        let stamp = self.near.stamp();
        if let Some(far) = &self.far {
            let name = far.key(&key)?;
            drop(self.near.remove(&key));
            far.put(&name, &value, ttl, &policy.tags).await?;
        }
        self.counters.inserts.increment();
        if let Some(expiry) = self.near_expiry(ttl) {
            let entry = Entry::new(value, stamp.born(), expiry, slots);
            let displaced = self.near.insert(key, entry);
            self.count_displaced(&displaced);
        }
        Ok(())
    }

    /// Forgets `key`, whose owned form `owned` makes if the far tier needs it.
    pub(crate) async fn invalidate<Q>(
        &self,
        key: &Q,
        owned: impl FnOnce() -> K,
    ) -> Result<(), CacheError>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.ensure_open()?;
        self.counters.invalidations.increment();
        // What is forgotten is dropped here, after the tier's locks.
        drop(self.near.remove(key));
        if let Some(far) = &self.far {
            far.remove(&far.key(&owned())?).await?;
            drop(self.near.remove(key));
        }
        Ok(())
    }

    pub(crate) async fn invalidate_tags(&self, tags: Vec<Box<str>>) -> Result<(), CacheError> {
        self.ensure_open()?;
        self.move_slots(&tags);
        if let Some(far) = self.far.as_ref().filter(|_| !tags.is_empty()) {
            far.renew(&tags).await?;
            self.move_slots(&tags);
        }
        for _ in &tags {
            self.counters.invalidations.increment();
        }
        Ok(())
    }

    pub(crate) async fn invalidate_event(&self, event: &str) -> Result<(), CacheError> {
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
        let near = forget(&pattern);
        let Some(far) = &self.far else {
            progress(near);
            return Ok(near);
        };
        let removed = far.remove_matching(pattern.clone(), progress).await?;
        forget(&pattern);
        Ok(removed)
    }

    pub(crate) async fn clear(&self) -> Result<(), CacheError> {
        self.ensure_open()?;
        self.counters.invalidations.increment();
        self.near.clear();
        if let Some(far) = &self.far {
            far.clear().await?;
            self.near.clear();
        }
        Ok(())
    }

    fn move_slots(&self, tags: &[Box<str>]) {
        for tag in tags {
            self.near.move_slot(self.slotting.slot(tag));
        }
    }
}
