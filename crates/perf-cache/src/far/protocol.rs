use super::FarTier;
use super::known::Known;
use crate::CacheError;
use crate::envelope::{self, Envelope};
use crate::store::{Lease, LeaseRequest, Settlement, Watch};
use crate::time::Time;
use crate::versions::Version;
use parking_lot::Mutex;
use perf_core::clock::Sleep;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// The far tier of one cache.
pub(crate) struct Far<K, V> {
    pub(super) tier: FarTier<K, V>,
    namespace: String,
    /// What every key of a value begins with, and every tag's.
    prefixes: [String; 2],
    pub(super) time: Time,
    /// Whether invalidations wait to be told to the store. Reads go without it until they are.
    pub(crate) debts: Arc<AtomicBool>,
    /// Until when reads go without the store, in nanoseconds of the clock.
    pub(super) cooling_until: AtomicU64,
    /// The limit of the last request that was answered in time.
    pub(super) unreached: Mutex<Option<Sleep>>,
    pub(crate) hits: AtomicU64,
    pub(crate) misses: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) undecodable: AtomicU64,
}

/// What a reader sees under a key.
#[derive(Debug)]
pub(crate) enum Sight<V> {
    Value(Found<V>),
    /// Someone else's lease.
    Leased(Vec<u8>),
    /// Nothing of use; what begins so may be replaced.
    Missing(Vec<u8>),
    /// The store cannot be asked.
    Down,
}

/// A valid value.
#[derive(Debug)]
pub(crate) struct Found<V> {
    pub(crate) value: V,
    /// For how long it is fresh.
    pub(crate) left: Duration,
    /// Its tags, where they are not those it was asked for with.
    pub(crate) tags: Option<Vec<Box<str>>>,
    pub(crate) version: Option<Version>,
}

/// A wish to be the one who loads a key.
#[derive(Debug)]
pub(crate) struct Wish<'a> {
    pub(crate) key: &'a str,
    /// What was seen under the key.
    pub(crate) replacing: &'a [u8],
    pub(crate) tags: &'a [Box<str>],
}

/// The right to publish under a key.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) key: String,
    /// The seal of what will be published.
    seal: u64,
    lease: Lease,
    tags: Vec<Box<str>>,
    generations: Vec<u64>,
}

/// What a load gave for a granted key: a value, for how long it is fresh, and what it cost.
pub(crate) type Yield<'a, V> = (&'a V, Duration, Duration);

impl Grant {
    /// Which writing of the key it will be.
    pub(crate) const fn version(&self) -> Option<Version> {
        Version::of_seal(self.seal)
    }
}

/// The longest key that is sent to a store, in bytes.
const MAX_KEY: usize = 1_024;
/// The tag that every envelope carries. No user's tag is empty.
const ALL: &str = "";

impl<K, V> Far<K, V> {
    pub(crate) fn new(tier: FarTier<K, V>, namespace: &str, time: Time) -> Self {
        Self {
            tier,
            prefixes: ['v', 't'].map(|kind| format!("{namespace}:{kind}:")),
            namespace: namespace.to_owned(),
            time,
            debts: Arc::default(),
            cooling_until: AtomicU64::new(0),
            unreached: Mutex::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            undecodable: AtomicU64::new(0),
        }
    }

