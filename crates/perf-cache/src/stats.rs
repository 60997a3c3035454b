use crate::stripes::Stripes;
use perf_core::Sample;
use std::sync::atomic::{AtomicU64, Ordering};

/// A cache's figures since it was built.
///
/// Reads and loads are counted apart from each other, so figures read while the cache works may
/// disagree by the operations that are under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Reads that found a fresh value near.
    pub hits: u64,
    /// Reads that did not.
    pub misses: u64,
    /// Misses that waited for a load that another caller had started.
    pub joins: u64,
    /// Near misses that found a value in the far tier.
    pub far_hits: u64,
    /// Near misses that found none there.
    pub far_misses: u64,
    /// Requests that the far tier failed.
    pub far_failures: u64,
    /// Far values that could not be read: damaged, or of another version.
    pub far_undecodable: u64,
    /// How often near entries were put in doubt, because word of other processes may have been lost.
    pub doubts: u64,
    /// Entries in doubt that the far tier has confirmed.
    pub confirmations: u64,
    /// Messages of other processes that could not be read.
    pub messages_unreadable: u64,
    /// Writes and invalidations that the far tier or other processes have not been told.
    pub queued_invalidations: u64,
    /// Loads started.
    pub loads: u64,
    /// Loads that returned an error; of a batch, its keys.
    pub load_failures: u64,
    /// Loads that exceeded their limit.
    pub load_timeouts: u64,
    /// Loads that panicked.
    pub load_panics: u64,
    /// Loads dropped before they ended.
    pub load_aborts: u64,
    /// Loads under way.
    pub loads_in_progress: u64,
    /// Loaded values that were not kept, because a write, an invalidation or a load with more tags had
    /// overtaken the load.
    pub refused_publications: u64,
    /// Values served beyond their time to live.
    pub stale_serves: u64,
    /// Values inserted by hand.
    pub inserts: u64,
    /// Invalidations of keys and tags, and clears.
    pub invalidations: u64,
    /// Entries given up for lack of room.
    pub evictions: u64,
    /// Values that were not kept, because each alone weighs more than the engine takes.
    pub oversized: u64,
    /// Entries held, expired ones included.
    pub entries: u64,
    /// What they weigh, in the unit of the cache's capacity.
    pub weight: u64,
}

impl CacheStats {
    /// All reads.
    #[must_use]
    pub const fn requests(&self) -> u64 {
        self.hits + self.misses
    }

    /// The share of reads that found a fresh value near, in per cent; zero before the first read.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), perf_cache::CacheError> {
    /// use perf_cache::Cache;
    ///
    /// let cache: Cache<u64, &str> = Cache::builder("greetings").build()?;
    /// cache.insert(1, "hello").await?;
    /// for key in [1, 1, 1, 2] {
    ///     cache.get(&key).await;
    /// }
    /// assert_eq!(cache.stats().hit_rate_percent(), 75.0);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn hit_rate_percent(&self) -> f64 {
        if self.requests() == 0 {
            return 0.0;
        }
        approximate(self.hits) / approximate(self.requests()) * 100.0
    }

    pub(crate) fn samples(&self, samples: &mut Vec<Sample>) {
        let counters = [
            ("hits", self.hits),
            ("misses", self.misses),
            ("joins", self.joins),
            ("far_hits", self.far_hits),
            ("far_misses", self.far_misses),
            ("far_failures", self.far_failures),
            ("far_undecodable", self.far_undecodable),
            ("doubts", self.doubts),
            ("confirmations", self.confirmations),
            ("messages_unreadable", self.messages_unreadable),
            ("loads", self.loads),
            ("load_failures", self.load_failures),
            ("load_timeouts", self.load_timeouts),
            ("load_panics", self.load_panics),
            ("load_aborts", self.load_aborts),
            ("refused_publications", self.refused_publications),
            ("stale_serves", self.stale_serves),
            ("inserts", self.inserts),
            ("invalidations", self.invalidations),
            ("evictions", self.evictions),
            ("oversized", self.oversized),
        ];
        let gauges = [
            ("loads_in_progress", approximate(self.loads_in_progress)),
            (
                "queued_invalidations",
                approximate(self.queued_invalidations),
            ),
            ("entries", approximate(self.entries)),
            ("weight", approximate(self.weight)),
            ("hit_rate_percent", self.hit_rate_percent()),
        ];
        samples.extend(counters.map(|(name, value)| Sample::counter(name, value)));
        samples.extend(gauges.map(|(name, value)| Sample::gauge(name, value)));
    }
}

/// Exact up to 2⁵³.
#[expect(clippy::cast_precision_loss, reason = "a figure for people to read")]
const fn approximate(count: u64) -> f64 {
    count as f64
}

/// The counters behind [`CacheStats`].
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) reads: Stripes,
    pub(crate) joins: Counter,
    pub(crate) loads: Counter,
    pub(crate) load_failures: Counter,
    pub(crate) load_timeouts: Counter,
    pub(crate) load_panics: Counter,
    pub(crate) load_aborts: Counter,
    pub(crate) refused_publications: Counter,
    pub(crate) stale_serves: Counter,
    pub(crate) inserts: Counter,
    pub(crate) invalidations: Counter,
    pub(crate) evictions: Counter,
    pub(crate) oversized: Counter,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            reads: Stripes::new(),
            joins: Counter::default(),
            loads: Counter::default(),
            load_failures: Counter::default(),
            load_timeouts: Counter::default(),
            load_panics: Counter::default(),
            load_aborts: Counter::default(),
            refused_publications: Counter::default(),
            stale_serves: Counter::default(),
            inserts: Counter::default(),
            invalidations: Counter::default(),
            evictions: Counter::default(),
            oversized: Counter::default(),
        }
    }

    /// What the counters say; the gauges are left at zero.
    pub(crate) fn snapshot(&self) -> CacheStats {
        CacheStats {
            hits: self.reads.hits(),
            misses: self.reads.misses(),
            joins: self.joins.value(),
            loads: self.loads.value(),
            load_failures: self.load_failures.value(),
            load_timeouts: self.load_timeouts.value(),
            load_panics: self.load_panics.value(),
            load_aborts: self.load_aborts.value(),
            refused_publications: self.refused_publications.value(),
            stale_serves: self.stale_serves.value(),
            inserts: self.inserts.value(),
            invalidations: self.invalidations.value(),
            evictions: self.evictions.value(),
            oversized: self.oversized.value(),
            ..CacheStats::default()
        }
    }
}

/// A count of what is rarer than a hit.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn increment(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
