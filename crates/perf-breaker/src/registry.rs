//! Breakers by key: one for each upstream, tenant or route, made when it is first asked for.
//!
//! Keys come from outside and have no end, so a registry holds a bounded number of breakers and forgets
//! those that it need not remember. It forgets without loss: a breaker goes only if nobody holds it, nor a
//! permit of it, and if it is closed with an empty window, because a new one in its place then decides
//! about every future call exactly as it would have. The usual alternative, to forget the least recently
//! used, closes an open breaker just because others are called more often.
//!
//! Handles leave the registry only under the lock under which breakers leave it, and while a breaker has
//! one it stays. So no outcome is ever recorded into a breaker that nobody will ask again.

mod inspect;
mod shard;

use crate::breaker::{
    AnyError, BreakerBuilder, BreakerSnapshot, Call, CircuitBreaker, Classify, State,
};
use crate::error::{ConfigError, GuardError};
use crate::name::Name;
use crate::sync::{AtomicU64, Mutex, Ordering::Relaxed, RwLock, hasher};
use perf_core::Registry;
use shard::{Found, Shard};
use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

/// Breakers by key, bounded in number. Clones share them.
///
/// A breaker is made when its key is first asked for, and forgotten once its room is needed and it is
/// *fresh*: closed and not re-admitting, with an empty window, and held by nobody. A time window is empty
/// when no call has ended for its length. A count window never empties by itself, so a registry of those
/// keeps each breaker until it is reset: prefer time windows, which are the default.
///
/// Keys that come when the room is taken by breakers that must stay share one more breaker, the
/// *overflow*. It is judged like any other: in an outage of ten thousand upstreams it opens as well, and
/// one bad upstream among many does not open it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_breaker::{BreakerRegistry, CircuitBreaker, State};
///
/// let hosts = BreakerRegistry::new(CircuitBreaker::builder("hosts"), 10_000)?;
/// let reply = hosts.call("a.example", async { Ok::<_, std::io::Error>(200) }).await?;
/// assert_eq!(reply, 200);
/// for _ in 0..5 {
///     let reply = hosts.call("b.example", async { Err::<u16, _>("unreachable") }).await;
///     assert!(reply.is_err());
/// }
/// assert_eq!(hosts.get("a.example").state(), State::Closed);
/// assert_eq!(hosts.get("b.example").state(), State::Open);
/// # Ok(())
/// # }
/// ```
pub struct BreakerRegistry<K = String, C = AnyError> {
    shared: Arc<Shared<K, C>>,
}

struct Shared<K, C> {
    name: Name,
    template: RwLock<BreakerBuilder<C>>,
    hasher: ahash::RandomState,
    shards: Box<[Mutex<Shard<K, C>>]>,
    overflow: CircuitBreaker<C>,
    evicted: AtomicU64,
    overflowed: AtomicU64,
}

/// The most keys that one registry can hold.
const MOST_KEYS: u64 = 1 << 24;
/// Below this, a registry has one shard and its capacity is exact to the key.
const SPLIT_FROM: usize = 1_024;
const SHARDS: usize = 16;

