use crate::bounds::{Key, Value};
use crate::coherence::{Coherence, Coherent};
use crate::expiry::{Refresh, Windows};
use crate::far::{Far, FarTier};
use crate::near::NearTier;
use crate::shared::{Settings, Shared, TtlBy};
use crate::store::{Capacity, LocalStore, QuickStore};
use crate::time::Time;
use crate::versions::Versions;
use crate::{Cache, CacheError};
use perf_core::{Clock, CoarseClock};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// Builds a [`Cache`].
///
/// | setting | default |
/// |---|---|
/// | capacity | 100,000 entries |
/// | time to live | 5 min |
/// | jitter | 0.1 |
/// | a load may take | 30 s |
/// | a caller waits | as long as the load may take |
/// | loads at a time | unlimited |
/// | a load nobody waits for | goes on |
///
/// ```
/// use perf_cache::Cache;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), perf_cache::CacheError> {
/// let pages: Cache<String, String> = Cache::builder("pages")
///     .ttl(Duration::from_secs(60))
///     .max_weight(64 << 20, |url: &String, page: &String| (url.len() + page.len()) as u64)
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct CacheBuilder<K, V> {
    name: Cow<'static, str>,
    capacity: Capacity<K, V>,
    time: Option<Time>,
    ttl: Duration,
    jitter: f64,
    load_timeout: Duration,
    wait_timeout: Option<Duration>,
    max_loads: Option<NonZeroU32>,
    cancel: CancelPolicy,
    runtime: Option<Handle>,
    windows: Windows,
    refresh_after: Option<f64>,
    refresh_beta: Option<f64>,
    ttl_by: Option<TtlBy<K, V>>,
    absent_ttl: Option<TtlBy<K, V>>,
    far: Option<FarTier<K, V>>,
    coherence: Option<Coherence<K>>,
    events: Vec<(Box<str>, Vec<Box<str>>)>,
}

/// What becomes of a load when all its callers have left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CancelPolicy {
    /// It goes on and its value is kept: the next caller finds it.
    #[default]
    Detach,
    /// It is dropped at its next await. One that an invalidation overtook goes on all the same.
    WhenAbandoned,
}

const DEFAULT_ENTRIES: u64 = 100_000;

impl<K, V> CacheBuilder<K, V> {
    pub(crate) const fn new(name: Cow<'static, str>) -> Self {
        Self {
            name,
            capacity: Capacity::Entries(DEFAULT_ENTRIES),
            time: None,
            ttl: Duration::from_secs(300),
            jitter: 0.1,
            load_timeout: Duration::from_secs(30),
            wait_timeout: None,
            max_loads: None,
            cancel: CancelPolicy::Detach,
            runtime: None,
            windows: Windows::CLOSED,
            refresh_after: None,
            refresh_beta: None,
            ttl_by: None,
            absent_ttl: None,
            far: None,
            coherence: None,
            events: Vec::new(),
        }
    }

    /// Holds at most `entries` entries.
    pub fn max_entries(mut self, entries: u64) -> Self {
        self.capacity = Capacity::Entries(entries);
        self
    }

    /// Holds entries of at most `limit` in total, as `weigher` weighs them: usually bytes.
    ///
    /// The weigher must say the same of the same entry each time. An entry of up to a twentieth of the
    /// limit is always kept; how much heavier it may be is the engine's: with the default one, 0.9 times
    /// the limit divided by the number of shards, which is four for each core and at most 16. What is
    /// heavier still is not kept, and counted as [`oversized`](crate::CacheStats::oversized).
    pub fn max_weight(
        mut self,
        limit: u64,
        weigher: impl Fn(&K, &V) -> u64 + Send + Sync + 'static,
    ) -> Self {
        self.capacity = Capacity::Weight {
            limit,
            weigher: Arc::new(weigher),
        };
        self
    }

    /// How long an entry is fresh: at least 8.4 ms, at most 104 days.
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Shortens each time to live by a random share of up to `share`, 0 to below 1, so that entries
    /// stored together do not expire together.
    pub const fn jitter(mut self, share: f64) -> Self {
        self.jitter = share;
        self
    }

