//! How old what another process serves can be, whatever happens to the messages.

use crate::Sure;
use crate::lossy::{Lossy, pass};
use perf_cache::backplane::{MemoryBackplane, RedisBackplane};
use perf_cache::store::{MemoryStore, RedisStore};
use perf_cache::{Cache, Coherence, FarTier, Receipt};
use perf_core::{Clock, ManualClock, Moment};
use perf_testkit::{FaultProxy, Faults, RedisServer};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

type Numbers = Cache<usize, u64>;

const NODES: usize = 3;
const KEYS: usize = 4;
const WINDOW: Duration = Duration::from_secs(3);
const STEP: Duration = Duration::from_millis(100);
/// Four times the promise.
const STEPS: u32 = 240;

struct Trial {
    clock: ManualClock,
    nodes: Vec<Numbers>,
    versions: Arc<[AtomicU64; KEYS]>,
    /// Since when each version of the data has been acknowledged.
    acknowledged: [Vec<(Moment, u64)>; KEYS],
    rng: fastrand::Rng,
    /// Reads of what was no longer true, and how old the oldest of them was.
    stale: u64,
    oldest: Duration,
}

impl Trial {
    fn new(
        seed: u64,
        clock: &ManualClock,
        node: impl FnMut(usize) -> anyhow::Result<Numbers>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            clock: clock.clone(),
            nodes: (0..NODES).map(node).collect::<Result<_, _>>()?,
            versions: Arc::default(),
            acknowledged: Default::default(),
            rng: fastrand::Rng::with_seed(seed),
            stale: 0,
            oldest: Duration::ZERO,
        })
    }

    /// One of the nodes changes a key, if the dice say so.
    async fn write(&mut self) -> anyhow::Result<()> {
        if self.rng.u8(0..20) != 0 {
            return Ok(());
        }
        let key = self.rng.usize(0..KEYS);
        let node = self.rng.choice(&self.nodes).expect("nodes").clone();
        let version = self.versions[key].fetch_add(1, Ordering::SeqCst) + 1;
        let telling = async {
            match version % 3 {
                0 => node.insert(key, version).await,
                1 => node.invalidate(&key).await,
                _ => node.invalidate_tag(&key.to_string()).await,
            }
        };
        tokio::pin!(telling);
        let receipt = loop {
            // Who cannot send waits for a while, in this clock's time.
            tokio::select! {
                biased;
                receipt = &mut telling => break receipt?,
                () = pass(20) => self.clock.advance(STEP),
            }
        };
        if receipt == Receipt::Acked {
            self.acknowledged[key].push((self.clock.now(), version));
        }
        Ok(())
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        let now = self.clock.now();
        for node in &self.nodes {
            for key in 0..KEYS {
                let versions = Arc::clone(&self.versions);
                let load = async move || Sure::Ok(versions[key].load(Ordering::SeqCst));
                let policy = perf_cache::EntryPolicy::new().tag(key.to_string());
                let found = node.get_or_load_with(key, policy, load).await?;
                let newer = self.acknowledged[key].iter();
                let mut newer = newer.filter(|(_, version)| *version > found);
                if let Some((since, _)) = newer.next() {
                    self.stale += 1;
                    self.oldest = self.oldest.max(now.since(*since));
                }
            }
        }
        let oldest = self.oldest;
        anyhow::ensure!(
            oldest <= WINDOW * 2,
            "{oldest:?} old, in a window of {WINDOW:?}"
        );
        Ok(())
    }
}

fn builder(name: String, clock: &ManualClock) -> perf_cache::CacheBuilder<usize, u64> {
    let hour = Duration::from_secs(3_600);
    Cache::builder(name).clock(clock.clone()).ttl(hour)
}

/// What a trial of this number does to the messages.
#[derive(Debug)]
enum Fault {
    Loses(u8),
    Cuts,
}

impl Fault {
    fn of(trial: u64) -> Self {
        match trial % 4 {
            3 => Self::Cuts,
            // Every percentage comes up, the highest most often.
            _ => Self::Loses(u8::try_from(100 - (trial / 4 + trial % 4 * 25) % 100).unwrap_or(100)),
        }
    }
}

#[derive(Default)]
struct Sum {
    stale: u64,
    oldest: Duration,
}

