use super::task::Terms;
use crate::bounds::{Key, Value};
use crate::far::{Far, Found, Grant, Sight, Wish};
use crate::shared::Shared;
use crate::store::{LocalStore, Watch};
use crate::time::Time;
use crate::versions::Version;
use crate::{CacheError, Source};
use perf_core::Backoff;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// A value on its way to those who wait.
#[derive(Debug)]
pub(super) struct Arrival<V> {
    pub(super) value: V,
    pub(super) source: Source,
    /// How long it is fresh, in whatever tier; zero if it must not be kept.
    pub(super) ttl: Duration,
    /// Its tags, where they differ from those of the call.
    pub(super) tags: Option<Vec<Box<str>>>,
    /// Whether an invalidation elsewhere has overtaken its load.
    pub(super) is_overtaken: bool,
    /// Which writing of its key the far tier holds of it, if it does.
    pub(super) version: Option<Version>,
}

impl<V> Arrival<V> {
    /// Notes whether its lease still stood, where the far tier said so. A store that failed says nothing of
    /// the value: it may be kept near.
    pub(super) fn settle(&mut self, settled: Option<bool>, grant: &Grant) {
        self.is_overtaken = settled == Some(false);
        self.version = grant.version().filter(|_| settled == Some(true));
    }
}

/// How often to look whether another process's load has ended: soon at first, then ten times a second.
pub(super) fn looks() -> impl Iterator<Item = Duration> + Send {
    let backoff = Backoff::exponential(FIRST_LOOK).with_cap(LAST_LOOK);
    let looks = backoff.delays(fastrand::Rng::new());
    looks.chain(std::iter::repeat(LAST_LOOK))
}

const FIRST_LOOK: Duration = Duration::from_millis(2);
const LAST_LOOK: Duration = Duration::from_millis(100);

/// How a load waits for that of another process: by looks, and, if it takes longer, for word of its end.
struct Waiting<P> {
    pauses: P,
    looked: u32,
    watch: Option<Watch>,
}

/// After so many looks it is worth a subscription.
const SHORT: u32 = 3;

impl<P: Iterator<Item = Duration>> Waiting<P> {
    const fn new(pauses: P) -> Self {
        Self {
            pauses,
            looked: 0,
            watch: None,
        }
    }

    /// Waits until it is time for another look.
    async fn pause<K, V>(&mut self, far: &Far<K, V>, time: &Time, name: &str) {
        self.looked += 1;
        if self.looked >= SHORT && self.watch.is_none() {
            self.watch = far.watch(name).await;
            if self.watch.is_some() {
                // It may have ended before it was listened to.
                return;
            }
        }
        let pause = time.sleep(self.pauses.next().unwrap_or(LAST_LOOK));
        match &mut self.watch {
            None => pause.await,
            Some(watch) => {
                let is_told = tokio::select! {
                    () = watch => true,
                    () = pause => false,
                };
                if is_told {
                    self.watch = None;
                }
            }
        }
    }
}

/// One flight's way to a value: the far tier, another process's load, or its own.
pub(super) struct Production<'a, K, V, S> {
    pub(super) shared: &'a Arc<Shared<K, V, S>>,
    pub(super) key: &'a K,
    pub(super) terms: &'a Terms,
}

