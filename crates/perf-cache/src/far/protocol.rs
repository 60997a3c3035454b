use super::FarTier;
use crate::CacheError;
use crate::envelope::{self, Envelope};
use crate::store::{Lease, LeaseRequest, StoreError};
use crate::time::Time;
use perf_core::Moment;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// The far tier of one cache.
pub(crate) struct Far<K, V> {
    tier: FarTier<K, V>,
    namespace: String,
    time: Time,
    /// Until when reads go without the store, in nanoseconds of the clock.
    cooling_until: AtomicU64,
    pub(crate) hits: AtomicU64,
    pub(crate) misses: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) undecodable: AtomicU64,
}

/// What a reader sees under a key.
#[derive(Debug)]
pub(crate) enum Sight<V> {
    /// A valid value, fresh for that long, with its tags.
    Value(V, Duration, Vec<Box<str>>),
    /// Someone else's lease.
    Leased(Vec<u8>),
    /// Nothing of use; what begins so may be replaced.
    Missing(Vec<u8>),
    /// The store cannot be asked.
    Down,
}

/// The right to publish.
#[derive(Debug)]
pub(crate) struct Grant {
    lease: Lease,
    tags: Vec<Box<str>>,
    generations: Vec<u64>,
}

/// The longest key that is sent to a store, in bytes.
const MAX_KEY: usize = 1_024;
/// The tag that every envelope carries. No user's tag is empty.
const ALL: &str = "";

impl<K, V> Far<K, V> {
    pub(crate) fn new(tier: FarTier<K, V>, namespace: String, time: Time) -> Self {
        Self {
            tier,
            namespace,
            time,
            cooling_until: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            undecodable: AtomicU64::new(0),
        }
    }

    /// The store's name of `key`.
    pub(crate) fn key(&self, key: &K) -> Result<String, CacheError> {
        let name = format!("{}:v:{}", self.namespace, (self.tier.name)(key));
        if name.len() > MAX_KEY {
            return Err(CacheError::KeyTooLong {
                bytes: name.len(),
                limit: MAX_KEY,
            });
        }
        Ok(name)
    }

    /// How long to wait for another process.
    pub(crate) const fn wait(&self) -> Duration {
        self.tier.wait
    }

    /// `ttl`, at most what the near tier may keep.
    pub(crate) fn near_ttl(&self, ttl: Duration) -> Duration {
        self.tier.near_ttl.map_or(ttl, |limit| ttl.min(limit))
    }

    pub(crate) fn is_cooling(&self) -> bool {
        self.time.now().as_nanos() < self.cooling_until.load(Ordering::Relaxed)
    }

    /// Looks under `key`, in one round trip if `tags` are the value's.
    pub(crate) async fn look(&self, key: &str, tags: &[Box<str>]) -> Sight<V> {
        if self.is_cooling() {
            return Sight::Down;
        }
        let asked: Vec<&str> = std::iter::once(ALL)
            .chain(tags.iter().map(AsRef::as_ref))
            .collect();
        let names: Vec<String> = asked.iter().map(|tag| self.tag(tag)).collect();
        let Ok(reading) = self.ask("read", self.tier.store.read(key, &names)).await else {
            return Sight::Down;
        };
        let Some(bytes) = reading.value else {
            count(&self.misses);
            return Sight::Missing(Vec::new());
        };
        if envelope::is_lease(&bytes) {
            return Sight::Leased(bytes);
        }
        let known = asked
            .into_iter()
            .zip(reading.generations)
            .collect::<Vec<_>>();
        match self.open(key, &bytes, &known).await {
            Some((value, left, tags)) => {
                count(&self.hits);
                Sight::Value(value, left, tags)
            }
            None => {
                count(&self.misses);
                Sight::Missing(envelope::seal_of(&bytes).to_vec())
            }
        }
    }

    /// The value of an envelope that is undamaged, of this schema, fresh, and whose tags stand.
    async fn open(
        &self,
        key: &str,
        bytes: &[u8],
        known: &[(&str, Option<u64>)],
    ) -> Option<(V, Duration, Vec<Box<str>>)> {
        let Some(envelope) = Envelope::decode(bytes).filter(|envelope| {
            (envelope.codec, envelope.schema) == (self.tier.codec, self.tier.schema)
        }) else {
            count(&self.undecodable);
            return None;
        };
        let elapsed = self.wall_ms().saturating_sub(envelope.stored_at_ms);
        let left = envelope
            .fresh_for_ms
            .checked_sub(elapsed)
            .filter(|left| *left > 0)?;
        let unknown: Vec<&str> = envelope
            .tags
            .iter()
            .map(|(tag, _)| *tag)
            .filter(|tag| known.iter().all(|(name, _)| name != tag))
            .collect();
        let mut generations = known.to_vec();
        if !unknown.is_empty() {
            let names: Vec<String> = unknown.iter().map(|tag| self.tag(tag)).collect();
            let reading = self
                .ask("read", self.tier.store.read(key, &names))
                .await
                .ok()?;
            generations.extend(unknown.into_iter().zip(reading.generations));
        }
        let stands = |(tag, number): &(&str, u64)| generations.contains(&(*tag, Some(*number)));
        if !envelope.tags.iter().all(stands) {
            return None;
        }
        let Ok(value) = (self.tier.decode)(envelope.payload) else {
            count(&self.undecodable);
            return None;
        };
        let tags = envelope.tags.iter().filter(|(tag, _)| *tag != ALL);
        let tags = tags.map(|(tag, _)| Box::from(*tag)).collect();
        Some((value, Duration::from_millis(left), tags))
    }