    /// How long a load may take, waiting for its turn included. Then it is dropped.
    pub const fn load_timeout(mut self, limit: Duration) -> Self {
        self.load_timeout = limit;
        self
    }

    /// How long a caller waits for a load, which goes on without it. A caller outside any runtime is
    /// woken by the timer of the one that [`runtime`](Self::runtime) gave.
    pub const fn wait_timeout(mut self, limit: Duration) -> Self {
        self.wait_timeout = Some(limit);
        self
    }

    /// How many loads run at a time. Others wait for their turn.
    pub const fn max_loads(mut self, loads: NonZeroU32) -> Self {
        self.max_loads = Some(loads);
        self
    }

    /// What becomes of a load when all its callers have left.
    pub const fn cancel_policy(mut self, policy: CancelPolicy) -> Self {
        self.cancel = policy;
        self
    }

    /// Runs loads on this runtime instead of the one of the caller who starts them.
    ///
    /// A load lives as long as its runtime. Give one where callers come from short-lived runtimes, or
    /// from none.
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// How long beyond its time to live a value is served while a load runs in the background. Default: 0.
    ///
    /// No caller waits then, and none sees the load's error.
    pub const fn stale_while_revalidate(mut self, window: Duration) -> Self {
        self.windows.revalidate = window;
        self
    }

    /// How long beyond its time to live a value is served when a load fails. Default: 0.
    ///
    /// What was invalidated is never served, however the load ends.
    pub const fn stale_if_error(mut self, window: Duration) -> Self {
        self.windows.error = window;
        self
    }

    /// How long a caller waits before it takes the value that
    /// [`stale_if_error`](Self::stale_if_error) would give it; the load goes on. Default: no limit.
    pub const fn soft_timeout(mut self, limit: Duration) -> Self {
        self.windows.soft = Some(limit);
        self
    }

    /// How long after a failed load no other of the same key is started, while a stale value serves.
    /// Default: 0.
    pub const fn rest_after_failure(mut self, rest: Duration) -> Self {
        self.windows.rest = rest;
        self
    }

    /// Loads an entry anew when it is read after this share of its time to live, above 0 and below 1:
    /// often read entries then never expire, and nobody waits for them. Default: off.
    ///
    /// [`get_or_load`](Cache::get_or_load) and its like refresh; other reads find the value as long as it
    /// lives. One load runs behind the first such read; if it fails, the value stays for its time.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use perf_cache::Cache;
    /// use perf_core::ManualClock;
    /// use std::convert::Infallible;
    /// use std::time::Duration;
    ///
    /// let clock = ManualClock::new();
    /// let rates: Cache<String, u32> = Cache::builder("rates")
    ///     .ttl(Duration::from_secs(100))
    ///     .eager_refresh(0.8)
    ///     .clock(clock.clone())
    ///     .build()?;
    /// rates.insert("EUR".into(), 1).await?;
    /// clock.advance(Duration::from_secs(85));
    /// assert_eq!(rates.get_or_load("EUR".into(), async || Ok::<_, Infallible>(2)).await?, 1);
    /// tokio::task::yield_now().await;
    /// assert_eq!(rates.get("EUR").await, Some(2));
    /// # Ok(())
    /// # }
    /// ```
    pub const fn eager_refresh(mut self, after: f64) -> Self {
        self.refresh_after = Some(after);
        self
    }

    /// Lets chance decide which read refreshes, so that processes that share a source do not all load at
    /// once: the nearer the end of an entry's time and the longer loads take, the likelier. 1 is a good
    /// `beta`; more is more eager. Reads draw from half of the time to live on, or from where
    /// [`eager_refresh`](Self::eager_refresh) says. Default: off.
    ///
    /// The method is known as XFetch: Vattani, Chierichetti and Lowenstein, *Optimal Probabilistic Cache
    /// Stampede Prevention*, 2015.
    pub const fn xfetch(mut self, beta: f64) -> Self {
        self.refresh_beta = Some(beta);
        self
    }