impl<K, C> BreakerRegistry<K, C>
where
    K: Clone + Eq + Hash + fmt::Display,
    C: Clone,
{
    /// A registry of at most `capacity` breakers, 1 to 16,777,216, each built as `template` says and named
    /// after its key. From 1,024 on, the capacity is divided among 16 parts by the keys' hashes, and a part
    /// may be full a few per cent before the whole is.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] if the capacity or a setting of the template is out of range.
    pub fn new(template: BreakerBuilder<C>, capacity: usize) -> Result<Self, ConfigError> {
        let out_of_range = ConfigError::Range {
            setting: "capacity",
            value: capacity as u64,
            least: 1,
            most: MOST_KEYS,
        };
        if capacity == 0 || capacity as u64 > MOST_KEYS {
            return Err(out_of_range);
        }
        let shards = if capacity < SPLIT_FROM { 1 } else { SHARDS };
        let each = capacity / shards;
        let name = template.name().clone();
        let overflow = template
            .clone()
            .named(format!("{name} (overflow)"))
            .build()?;
        let shared = Shared {
            name,
            template: RwLock::new(template),
            hasher: hasher(),
            shards: (0..shards).map(|_| Mutex::new(Shard::new(each))).collect(),
            overflow,
            evicted: AtomicU64::new(0),
            overflowed: AtomicU64::new(0),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// The key's breaker, made if there is none. While the handle lives, the registry keeps the breaker.
    ///
    /// # Panics
    ///
    /// Never: the template was checked when the registry was made.
    pub fn get<Q>(&self, key: &Q) -> CircuitBreaker<C>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let build = |key: &K| {
            let template = self.shared.template.read().clone();
            template.named(key.to_string()).build()
        };
        self.find(key, build, false)
            .expect("the template has been checked")
    }

    /// As [`get`](Self::get); a breaker that is not there yet is built as `settings` say, and
    /// [`reconfigure`](Self::reconfigure) leaves it alone.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] if a breaker has to be built and a setting is out of range.
    pub fn get_with<Q>(
        &self,
        key: &Q,
        settings: &BreakerBuilder<C>,
    ) -> Result<CircuitBreaker<C>, ConfigError>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let build = |key: &K| settings.clone().named(key.to_string()).build();
        self.find(key, build, true)
    }

    /// Awaits `future` if the key's breaker lets it pass.
    ///
    /// # Errors
    ///
    /// As [`CircuitBreaker::call`].
    ///
    /// # Panics
    ///
    /// As [`CircuitBreaker::call`].
    ///
    /// # Cancel safety
    ///
    /// As [`CircuitBreaker::call`].
    pub fn call<T, E, F, Q>(&self, key: &Q, future: F) -> Call<'static, F, C>
    where
        F: Future<Output = Result<T, E>>,
        C: Classify<T, E>,
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        self.get(key).call_owned(future)
    }

    /// As [`call`](Self::call), by a breaker built as `settings` say if there is none yet, and with a
    /// `fallback` that is asked for a result if there is none.
    ///
    /// # Errors
    ///
    /// What `fallback` returns. Settings that cannot work are reported to it as
    /// [`GuardError::Misconfigured`], and the call is not made.
    ///
    /// # Cancel safety
    ///
    /// As [`CircuitBreaker::call`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use perf_breaker::{BreakerRegistry, CircuitBreaker};
    ///
    /// let tenants = BreakerRegistry::<String>::new(CircuitBreaker::builder("tenants"), 1_000)?;
    /// let strict = CircuitBreaker::builder("").consecutive_failures(1);
    /// for _ in 0..2 {
    ///     let price = tenants
    ///         .call_or_else("acme", &strict, async { Err("down") }, |_| async { Ok(7) })
    ///         .await;
    ///     assert_eq!(price, Ok(7));
    /// }
    /// assert_eq!(tenants.snapshots()[0].1.rejected, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn call_or_else<T, E, F, G, H, Q>(
        &self,
        key: &Q,
        settings: &BreakerBuilder<C>,
        future: F,
        fallback: G,
    ) -> Result<T, GuardError<E>>
    where
        F: Future<Output = Result<T, E>>,
        C: Classify<T, E>,
        G: FnOnce(GuardError<E>) -> H,
        H: Future<Output = Result<T, GuardError<E>>>,
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        match self.get_with(key, settings) {
            Ok(breaker) => breaker.call_or_else(future, fallback).await,
            Err(error) => fallback(error.into()).await,
        }
    }

    /// Every key with its breaker's state and counts.
    #[must_use]
    pub fn snapshots(&self) -> Vec<(K, BreakerSnapshot)> {
        let each = |shard: &Shard<K, C>, all: &mut Vec<_>| {
            all.extend(
                shard
                    .iter()
                    .map(|(key, breaker)| (key.clone(), breaker.snapshot())),
            );
        };
        self.shared.collect(each)
    }

    /// Lets every breaker, and those still to be made, decide by `settings` from now on; see
    /// [`CircuitBreaker::reconfigure`]. Breakers with settings of their own keep them.
    ///
    /// # Errors
    ///
    /// As [`CircuitBreaker::reconfigure`]; nothing has changed then.
    ///
    /// ```
    /// # fn main() -> Result<(), perf_breaker::ConfigError> {
    /// use perf_breaker::{BreakerRegistry, CircuitBreaker, State};
    ///
    /// let hosts = BreakerRegistry::<String>::new(CircuitBreaker::builder("hosts"), 100)?;
    /// let breaker = hosts.get("a.example");
    /// hosts.reconfigure(CircuitBreaker::builder("hosts").consecutive_failures(1))?;
    /// breaker.admit().unwrap().failure();
    /// assert_eq!(breaker.state(), State::Open);
    /// # Ok(())
    /// # }
    /// ```
    pub fn reconfigure(&self, settings: BreakerBuilder<C>) -> Result<(), ConfigError> {
        // The lock that `get` reads the template under: none is built of the old one from here on.
        let mut template = self.shared.template.write();
        self.shared.overflow.reconfigure(&settings)?;
        *template = template.with_settings_of(&settings);
        drop(template);
        for shard in &self.shared.shards {
            shard.lock().reconfigure(&settings);
        }
        Ok(())
    }

    /// Gives one key's breaker settings of its own, which [`reconfigure`](Self::reconfigure) then leaves
    /// alone.
    ///
    /// # Errors
    ///
    /// As [`CircuitBreaker::reconfigure`].
    pub fn reconfigure_one<Q>(
        &self,
        key: &Q,
        settings: &BreakerBuilder<C>,
    ) -> Result<(), ConfigError>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        self.get_with(key, settings)?.reconfigure(settings)?;
        self.shared.shard(key).lock().disown(key);
        Ok(())
    }

    /// Forgets every breaker that is fresh, and says how many those were. Nobody needs to call it: a breaker
    /// goes when its room is needed.
    pub fn evict_fresh(&self) -> usize {
        let sweep = |shard: &Mutex<Shard<K, C>>| shard.lock().evict_fresh();
        let evicted = self.shared.shards.iter().map(sweep).sum();
        self.shared.evicted.fetch_add(evicted as u64, Relaxed);
        evicted
    }

    /// How many breakers there are, the overflow not among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared
            .shards
            .iter()
            .map(|shard| shard.lock().len())
            .sum()
    }

    /// Whether there is no breaker.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Shows the registry, not each breaker, in `registry` for as long as it lives.
    pub fn register(&self, registry: &Registry)
    where
        K: Send + 'static,
        C: Send + Sync + 'static,
    {
        registry.register(&self.shared);
    }

    fn find<Q>(
        &self,
        key: &Q,
        build: impl FnOnce(&K) -> Result<CircuitBreaker<C>, ConfigError>,
        own: bool,
    ) -> Result<CircuitBreaker<C>, ConfigError>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let found = self.shared.shard(key).lock().find(key, build, own)?;
        Ok(match found {
            Found::There(breaker) => breaker,
            Found::InPlaceOfAnother(breaker) => {
                self.shared.evicted.fetch_add(1, Relaxed);
                breaker
            }
            Found::NoRoom => {
                self.shared.overflowed.fetch_add(1, Relaxed);
                self.shared.overflow.clone()
            }
        })
    }
}

impl<K, C> Shared<K, C> {
    fn shard<Q: Hash + ?Sized>(&self, key: &Q) -> &Mutex<Shard<K, C>> {
        // The table inside takes the hash's other end.
        let hash = self.hasher.hash_one(key) >> 32;
        let index = usize::try_from(hash).unwrap_or(0) % self.shards.len();
        &self.shards[index]
    }

    fn collect<T>(&self, each: impl Fn(&Shard<K, C>, &mut Vec<T>)) -> Vec<T> {
        let mut all = Vec::new();
        for shard in &self.shards {
            each(&shard.lock(), &mut all);
        }
        all
    }

    fn open(&self) -> usize {
        let is_open = |breaker: &CircuitBreaker<C>| breaker.state() == State::Open;
        let count = |shard: &Mutex<Shard<K, C>>| {
            let shard = shard.lock();
            shard.iter().filter(|(_, breaker)| is_open(breaker)).count()
        };
        self.shards.iter().map(count).sum::<usize>() + usize::from(is_open(&self.overflow))
    }
}

impl<K, C> Clone for BreakerRegistry<K, C> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<K, C> fmt::Debug for BreakerRegistry<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerRegistry")
            .field("name", &self.shared.name)
            .finish_non_exhaustive()
    }
}