impl Sum {
    fn add(&mut self, trial: &Trial) {
        self.stale += trial.stale;
        self.oldest = self.oldest.max(trial.oldest);
    }
}

async fn in_memory(number: u64, sum: &mut Sum) -> anyhow::Result<()> {
    let clock = ManualClock::new();
    let (store, plane) = (
        MemoryStore::with_clock(clock.clone()),
        MemoryBackplane::new(),
    );
    let planes = std::array::from_fn::<_, NODES, _>(|node| {
        Lossy::new(&plane, number * 10 + u64::try_from(node).unwrap_or(0))
    });
    let node = |node: usize| {
        let coherence = Coherence::new(planes[node].clone()).window(WINDOW);
        let builder = builder("memory".into(), &clock).far(FarTier::new(store.clone()));
        Ok(builder.coherence(coherence).build()?)
    };
    let mut trial = Trial::new(number, &clock, node)?;
    for step in 0..STEPS {
        clock.advance(STEP);
        pass(20).await;
        let plane = &planes[trial.rng.usize(0..NODES)];
        match Fault::of(number) {
            // From the first message on, or from later on.
            Fault::Loses(percent) if step == u32::try_from(number % 2)? * 20 => {
                planes.iter().for_each(|plane| plane.lose(percent));
            }
            Fault::Cuts if trial.rng.u8(0..10) == 0 => plane.cut(true),
            Fault::Cuts if trial.rng.u8(0..10) == 0 => plane.cut(false),
            _ => {}
        }
        trial.write().await?;
        trial.read().await?;
    }
    sum.add(&trial);
    Ok(())
}

async fn on_redis(number: u64, sum: &mut Sum) -> anyhow::Result<()> {
    let clock = ManualClock::new();
    let server = RedisServer::shared()?;
    let name = server.key_prefix();
    let proxy = FaultProxy::start(server.address())?;
    let store = RedisStore::new(&server.url())?;
    let node = |_| {
        let plane = RedisBackplane::new(&server.url_through(proxy.address()))?;
        let coherence = Coherence::new(plane).window(WINDOW);
        let tier = FarTier::new(store.clone()).timeout(WINDOW * 100);
        let builder = builder(name.clone(), &clock).far(tier);
        Ok(builder.coherence(coherence).build()?)
    };
    let mut trial = Trial::new(number, &clock, node)?;
    for step in 0..STEPS / 2 {
        clock.advance(STEP);
        // The store answers in order: what the nodes asked it before is answered after this.
        for node in &trial.nodes {
            pass(20).await;
            node.contains(&(KEYS + 1)).await;
            pass(20).await;
        }
        match Fault::of(number) {
            Fault::Loses(percent) if step == 20 => {
                proxy.set(Faults::none().with_lost_chunks(percent).with_seed(number));
            }
            Fault::Cuts if trial.rng.u8(0..20) == 0 => proxy.cut(),
            _ => {}
        }
        trial.write().await?;
        trial.read().await?;
    }
    sum.add(&trial);
    Ok(())
}

/// How many trials are run: few, or as many as a long run asks for.
fn trials(few: u64) -> u64 {
    let asked = std::env::var("PERF_SOAK_CASES");
    asked
        .ok()
        .and_then(|asked| asked.parse().ok())
        .unwrap_or(few)
}

#[tokio::test]
async fn soak_no_process_serves_older_data_than_two_windows() -> anyhow::Result<()> {
    let mut sum = Sum::default();
    let trials = trials(60);
    for number in 0..trials {
        let checked = in_memory(number, &mut sum).await;
        checked.map_err(|error| error.context(format!("{number}: {:?}", Fault::of(number))))?;
    }
    let Sum { stale, oldest } = sum;
    println!("{trials} trials: {stale} stale reads, the oldest {oldest:?} old");
    assert!(stale > trials, "only {stale} reads were stale");
    Ok(())
}

#[tokio::test]
async fn soak_no_process_serves_older_data_than_two_windows_by_redis() -> anyhow::Result<()> {
    let mut sum = Sum::default();
    let trials = trials(40) / 10;
    for number in 0..trials {
        let checked = on_redis(number, &mut sum).await;
        checked.map_err(|error| error.context(format!("{number}: {:?}", Fault::of(number))))?;
    }
    let Sum { stale, oldest } = sum;
    println!("{trials} trials: {stale} stale reads, the oldest {oldest:?} old");
    Ok(())
}