    /// The store's name of `key`.
    pub(crate) fn key(&self, key: &K) -> Result<String, CacheError> {
        let name = [self.key_prefix(), &(self.tier.name)(key)].concat();
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

    /// Looks under the keys: in one round trip if `tags` are all those of the values, else in two.
    pub(crate) async fn look<T: AsRef<str> + Sync>(
        &self,
        keys: &[String],
        tags: &[T],
    ) -> Vec<Sight<V>> {
        let down = || keys.iter().map(|_| Sight::Down).collect();
        if self.is_cooling() {
            return down();
        }
        let asked = || std::iter::once(ALL).chain(tags.iter().map(AsRef::as_ref));
        let names: Vec<String> = asked().map(|tag| self.tag(tag)).collect();
        let Ok(reading) = self.ask("read", self.tier.store.read(keys, &names)).await else {
            return down();
        };
        let envelopes: Vec<_> = reading
            .values
            .iter()
            .map(|v| self.open(v.as_deref()))
            .collect();
        let mut known = Known::default();
        known.learn(asked(), reading.generations);
        if self.complete(&mut known, &envelopes).await.is_err() {
            return down();
        }
        let values = reading.values.iter().zip(envelopes);
        values
            .map(|(bytes, envelope)| self.sight(bytes.as_deref(), envelope, &known, asked()))
            .collect()
    }

    /// An envelope that is undamaged, of this schema, and fresh.
    fn open<'a>(&self, bytes: Option<&'a [u8]>) -> Option<(Envelope<'a>, Duration)> {
        let bytes = bytes.filter(|bytes| !envelope::is_lease(bytes))?;
        let envelope = Envelope::decode(bytes).filter(|envelope| {
            (envelope.codec, envelope.schema) == (self.tier.codec, self.tier.schema)
        });
        if envelope.is_none() {
            count(&self.undecodable);
        }
        let envelope = envelope?;
        let elapsed = self.wall_ms().saturating_sub(envelope.stored_at_ms);
        let left = envelope.fresh_for_ms.checked_sub(elapsed)?;
        (left > 0).then(|| (envelope, Duration::from_millis(left)))
    }

    /// Asks for the generations that the envelopes carry and nobody has asked for.
    async fn complete<'a>(
        &self,
        known: &mut Known<'a>,
        envelopes: &[Option<(Envelope<'a>, Duration)>],
    ) -> Result<(), CacheError> {
        let tags = envelopes.iter().flatten();
        let tags = tags.flat_map(|(envelope, _)| envelope.tags.iter().map(|(tag, _)| *tag));
        self.know(known, tags.collect()).await
    }

    /// Asks for the generations of those of the tags that are not known.
    pub(super) async fn know<'a>(
        &self,
        known: &mut Known<'a>,
        mut unknown: Vec<&'a str>,
    ) -> Result<(), CacheError> {
        unknown.retain(|tag| !known.has(tag));
        if unknown.is_empty() {
            return Ok(());
        }
        unknown.sort_unstable();
        unknown.dedup();
        let names: Vec<String> = unknown.iter().map(|tag| self.tag(tag)).collect();
        let reading = self.ask("read", self.tier.store.read(&[], &names)).await?;
        known.learn(unknown.into_iter(), reading.generations);
        Ok(())
    }

    fn sight<'a>(
        &self,
        bytes: Option<&[u8]>,
        envelope: Option<(Envelope<'_>, Duration)>,
        known: &Known<'_>,
        asked: impl Iterator<Item = &'a str>,
    ) -> Sight<V> {
        match bytes {
            Some(bytes) if envelope::is_lease(bytes) => return Sight::Leased(bytes.to_vec()),
            _ => {}
        }
        match envelope.and_then(|(envelope, left)| self.value(&envelope, left, known, asked)) {
            Some(found) => {
                count(&self.hits);
                found
            }
            None => {
                count(&self.misses);
                Sight::Missing(envelope::seal_of(bytes.unwrap_or_default()).to_vec())
            }
        }
    }