    /// Asks to be the one who loads; `None` if someone else is.
    pub(crate) async fn lease(
        &self,
        key: &str,
        replacing: &[u8],
        hold: Duration,
        tags: &[Box<str>],
    ) -> Result<Option<Grant>, CacheError> {
        let lease = envelope::lease(fastrand::u64(..));
        let request = LeaseRequest {
            lease,
            replacing,
            hold,
            tags: &self.fresh_tags(tags),
        };
        let generations = self
            .ask("lease", self.tier.store.lease(key, request))
            .await?;
        Ok(generations.map(|generations| Grant {
            lease,
            tags: tags.into(),
            generations,
        }))
    }

    /// Publishes under a lease; `false` if it was lost, and the value must not be kept anywhere.
    ///
    /// A value that cannot be encoded, or is too large, is not published and may be kept near.
    pub(crate) async fn publish(
        &self,
        key: &str,
        grant: &Grant,
        value: &V,
        ttl: Duration,
        cost: Duration,
    ) -> Result<bool, CacheError> {
        let sealed = self.seal(value, ttl, cost, &grant.tags, &grant.generations);
        let bytes = sealed.as_ref().ok().map(|bytes| (&bytes[..], ttl));
        self.ask("publish", self.tier.store.settle(key, &grant.lease, bytes))
            .await
    }

    /// Gives a lease back without a value.
    pub(crate) async fn release(&self, key: &str, grant: &Grant) {
        // Whoever waits loads a little later if this fails: the failure is counted.
        let _released = self
            .ask("release", self.tier.store.settle(key, &grant.lease, None))
            .await;
    }

    /// Writes a value over whatever lies under `key`.
    pub(crate) async fn put(
        &self,
        key: &str,
        value: &V,
        ttl: Duration,
        tags: &[Box<str>],
    ) -> Result<(), CacheError> {
        let fresh = self.fresh_tags(tags);
        let store = &self.tier.store;
        let generations = self
            .ask("read generations", store.generations(&fresh))
            .await?;
        let bytes = self.seal(value, ttl, Duration::ZERO, tags, &generations)?;
        self.ask("put", store.put(key, &bytes, ttl)).await
    }

    pub(crate) async fn remove(&self, key: &str) -> Result<(), CacheError> {
        self.ask("remove", self.tier.store.remove(key)).await
    }

    /// Invalidates every envelope with one of these tags.
    pub(crate) async fn renew(&self, tags: &[Box<str>]) -> Result<(), CacheError> {
        let fresh = tags.iter().map(|tag| (self.tag(tag), fastrand::u64(..)));
        let fresh: Vec<_> = fresh.collect();
        self.ask("renew", self.tier.store.renew(&fresh)).await
    }

    /// Invalidates every envelope.
    pub(crate) async fn clear(&self) -> Result<(), CacheError> {
        self.renew(&[ALL.into()]).await
    }

    fn seal(
        &self,
        value: &V,
        ttl: Duration,
        cost: Duration,
        tags: &[Box<str>],
        generations: &[u64],
    ) -> Result<Vec<u8>, CacheError> {
        let payload =
            (self.tier.encode)(value).map_err(|error| CacheError::Unencodable(Arc::new(error)))?;
        if payload.len() > self.tier.max_bytes {
            return Err(CacheError::TooLarge {
                bytes: payload.len(),
                limit: self.tier.max_bytes,
            });
        }
        let tags = std::iter::once(ALL).chain(tags.iter().map(AsRef::as_ref));
        let envelope = Envelope {
            seal: fastrand::u64(..),
            codec: self.tier.codec,
            schema: self.tier.schema,
            stored_at_ms: self.wall_ms(),
            fresh_for_ms: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
            cost_us: u32::try_from(cost.as_micros()).unwrap_or(u32::MAX),
            tags: tags.zip(generations.iter().copied()).collect(),
            payload: &payload,
        };
        Ok(envelope.encode())
    }

    /// The names of the tags and of `ALL`, each with a new generation in case it has none.
    fn fresh_tags(&self, tags: &[Box<str>]) -> Vec<(String, u64)> {
        let all = std::iter::once(ALL).chain(tags.iter().map(AsRef::as_ref));
        all.map(|tag| (self.tag(tag), fastrand::u64(..))).collect()
    }

    fn tag(&self, tag: &str) -> String {
        format!("{}:t:{tag}", self.namespace)
    }

    fn wall_ms(&self) -> u64 {
        let since = self.time.wall().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
    }

    /// Waits for the store, no longer than allowed. After a failure, reads go without it for a while.
    async fn ask<T>(
        &self,
        operation: &'static str,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, CacheError> {
        let limit = self.time.sleep(self.tier.timeout);
        let error = tokio::select! {
            biased;
            answer = answer => match answer {
                Ok(answer) => return Ok(answer),
                Err(source) => CacheError::Far { operation, source },
            },
            () = limit => CacheError::FarTimeout { operation },
        };
        count(&self.failures);
        let until: Moment = self.time.now().saturating_add(self.tier.cool_down);
        self.cooling_until
            .fetch_max(until.as_nanos(), Ordering::Relaxed);
        Err(error)
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
