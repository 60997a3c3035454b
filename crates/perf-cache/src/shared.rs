use crate::bounds::{Key, Value};
use crate::entry::Entry;
use crate::expiry::Expiry;
use crate::near::NearTier;
use crate::stats::{CacheStats, Counters};
use crate::store::{Displaced, LocalStore};
use crate::tags::Slotting;
use crate::time::Time;
use crate::{CacheError, CancelPolicy, EntryPolicy};
use perf_core::{Inspect, Sample};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

/// What all handles of one cache share.
#[derive(Debug)]
pub(crate) struct Shared<K, V, S> {
    pub(crate) settings: Settings,
    pub(crate) near: NearTier<K, V, S>,
    pub(crate) slotting: Slotting,
    pub(crate) counters: Counters,
    /// How many loads run, overtaken ones included.
    pub(crate) running: watch::Sender<u64>,
    closed: AtomicBool,
}

/// What the builder decided.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) name: Cow<'static, str>,
    pub(crate) time: Time,
    pub(crate) ttl: Duration,
    pub(crate) jitter: f64,
    pub(crate) load_timeout: Duration,
    pub(crate) wait_timeout: Duration,
    pub(crate) cancel: CancelPolicy,
    pub(crate) load_slots: Option<Arc<Semaphore>>,
    pub(crate) runtime: Option<Handle>,
}

impl<K: Key, V: Value, S: LocalStore<K, V>> Shared<K, V, S> {
    pub(crate) fn new(settings: Settings, store: S) -> Self {
        Self {
            near: NearTier::new(store, settings.time.tick()),
            settings,
            slotting: Slotting::new(),
            counters: Counters::new(),
            running: watch::Sender::new(0),
            closed: AtomicBool::new(false),
        }
    }

    pub(crate) fn ensure_open(&self) -> Result<(), CacheError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(CacheError::Closed);
        }
        Ok(())
    }

    /// Refuses new work and waits for the loads that run.
    pub(crate) async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let mut running = self.running.subscribe();
        // The sender lives as long as `self`, so the wait ends with the loads and never with an error.
        drop(running.wait_for(|&running| running == 0).await);
        self.near.clear();
    }

    /// Where loads run.
    pub(crate) fn runtime(&self) -> Result<Handle, CacheError> {
        let given = self.settings.runtime.clone();
        given
            .or_else(|| Handle::try_current().ok())
            .ok_or(CacheError::NoRuntime)
    }

    /// The expiry of what is stored now.
    pub(crate) fn expiry(&self, ttl: Option<Duration>) -> Expiry {
        let settings = &self.settings;
        let ttl = ttl.unwrap_or(settings.ttl);
        Expiry::after(settings.time.now(), ttl, settings.jitter, fastrand::f64())
    }

    pub(crate) fn insert(&self, key: K, value: V, policy: &EntryPolicy) -> Result<(), CacheError> {
        self.ensure_open()?;
        policy.validate()?;
        let slots = self.slotting.slots(&policy.tags)?;
        let stamp = self.near.stamp();
        let entry = Entry::new(value, stamp.born(), self.expiry(policy.ttl), slots);
        let displaced = self.near.insert(key, entry, self.settings.time.tick());
        self.counters.inserts.increment();
        self.count_displaced(&displaced);
        Ok(())
    }

    pub(crate) fn count_displaced(&self, displaced: &Displaced<K, V>) {
        if displaced.evicted > 0 {
            self.counters.evictions.add(displaced.evicted);
        }
    }

    pub(crate) fn stats(&self) -> CacheStats {
        CacheStats {
            loads_in_progress: *self.running.borrow(),
            entries: self.near.store().len(),
            weight: self.near.store().weight(),
            ..self.counters.snapshot()
        }
    }
}

impl<K: Key, V: Value, S: LocalStore<K, V>> Inspect for Shared<K, V, S> {
    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.settings.name)
    }

    fn kind(&self) -> &'static str {
        "cache"
    }

    fn samples(&self, samples: &mut Vec<Sample>) {
        self.stats().samples(samples);
    }
}
