use crate::bounds::{Key, Value};
use crate::coherence::{Coherent, Crew, listen, revalidate, send};
use crate::entry::Entry;
use crate::expiry::{Expiry, Refresh, Tick, Windows};
use crate::far::Far;
use crate::near::NearTier;
use crate::stats::{CacheStats, Counters};
use crate::store::{Displaced, LocalStore};
use crate::tags::Slotting;
use crate::time::Time;
use crate::{CacheError, CancelPolicy};
use parking_lot::Mutex;
use perf_core::{Health, Inspect, Sample};
use std::borrow::{Borrow, Cow};
use std::collections::HashMap;
use std::hash::Hash;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// What all handles of one cache share.
pub(crate) struct Shared<K, V, S> {
    pub(crate) settings: Settings<K, V>,
    pub(crate) near: NearTier<K, V, S>,
    pub(crate) slotting: Slotting,
    pub(crate) far: Option<Far<K, V>>,
    pub(crate) coherent: Option<Arc<Coherent<K>>>,
    /// The tasks of coherence, which end with the cache.
    crew: Mutex<Crew>,
    pub(crate) counters: Counters,
    /// What a load takes, in nanoseconds: a moving average.
    load_cost: AtomicU64,
    /// How many loads run, overtaken ones included; above them, whether the cache is closed.
    running: AtomicU64,
    /// Told when the last load of a closed cache has ended.
    landed: Notify,
}

/// The bit of `running` that says so.
const CLOSED: u64 = 1 << 63;

/// What the builder decided.
pub(crate) struct Settings<K, V> {
    pub(crate) name: Cow<'static, str>,
    pub(crate) time: Time,
    pub(crate) ttl: Duration,
    pub(crate) jitter: f64,
    pub(crate) load_timeout: Duration,
    pub(crate) wait_timeout: Duration,
    pub(crate) cancel: CancelPolicy,
    pub(crate) load_slots: Option<Arc<Semaphore>>,
    pub(crate) runtime: Option<Handle>,
    pub(crate) windows: Windows,
    pub(crate) refresh: Option<Refresh>,
    pub(crate) ttl_by: Option<TtlBy<K, V>>,
    pub(crate) events: HashMap<Box<str>, Vec<Box<str>>>,
}

/// How long a value is fresh, if that depends on it.
pub(crate) type TtlBy<K, V> = Arc<dyn Fn(&K, &V) -> Option<Duration> + Send + Sync>;

impl<K: Key, V: Value, S: LocalStore<K, V>> Shared<K, V, S> {
    pub(crate) fn new(
        settings: Settings<K, V>,
        near: NearTier<K, V, S>,
        far: Option<Far<K, V>>,
        coherent: Option<Arc<Coherent<K>>>,
    ) -> Self {
        Self {
            near,
            settings,
            slotting: Slotting::new(),
            far,
            coherent,
            crew: Mutex::default(),
            counters: Counters::new(),
            load_cost: AtomicU64::new(0),
            running: AtomicU64::new(0),
            landed: Notify::new(),
        }
    }

    /// Starts the tasks of coherence, if there is any.
    pub(crate) fn cohere(self: &Arc<Self>) -> Result<(), CacheError> {
        let Some(coherent) = &self.coherent else {
            return Ok(());
        };
        let runtime = self.runtime()?;
        let with = || (Arc::clone(coherent), Arc::downgrade(self));
        let mut crew = self.crew.lock();
        let (own, shared) = with();
        crew.hire(&runtime, listen(own, shared));
        let (own, shared) = with();
        crew.hire(&runtime, send(own, shared));
        let (own, shared) = with();
        crew.hire(&runtime, revalidate(own, shared));
        Ok(())
    }

    pub(crate) fn ensure_open(&self) -> Result<(), CacheError> {
        if self.running.load(Ordering::Acquire) & CLOSED != 0 {
            return Err(CacheError::Closed);
        }
        Ok(())
    }

    /// Counts a load that is about to start, unless the cache is closed.
    ///
    /// One word decides: either `close` sees this load and waits for it, or this load sees that the cache is
    /// closed.
    pub(crate) fn begin_load(&self) -> bool {
        let one_more = |running: u64| (running & CLOSED == 0).then_some(running + 1);
        let counted = self
            .running
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        counted.is_ok()
    }

    /// One load less.
    pub(crate) fn end_load(&self) {
        if self.running.fetch_sub(1, Ordering::AcqRel) == CLOSED + 1 {
            self.landed.notify_waiters();
        }
    }

    /// Refuses new work and waits for the loads that run.
    pub(crate) async fn close(&self) {
        self.running.fetch_or(CLOSED, Ordering::AcqRel);
        loop {
            let landed = pin!(self.landed.notified());
            // Made before the look: a load that ends between the two is not missed.
            if self.running.load(Ordering::Acquire) == CLOSED {
                break;
            }
            landed.await;
        }
        if let Some(coherent) = &self.coherent {
            coherent.close().await;
        }
        *self.crew.lock() = Crew::default();
        self.near.clear();
    }