    /// Settings for a source that is sometimes slow or down: 60 s stale while revalidating, 1 h stale if
    /// a load fails or takes longer than 100 ms, 30 s rest after a failure, callers wait at most 5 s.
    pub const fn resilient(self) -> Self {
        self.stale_while_revalidate(Duration::from_secs(60))
            .stale_if_error(Duration::from_secs(3_600))
            .rest_after_failure(Duration::from_secs(30))
            .soft_timeout(Duration::from_millis(100))
            .wait_timeout(Duration::from_secs(5))
    }

    /// Lets the value decide how long it is fresh: `None` leaves it to the caller's policy or the
    /// default, zero means that it is not kept.
    pub fn ttl_by(
        mut self,
        ttl: impl Fn(&K, &V) -> Option<Duration> + Send + Sync + 'static,
    ) -> Self {
        self.ttl_by = Some(Arc::new(ttl));
        self
    }

    /// Names what an event invalidates, for [`Cache::invalidate_event`]. Given twice, the tags add up.
    pub fn event<I>(mut self, name: &str, tags: I) -> Self
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let tags = tags.into_iter().map(|tag| tag.as_ref().into());
        self.events.push((name.into(), tags.collect()));
        self
    }

    /// Puts a store that processes share behind this one.
    pub fn far(mut self, tier: FarTier<K, V>) -> Self {
        self.far = Some(tier);
        self
    }

    /// Hears what other processes invalidate, and tells them.
    pub fn coherence(mut self, coherence: Coherence<K>) -> Self {
        self.coherence = Some(coherence);
        self
    }

    /// Tells time by `clock` instead of the [`CoarseClock`].
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.time = Some(Time::Given(Arc::new(clock)));
        self
    }
}

impl<K, T> CacheBuilder<K, Option<T>> {
    /// How long it is remembered that a key has no value: `None` is kept for `ttl`, or not at all if
    /// that is zero. It goes before [`ttl_by`](CacheBuilder::ttl_by), which decides over the values that
    /// are there. Without this, `None` is a value like any other.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use perf_cache::Cache;
    /// use perf_core::ManualClock;
    /// use std::convert::Infallible;
    /// use std::time::Duration;
    ///
    /// let clock = ManualClock::new();
    /// let users: Cache<u64, Option<&str>> = Cache::builder("users")
    ///     .clock(clock.clone())
    ///     .negative_ttl(Duration::from_secs(30))
    ///     .build()?;
    /// users.get_or_load(7, async || Ok::<_, Infallible>(None)).await?;
    /// assert_eq!(users.get(&7).await, Some(None)); // known not to exist
    /// clock.advance(Duration::from_secs(30));
    /// assert_eq!(users.get(&7).await, None); // not known
    /// # Ok(())
    /// # }
    /// ```
    pub fn negative_ttl(mut self, ttl: Duration) -> Self {
        self.absent_ttl = Some(Arc::new(move |_, value| value.is_none().then_some(ttl)));
        self
    }
}

impl<K: Key, V: Value> CacheBuilder<K, V> {
    /// The cache, on the default engine.
    ///
    /// # Errors
    ///
    /// [`CacheError::Setting`] names the setting that has no meaning. [`CacheError::NoRuntime`] where
    /// [`coherence`](Self::coherence) is asked for outside a tokio runtime and none was given.
    pub fn build(self) -> Result<Cache<K, V>, CacheError> {
        self.build_in::<QuickStore<K, V>>()
    }