impl<K: Key, V: Value, S: LocalStore<K, V>> Production<'_, K, V, S> {
    /// What the far tier holds, if there is one and it holds something.
    pub(super) async fn fetch(&self) -> Option<Arrival<V>> {
        let far = self.shared.far.as_ref()?;
        match self.look(far).await {
            Sight::Value(found) => Some(far_arrival(found)),
            Sight::Leased(_) | Sight::Missing(_) | Sight::Down => None,
        }
    }

    /// What the far tier holds, or what `load` returns.
    pub(super) async fn load<F, Fut, E>(&self, load: F) -> Result<Arrival<V>, E>
    where
        F: FnOnce() -> Fut + Send,
        Fut: Future<Output = Result<V, E>> + Send,
        E: Send,
    {
        let Some(far) = &self.shared.far else {
            return Ok(self.arrival(self.run(load).await?));
        };
        let time = &self.shared.settings.time;
        let deadline = time.now().saturating_add(far.wait());
        let mut waiting = Waiting::new(looks());
        loop {
            let replacing = match self.look(far).await {
                Sight::Value(found) => return Ok(far_arrival(found)),
                Sight::Down => break,
                Sight::Leased(_) if time.now() < deadline => None,
                // Its holder is slow, or gone.
                Sight::Leased(lease) => Some(lease),
                Sight::Missing(seen) => Some(seen),
            };
            if let Some(replacing) = replacing {
                match self.lease(far, &replacing).await {
                    Ok(Some(grant)) => return self.load_under(far, grant, load).await,
                    Ok(None) if time.now() < deadline => {}
                    Ok(None) | Err(_) => break,
                }
            }
            waiting.pause(far, time, &self.terms.name).await;
        }
        Ok(self.arrival(self.run(load).await?))
    }

    async fn look(&self, far: &Far<K, V>) -> Sight<V> {
        let Terms { name, tags, .. } = self.terms;
        let mut sights = far.look(std::slice::from_ref(name), tags).await;
        sights.pop().unwrap_or(Sight::Down)
    }

    async fn lease(&self, far: &Far<K, V>, replacing: &[u8]) -> Result<Option<Grant>, CacheError> {
        let wish = Wish {
            key: &self.terms.name,
            replacing,
            tags: &self.terms.tags,
        };
        let mut grants = far.lease(&[wish]).await?;
        Ok(grants.pop().flatten())
    }

    async fn load_under<F, Fut, E>(
        &self,
        far: &Far<K, V>,
        grant: Grant,
        load: F,
    ) -> Result<Arrival<V>, E>
    where
        F: FnOnce() -> Fut + Send,
        Fut: Future<Output = Result<V, E>> + Send,
        E: Send,
    {
        let time = &self.shared.settings.time;
        let start = time.now();
        let held = Held::new(self.shared, vec![grant]);
        let loaded = held.during(self.run(load)).await;
        let grants = held.release();
        let mut arrival = loaded.map(|value| self.arrival(value));
        let cost = time.now().since(start);
        let kept = arrival
            .as_ref()
            .ok()
            .filter(|arrival| !arrival.ttl.is_zero());
        let end = kept.map(|arrival| (&arrival.value, arrival.ttl, cost));
        let has_end = end.is_some();
        // If a lease cannot be given back, whoever waits loads a little later: the failure is counted.
        let ends: Vec<_> = grants.iter().map(|grant| (grant, end)).collect();
        let settled = far.settle(&ends).await;
        if let Ok(arrival) = &mut arrival
            && has_end
        {
            arrival.settle(settled.ok().map(|settled| settled == [true]), &grants[0]);
        }
        arrival
    }

    /// Loads when it is this load's turn.
    async fn run<F, Fut, E>(&self, load: F) -> Result<V, E>
    where
        F: FnOnce() -> Fut + Send,
        Fut: Future<Output = Result<V, E>> + Send,
    {
        let _turn = self.shared.turn().await;
        let time = &self.shared.settings.time;
        let start = time.now();
        let loaded = load().await;
        self.shared.note_cost(time.now().since(start));
        loaded
    }

    fn arrival(&self, value: V) -> Arrival<V> {
        loaded_arrival(self.shared, self.key, self.terms, value)
    }
}

/// Leases whose load has not ended. If it ends without an outcome, because it panics, takes too long or is
/// dropped, they are given back, so that nobody waits for it.
pub(super) struct Held<K: Key, V: Value, S: LocalStore<K, V>> {
    shared: Arc<Shared<K, V, S>>,
    grants: Vec<Grant>,
}

impl<K: Key, V: Value, S: LocalStore<K, V>> Held<K, V, S> {
    pub(super) fn new(shared: &Arc<Shared<K, V, S>>, grants: Vec<Grant>) -> Self {
        Self {
            shared: Arc::clone(shared),
            grants,
        }
    }

    /// What `load` returns; meanwhile the leases are renewed. One that an invalidation has taken away is not.
    pub(super) async fn during<T>(&self, load: impl Future<Output = T>) -> T {
        let Some(far) = self.shared.far.as_ref().filter(|_| !self.grants.is_empty()) else {
            return load.await;
        };
        let renew = async {
            loop {
                self.shared.settings.time.sleep(far.renewal()).await;
                // Where it fails, there is time for another attempt.
                drop(far.renew_leases(&self.grants).await);
            }
        };
        tokio::select! {
            biased;
            loaded = load => loaded,
            never = renew => never,
        }
    }

    /// The load has ended.
    pub(super) fn release(mut self) -> Vec<Grant> {
        std::mem::take(&mut self.grants)
    }
}

impl<K: Key, V: Value, S: LocalStore<K, V>> Drop for Held<K, V, S> {
    fn drop(&mut self) {
        let grants = std::mem::take(&mut self.grants);
        if grants.is_empty() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let give_back = async move {
            if let Some(far) = &shared.far {
                let ends: Vec<_> = grants.iter().map(|grant| (grant, None)).collect();
                // Where that fails too, others wait as for a slow load: the failure is counted.
                drop(far.settle(&ends).await);
            }
        };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(give_back);
        }
    }
}

/// A value that was loaded.
pub(super) fn loaded_arrival<K: Key, V: Value, S: LocalStore<K, V>>(
    shared: &Shared<K, V, S>,
    key: &K,
    terms: &Terms,
    value: V,
) -> Arrival<V> {
    Arrival {
        ttl: shared.ttl(key, &value, terms.ttl),
        value,
        source: Source::Loaded,
        tags: None,
        is_overtaken: false,
        version: None,
    }
}

/// A value that the far tier held.
pub(super) fn far_arrival<V>(found: Found<V>) -> Arrival<V> {
    Arrival {
        value: found.value,
        source: Source::Far,
        ttl: found.left,
        tags: found.tags,
        is_overtaken: false,
        version: found.version,
    }
}