    /// The value of an envelope whose tags stand.
    fn value<'a>(
        &self,
        envelope: &Envelope<'_>,
        left: Duration,
        known: &Known<'_>,
        asked: impl Iterator<Item = &'a str>,
    ) -> Option<Sight<V>> {
        if !known.confirms(&envelope.tags) {
            return None;
        }
        let Ok(value) = (self.tier.decode)(envelope.payload) else {
            count(&self.undecodable);
            return None;
        };
        let tags = envelope.tags.iter().map(|(tag, _)| *tag);
        let others = || tags.clone().filter(|tag| *tag != ALL);
        Some(Sight::Value(Found {
            value,
            left,
            tags: (!tags.clone().eq(asked)).then(|| others().map(Box::from).collect()),
            version: Version::of_seal(envelope.seal),
        }))
    }

    /// Asks to be the one who loads these keys; `None` where someone else is.
    pub(crate) async fn lease(
        &self,
        wishes: &[Wish<'_>],
    ) -> Result<Vec<Option<Grant>>, CacheError> {
        let requests = wishes.iter().map(|wish| LeaseRequest {
            key: wish.key,
            lease: envelope::lease(fastrand::u64(..)),
            replacing: wish.replacing,
        });
        let requests: Vec<_> = requests.collect();
        let mut tags: Vec<&str> = wishes.iter().flat_map(|wish| texts(wish.tags)).collect();
        tags.sort_unstable();
        tags.dedup();
        let fresh = self.fresh_tags(tags.iter().copied());
        let leased = self
            .ask(
                "lease",
                self.tier.store.lease(&requests, self.tier.lease, &fresh),
            )
            .await?;
        let names = std::iter::once(ALL).chain(tags);
        let known: HashMap<&str, u64> = names.zip(leased.generations).collect();
        let grant = |(wish, request): (&Wish<'_>, LeaseRequest<'_>)| Grant {
            key: wish.key.to_owned(),
            seal: new_seal(),
            lease: request.lease,
            tags: wish.tags.into(),
            generations: std::iter::once(ALL)
                .chain(texts(wish.tags))
                .map(|tag| known.get(tag).copied().unwrap_or_default())
                .collect(),
        };
        let grants = wishes.iter().zip(requests).zip(leased.granted);
        Ok(grants
            .map(|(pair, granted)| granted.then(|| grant(pair)))
            .collect())
    }

    /// What is ready when the lease under `key` has ended, where the store tells.
    pub(crate) async fn watch(&self, key: &str) -> Option<Watch> {
        let watch = self.ask("listen", self.tier.store.watch(key)).await;
        watch.ok().flatten()
    }

    /// How often leases are renewed.
    pub(crate) fn renewal(&self) -> Duration {
        self.tier.lease / 3
    }

    /// Lets leases that still stand last on: each is settled with itself.
    pub(crate) async fn renew_leases(&self, grants: &[Grant]) -> Result<(), CacheError> {
        let settlements = grants.iter().map(|grant| Settlement {
            key: &grant.key,
            lease: grant.lease,
            value: Some((&grant.lease, self.tier.lease)),
        });
        let settlements: Vec<_> = settlements.collect();
        let renewed = self.ask("renew leases", self.tier.store.settle(&settlements));
        renewed.await.map(drop)
    }

    /// Ends leases, with values or without; says of each whether it still stood. If it did not, the value
    /// must not be kept anywhere.
    ///
    /// A value that cannot be encoded, or is too large, is not published and may be kept near.
    pub(crate) async fn settle(
        &self,
        ends: &[(&Grant, Option<Yield<'_, V>>)],
    ) -> Result<Vec<bool>, CacheError> {
        let sealed = ends.iter().map(|(grant, value)| {
            let (value, ttl, cost) = (*value)?;
            let payload = self.payload(value).ok()?;
            Some((self.seal(grant, &payload, ttl, cost), ttl))
        });
        let sealed: Vec<Option<(Vec<u8>, Duration)>> = sealed.collect();
        let settlements = ends
            .iter()
            .zip(&sealed)
            .map(|((grant, _), value)| Settlement {
                key: &grant.key,
                lease: grant.lease,
                value: value.as_ref().map(|(bytes, ttl)| (&bytes[..], *ttl)),
            });
        let settlements: Vec<_> = settlements.collect();
        self.ask("settle", self.tier.store.settle(&settlements))
            .await
    }

    /// Writes a value over whatever lies under `key`; none if a later invalidation or write has overtaken
    /// it.
    ///
    /// It takes a lease from whoever holds one, and settles it. A single unconditional write would be one
    /// request less in flight and could not be taken back: a store that stood still, or a connection that
    /// was given up, may apply it after an invalidation that came later.
    pub(crate) async fn put(
        &self,
        key: &str,
        value: &V,
        ttl: Duration,
        tags: &[Box<str>],
    ) -> Result<Option<Version>, CacheError> {
        let fresh = self.fresh_tags(texts(tags));
        let store = &self.tier.store;
        let mut grant = Grant {
            key: key.to_owned(),
            seal: new_seal(),
            lease: envelope::lease(fastrand::u64(..)),
            tags: tags.into(),
            generations: Vec::new(),
        };
        let hold = self.tier.timeout.saturating_mul(2);
        // First of all: what cannot be written must not take the place of what is there.
        let payload = self.payload(value)?;
        let begin = async {
            tokio::try_join!(
                store.put(key, &grant.lease, hold),
                store.generations(&fresh)
            )
        };
        (_, grant.generations) = self.ask("begin to put", begin).await?;
        let bytes = self.seal(&grant, &payload, ttl, Duration::ZERO);
        let settlement = Settlement {
            key,
            lease: grant.lease,
            value: Some((&bytes, ttl)),
        };
        let settled = self.ask("put", store.settle(&[settlement])).await?;
        Ok(grant.version().filter(|_| settled == [true]))
    }

    pub(crate) async fn remove(&self, keys: &[String]) -> Result<(), CacheError> {
        self.ask("remove", self.tier.store.remove(keys)).await
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

    fn payload(&self, value: &V) -> Result<Vec<u8>, CacheError> {
        let payload =
            (self.tier.encode)(value).map_err(|error| CacheError::Unencodable(Arc::new(error)))?;
        if payload.len() > self.tier.max_bytes {
            return Err(CacheError::TooLarge {
                bytes: payload.len(),
                limit: self.tier.max_bytes,
            });
        }
        Ok(payload)
    }

    fn seal(&self, grant: &Grant, payload: &[u8], ttl: Duration, cost: Duration) -> Vec<u8> {
        let tags = std::iter::once(ALL).chain(texts(&grant.tags));
        let envelope = Envelope {
            seal: grant.seal,
            codec: self.tier.codec,
            schema: self.tier.schema,
            stored_at_ms: self.wall_ms(),
            fresh_for_ms: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
            cost_us: u32::try_from(cost.as_micros()).unwrap_or(u32::MAX),
            tags: tags.zip(grant.generations.iter().copied()).collect(),
            payload,
        };
        envelope.encode()
    }

    /// The names of the tags and of `ALL`, each with a new generation in case it has none.
    fn fresh_tags<'a>(&self, tags: impl Iterator<Item = &'a str>) -> Vec<(String, u64)> {
        let all = std::iter::once(ALL).chain(tags);
        all.map(|tag| (self.tag(tag), fastrand::u64(..))).collect()
    }

    pub(super) fn seat(&self, seat: usize) -> String {
        format!("{}:s:{seat}", self.namespace)
    }

    pub(super) fn clear_tag(&self) -> String {
        self.tag(ALL)
    }

    pub(super) fn key_prefix(&self) -> &str {
        &self.prefixes[0]
    }

    fn tag(&self, tag: &str) -> String {
        [&*self.prefixes[1], tag].concat()
    }

    fn wall_ms(&self) -> u64 {
        let since = self.time.wall().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
    }
}

fn texts(tags: &[Box<str>]) -> impl Iterator<Item = &str> {
    tags.iter().map(AsRef::as_ref)
}

/// The seal of a writing; zero means that there is none.
fn new_seal() -> u64 {
    fastrand::u64(1..)
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
