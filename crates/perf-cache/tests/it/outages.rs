//! Redis killed, paused, restarted and replaced by an empty one, under load.

use crate::Sure;
use perf_cache::store::{RedisStore, RemoteStore};
use perf_cache::{Cache, EntryPolicy, FarTier, Source};
use perf_core::{Clock, ManualClock, SystemClock};
use perf_testkit::RedisServer;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

const KEYS: usize = 4;
const CALLERS: usize = 200;
/// For how long another process may serve what was invalidated: the stated window.
const NEAR_TTL: Duration = Duration::from_secs(10);
const COOL_DOWN: Duration = Duration::from_secs(1);
const GENEROUS: Duration = Duration::from_secs(30);

type Numbers = Cache<usize, u64>;

/// What the data are now, and how new a read must be at least.
#[derive(Default)]
struct Truth {
    versions: [AtomicU64; KEYS],
    /// For reads of the process that invalidated.
    acknowledged: [AtomicU64; KEYS],
    /// For reads of another process.
    settled: [AtomicU64; KEYS],
}

/// Two processes on one far store, on a clock of their own.
pub(crate) struct Fleet {
    truth: Arc<Truth>,
    pub(crate) clock: ManualClock,
    writer: Numbers,
    other: Numbers,
}

impl Fleet {
    pub(crate) fn on<S: RemoteStore>(
        store: impl Fn() -> anyhow::Result<S>,
    ) -> anyhow::Result<Self> {
        let clock = ManualClock::new();
        let hour = Duration::from_secs(3_600);
        let node = || {
            // The driver's own limit ends a request to a Redis that is paused.
            let tier = FarTier::new(store()?).timeout(hour);
            let tier = tier.near_ttl(NEAR_TTL).cool_down(COOL_DOWN);
            let builder = Cache::builder("outages").clock(clock.clone()).jitter(0.0);
            let cache = builder.load_timeout(hour).far(tier).build()?;
            anyhow::Ok(cache)
        };
        Ok(Self {
            truth: Arc::default(),
            writer: node()?,
            other: node()?,
            clock,
        })
    }

    /// Changes every key and reads it from both processes, while something happens.
    pub(crate) async fn work(
        &self,
        during: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut tasks = JoinSet::new();
        for key in 0..KEYS {
            tasks.spawn(change(Arc::clone(&self.truth), self.writer.clone(), key));
        }
        let mut during = Some(during);
        for number in 0..CALLERS {
            let key = number % KEYS;
            if number == CALLERS / 2 {
                tokio::task::yield_now().await;
                during.take().map_or(Ok(()), |during| during())?;
            }
            for is_other in [false, true] {
                let cache = if is_other { &self.other } else { &self.writer };
                let reading = read(Arc::clone(&self.truth), cache.clone(), key, is_other);
                tasks.spawn(reading);
            }
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        self.clock.advance(NEAR_TTL);
        for (settled, acknowledged) in self.truth.settled.iter().zip(&self.truth.acknowledged) {
            settled.store(acknowledged.load(Ordering::SeqCst), Ordering::SeqCst);
        }
        Ok(())
    }

    /// Waits until invalidations are acknowledged again and one process finds what the other loaded.
    pub(crate) async fn recover(&self) -> anyhow::Result<()> {
        let began = SystemClock.now();
        let ensure_patience = || {
            let waited = SystemClock.now().since(began);
            anyhow::ensure!(waited < GENEROUS, "no recovery after {waited:?}");
            Ok(())
        };
        while self.writer.clear().await.is_err() {
            ensure_patience()?;
            SystemClock.sleep(Duration::from_millis(10)).await;
        }
        for key in KEYS.. {
            self.clock.advance(COOL_DOWN);
            let load = async || Sure::Ok(0);
            self.writer.get_or_load(key, load).await?;
            let found = self.other.lookup_or_load(key, EntryPolicy::new(), load);
            if found.await?.source == Source::Far {
                break;
            }
            ensure_patience()?;
        }
        self.work(|| Ok(())).await?;
        for (version, settled) in self.truth.versions.iter().zip(&self.truth.settled) {
            let [version, settled] = [version, settled].map(|word| word.load(Ordering::SeqCst));
            assert_eq!(version, settled, "every invalidation is acknowledged");
        }
        Ok(())
    }

    pub(crate) fn far_failures(&self) -> u64 {
        self.writer.stats().far_failures + self.other.stats().far_failures
    }
}

async fn change(truth: Arc<Truth>, cache: Numbers, key: usize) -> anyhow::Result<()> {
    let version = truth.versions[key].fetch_add(1, Ordering::SeqCst) + 1;
    match cache.invalidate(&key).await {
        Ok(_) => {
            truth.acknowledged[key].fetch_max(version, Ordering::SeqCst);
        }
        Err(error) => anyhow::ensure!(error.is_transient(), "{error:?}"),
    }
    Ok(())
}

async fn read(truth: Arc<Truth>, cache: Numbers, key: usize, is_other: bool) -> anyhow::Result<()> {
    let floors = match is_other {
        true => &truth.settled,
        false => &truth.acknowledged,
    };
    let floor = floors[key].load(Ordering::SeqCst);
    let source = Arc::clone(&truth);
    let load = async move || {
        tokio::task::yield_now().await;
        Sure::Ok(source.versions[key].load(Ordering::SeqCst))
    };
    let found = cache.get_or_load(key, load).await?;
    assert!(found >= floor, "key {key}: {found} after {floor}");
    Ok(())
}

/// The caches' clock runs on, ten times as fast as the world's.
pub(crate) fn run(clock: ManualClock) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            SystemClock.sleep(Duration::from_millis(1)).await;
            clock.advance(Duration::from_millis(10));
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reader_sees_an_error_or_old_data_while_redis_fails() -> anyhow::Result<()> {
    let durable = RedisServer::start_with(&["--appendonly", "yes"])?;
    let forgetful = RedisServer::start()?;
    for (server, is_paused) in [(&durable, true), (&durable, false), (&forgetful, false)] {
        let fleet = Fleet::on(|| Ok(RedisStore::new(&server.url())?))?;
        let ticking = run(fleet.clock.clone());
        fleet.recover().await?;
        let fail = || match is_paused {
            true => server.pause(),
            false => server.kill(),
        };
        let heal = || match is_paused {
            true => {
                server.resume();
                Ok(())
            }
            false => server.restart(),
        };
        for _ in 0..3 {
            let before = fleet.far_failures();
            fleet
                .work(|| {
                    fail();
                    Ok(())
                })
                .await?;
            fleet.work(|| Ok(())).await?;
            assert!(fleet.far_failures() > before, "the outage was felt");
            fleet.work(|| Ok(heal()?)).await?;
            fleet.recover().await?;
        }
        ticking.abort();
    }
    Ok(())
}
