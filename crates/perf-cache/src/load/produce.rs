use super::task::Terms;
use crate::Source;
use crate::bounds::{Key, Value};
use crate::far::{Far, Grant, Sight};
use crate::shared::Shared;
use crate::store::LocalStore;
use perf_core::Backoff;
use std::sync::Arc;
use std::time::Duration;

/// A value on its way to those who wait.
#[derive(Debug)]
pub(super) struct Arrival<V> {
    pub(super) value: V,
    pub(super) source: Source,
    /// How long it is fresh; zero if it must not be kept.
    pub(super) ttl: Duration,
    /// Its tags, where they differ from those of the call.
    pub(super) tags: Option<Vec<Box<str>>>,
    /// Whether an invalidation elsewhere has overtaken its load.
    pub(super) is_overtaken: bool,
}

/// How often to look whether another process's load has ended: soon at first, then ten times a second.
const FIRST_LOOK: Duration = Duration::from_millis(2);
const LAST_LOOK: Duration = Duration::from_millis(100);

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
        let name = far.key(self.key).ok()?;
        match far.look(&name, &self.terms.tags).await {
            Sight::Value(value, left, tags) => Some(self.far_arrival(far, value, left, tags)),
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
        let Some((far, name)) = self.far() else {
            return Ok(self.arrival(self.run(load).await?));
        };
        let time = &self.shared.settings.time;
        let deadline = time.now().saturating_add(far.wait());
        let backoff = Backoff::exponential(FIRST_LOOK).with_cap(LAST_LOOK);
        let mut pauses = backoff.delays(fastrand::Rng::new());
        loop {
            let replacing = match far.look(&name, &self.terms.tags).await {
                Sight::Value(value, left, tags) => {
                    return Ok(self.far_arrival(far, value, left, tags));
                }
                Sight::Down => break,
                Sight::Leased(_) if time.now() < deadline => None,
                // Its holder is slow, or gone.
                Sight::Leased(lease) => Some(lease),
                Sight::Missing(seen) => Some(seen),
            };
            if let Some(replacing) = replacing {
                let hold = self.shared.settings.load_timeout.saturating_mul(2);
                match far.lease(&name, &replacing, hold, &self.terms.tags).await {
                    Ok(Some(grant)) => return self.load_under(far, &name, grant, load).await,
                    Ok(None) if time.now() < deadline => {}
                    Ok(None) | Err(_) => break,
                }
            }
            time.sleep(pauses.next().unwrap_or(LAST_LOOK)).await;
        }
        Ok(self.arrival(self.run(load).await?))
    }

    async fn load_under<F, Fut, E>(
        &self,
        far: &Far<K, V>,
        name: &str,
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
        let value = match self.run(load).await {
            Ok(value) => value,
            Err(error) => {
                far.release(name, &grant).await;
                return Err(error);
            }
        };
        let mut arrival = self.arrival(value);
        if arrival.ttl.is_zero() {
            far.release(name, &grant).await;
            return Ok(arrival);
        }
        let cost = time.now().since(start);
        let published = far
            .publish(name, &grant, &arrival.value, arrival.ttl, cost)
            .await;
        // A store that failed says nothing of the value: it may be kept near.
        arrival.is_overtaken = matches!(published, Ok(false));
        arrival.ttl = far.near_ttl(arrival.ttl);
        Ok(arrival)
    }

    /// Loads when it is this load's turn.
    async fn run<F, Fut, E>(&self, load: F) -> Result<V, E>
    where
        F: FnOnce() -> Fut + Send,
        Fut: Future<Output = Result<V, E>> + Send,
    {
        let turns = self.shared.settings.load_slots.clone();
        let _turn = match &turns {
            Some(turns) => turns.acquire().await.ok(),
            None => None,
        };
        self.shared.counters.loads.increment();
        load().await
    }

    fn far(&self) -> Option<(&Far<K, V>, String)> {
        let far = self.shared.far.as_ref()?;
        // A key that is too long was refused when it was asked for.
        Some((far, far.key(self.key).ok()?))
    }

    fn arrival(&self, value: V) -> Arrival<V> {
        Arrival {
            ttl: self.shared.ttl(self.key, &value, self.terms.ttl),
            value,
            source: Source::Loaded,
            tags: None,
            is_overtaken: false,
        }
    }

    fn far_arrival(
        &self,
        far: &Far<K, V>,
        value: V,
        left: Duration,
        tags: Vec<Box<str>>,
    ) -> Arrival<V> {
        Arrival {
            value,
            source: Source::Far,
            ttl: far.near_ttl(left),
            tags: Some(tags),
            is_overtaken: false,
        }
    }
}