    /// Waits until a load may run, and counts it.
    pub(crate) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        let turn = match self.settings.load_slots.clone() {
            Some(slots) => slots.acquire_owned().await.ok(),
            None => None,
        };
        self.counters.loads.increment();
        turn
    }

    /// Where loads run.
    pub(crate) fn runtime(&self) -> Result<Handle, CacheError> {
        let given = self.settings.runtime.clone();
        given
            .or_else(|| Handle::try_current().ok())
            .ok_or(CacheError::NoRuntime)
    }

    /// How long a value is fresh; zero if it must not be kept.
    pub(crate) fn ttl(&self, key: &K, value: &V, ttl: Option<Duration>) -> Duration {
        let settings = &self.settings;
        let own = settings.ttl_by.as_ref().and_then(|own| own(key, value));
        own.or(ttl).unwrap_or(settings.ttl)
    }

    /// The expiry of what is kept near from now; none if it must not be.
    pub(crate) fn near_expiry(&self, ttl: Duration) -> Option<Expiry> {
        let ttl = self.far.as_ref().map_or(ttl, |far| far.near_ttl(ttl));
        let refresh = self.settings.refresh;
        let ttl = refresh.map_or(ttl, |refresh| refresh.before(ttl));
        let (now, jitter) = (self.settings.time.now(), self.settings.jitter);
        (!ttl.is_zero()).then(|| Expiry::after(now, ttl, jitter, fastrand::f64()))
    }

    /// How long ago an entry stopped being fresh.
    pub(crate) fn overdue(&self, entry: &Entry<V>, now: Tick) -> Duration {
        let refresh = self.settings.refresh;
        let late = refresh.map(|refresh| refresh.late(entry.expiry().lifetime()));
        entry.overdue(now).saturating_sub(late.unwrap_or_default())
    }

    /// The entry of `key`, if it is in the last part of its time to live, and for how long.
    pub(crate) fn late<Q>(&self, key: &Q, now: Tick) -> Option<(Entry<V>, Duration)>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let refresh = self.settings.refresh?;
        let (entry, is_doubted) = self.near.kept(key)?;
        if is_doubted {
            return None;
        }
        let late = refresh.late(entry.expiry().lifetime());
        let left = late.checked_sub(entry.overdue(now))?;
        (!left.is_zero()).then_some((entry, left))
    }

    /// Whether a read of an entry that is fresh for `left` has it loaded anew.
    pub(crate) fn refreshes(&self, left: Duration) -> bool {
        let cost = Duration::from_nanos(self.load_cost.load(Ordering::Relaxed));
        let draw = 1.0 - fastrand::f64();
        let refresh = self.settings.refresh;
        refresh.is_some_and(|refresh| refresh.is_due(left, cost, draw))
    }

    /// Notes what a load took.
    pub(crate) fn note_cost(&self, cost: Duration) {
        let cost = u64::try_from(cost.as_nanos()).unwrap_or(u64::MAX);
        let known = self.load_cost.load(Ordering::Relaxed);
        let average = if known == 0 {
            cost
        } else {
            known - known / 8 + cost / 8
        };
        // Of two that come together one may be lost: it is an average.
        self.load_cost.store(average, Ordering::Relaxed);
    }

    pub(crate) fn count_displaced(&self, displaced: &Displaced<K, V>) {
        if displaced.evicted > 0 {
            self.counters.evictions.add(displaced.evicted);
        }
        if displaced.declined {
            self.counters.oversized.increment();
        }
    }

    pub(crate) fn count_displaced_by(&self, displaced: Option<Displaced<K, V>>) {
        if let Some(displaced) = displaced {
            self.count_displaced(&displaced);
        }
    }

    pub(crate) fn stats(&self) -> CacheStats {
        let far = |counter: fn(&Far<K, V>) -> &AtomicU64| {
            let far = self.far.as_ref();
            far.map_or(0, |far| counter(far).load(Ordering::Relaxed))
        };
        let coherent = |counter: fn(&Coherent<K>) -> u64| {
            let coherent = self.coherent.as_ref();
            coherent.map_or(0, |coherent| counter(coherent))
        };
        CacheStats {
            doubts: coherent(|own| own.doubts.load(Ordering::Relaxed)),
            confirmations: coherent(|own| own.confirmed.load(Ordering::Relaxed)),
            messages_unreadable: coherent(|own| own.unreadable.load(Ordering::Relaxed)),
            queued_invalidations: coherent(|own| own.outbox.len()),
            far_hits: far(|far| &far.hits),
            far_misses: far(|far| &far.misses),
            far_failures: far(|far| &far.failures),
            far_undecodable: far(|far| &far.undecodable),
            loads_in_progress: self.running.load(Ordering::Relaxed) & !CLOSED,
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

    fn health(&self) -> Health {
        if self.far.as_ref().is_some_and(Far::is_cooling) {
            return Health::Degraded("the far tier does not answer".into());
        }
        if self.coherent.as_ref().is_some_and(|own| own.is_troubled()) {
            return Health::Degraded("other processes may not be heard".into());
        }
        Health::Healthy
    }

    fn samples(&self, samples: &mut Vec<Sample>) {
        self.stats().samples(samples);
    }
}