    /// The cache, on the engine `S`.
    ///
    /// # Errors
    ///
    /// As [`CacheBuilder::build`].
    pub fn build_in<S: LocalStore<K, V>>(self) -> Result<Cache<K, V, S>, CacheError> {
        self.validate()?;
        let refresh = self.refresh()?;
        let permits = self.max_loads.map(|loads| loads.get() as usize);
        let mut settings = Settings {
            name: self.name,
            time: self
                .time
                .unwrap_or_else(|| Time::Coarse(CoarseClock::start())),
            ttl: self.ttl,
            jitter: self.jitter,
            load_timeout: self.load_timeout,
            wait_timeout: self.wait_timeout.unwrap_or(self.load_timeout),
            cancel: self.cancel,
            load_slots: permits.map(|permits| Arc::new(Semaphore::new(permits))),
            runtime: self.runtime,
            windows: self.windows,
            refresh,
            ttl_by: either(self.absent_ttl, self.ttl_by),
            events: HashMap::new(),
        };
        for (event, tags) in self.events {
            settings.events.entry(event).or_default().extend(tags);
        }
        let namespace = settings.name.to_string();
        let time = settings.time.clone();
        let far = self
            .far
            .map(|tier| Far::new(tier, &namespace, time.clone()));
        let debts = far.as_ref().map(|far| Arc::clone(&far.debts));
        let coherent = self.coherence.map(|coherence| {
            let debts = debts.unwrap_or_default();
            Arc::new(Coherent::new(coherence, &namespace, time, debts))
        });
        let versions = match (&far, &coherent) {
            (Some(_), Some(_)) => Versions::for_entries(self.capacity.typical_entries()),
            _ => Versions::none(),
        };
        let near = NearTier::new(S::with_capacity(self.capacity), versions);
        let shared = Arc::new(Shared::new(settings, near, far, coherent));
        shared.cohere()?;
        Ok(Cache::new(shared))
    }
}

/// What `first` says, or else `second`.
fn either<K: Key, V: Value>(
    first: Option<TtlBy<K, V>>,
    second: Option<TtlBy<K, V>>,
) -> Option<TtlBy<K, V>> {
    match (first, second) {
        (Some(first), Some(second)) => Some(Arc::new(move |key, value| {
            first(key, value).or_else(|| second(key, value))
        })),
        (first, second) => first.or(second),
    }
}

impl<K, V> CacheBuilder<K, V> {
    fn refresh(&self) -> Result<Option<Refresh>, CacheError> {
        let (after, beta) = (self.refresh_after, self.refresh_beta);
        let refused = |setting, problem| Err(CacheError::Setting { setting, problem });
        if after.is_some_and(|share| !(share > 0.0 && share < 1.0)) {
            return refused("eager_refresh", "must be above 0 and below 1");
        }
        if beta.is_some_and(|beta| !(beta > 0.0 && beta.is_finite())) {
            return refused("xfetch", "must be above 0 and finite");
        }
        let after = after.or_else(|| beta.map(|_| 0.5));
        Ok(after.map(|after| Refresh { after, beta }))
    }

    fn validate(&self) -> Result<(), CacheError> {
        let soft = self.windows.soft;
        let permits = self.max_loads.map_or(1, |loads| loads.get() as usize);
        let zero = "must be greater than zero";
        let capacity = match self.capacity {
            Capacity::Entries(_) => "max_entries",
            Capacity::Weight { .. } => "max_weight",
        };
        let checks = [
            (
                self.name.is_empty(),
                "builder",
                "needs a name for the cache",
            ),
            (self.capacity.limit() == 0, capacity, zero),
            (self.ttl.is_zero(), "ttl", zero),
            (
                !(0.0..1.0).contains(&self.jitter),
                "jitter",
                "must be at least 0 and below 1",
            ),
            (self.load_timeout.is_zero(), "load_timeout", zero),
            (
                self.wait_timeout.is_some_and(|limit| limit.is_zero()),
                "wait_timeout",
                zero,
            ),
            (
                soft.is_some_and(|limit| limit.is_zero()),
                "soft_timeout",
                zero,
            ),
            (
                soft.is_some() && self.windows.error.is_zero(),
                "soft_timeout",
                "needs stale_if_error",
            ),
            (
                self.events
                    .iter()
                    .any(|(_, tags)| tags.iter().any(|tag| tag.is_empty())),
                "event",
                "must name its tags",
            ),
            (
                permits > Semaphore::MAX_PERMITS,
                "max_loads",
                "is too large",
            ),
        ];
        let failed = checks.into_iter().find(|(fails, ..)| *fails);
        failed.map_or(Ok(()), |(_, setting, problem)| {
            Err(CacheError::Setting { setting, problem })
        })?;
        self.far.as_ref().map_or(Ok(()), FarTier::validate)?;
        self.coherence.as_ref().map_or(Ok(()), Coherence::validate)
    }
}

impl<K, V> fmt::Debug for CacheBuilder<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheBuilder")
            .field("name", &self.name)
            .field("capacity", &self.capacity)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}
