//! Random histories of three nodes, whose reads must not miss what their own node has acknowledged.
//!
//! Loads, insertions, invalidations by key, tag and clear, refreshes and the passing of time overlap at
//! every point where an operation waits. The store answers late, or fails, or acts after its caller has
//! given up; messages between the nodes are lost. A reader notes, when it begins, what has been
//! acknowledged on its node, and must not be given anything older. Writers of one key go one after another,
//! because two insertions that race have no order.

use crate::Sure;
use crate::lossy::{Late, Lossy, pass};
use perf_cache::backplane::MemoryBackplane;
use perf_cache::{Cache, Coherence, EntryPolicy, FarTier};
use perf_core::ManualClock;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

const NODES: usize = 3;
const COUNT: usize = 6;
const KEYS: u64 = 6;
/// A key's tag is its number modulo this.
const TAGS: u64 = 2;
/// Operations of one history.
const OPERATIONS: u64 = 1_000;
/// Operations that are under way at a time.
const OVERLAP: usize = 12;
const WINDOW: Duration = Duration::from_secs(3);
const TTL: Duration = Duration::from_secs(20);

/// What a writer does after its commit.
#[derive(Clone, Copy, Debug)]
enum Telling {
    Insert,
    Invalidate,
    Tag,
    Clear,
}

/// One node's cache.
trait Subject: Clone + Send + Sync + 'static {
    fn read(&self, key: u64) -> impl Future<Output = Option<u64>> + Send;
    /// Reads through, and takes a stale value while it is loaded anew if it `refreshes`.
    fn load<F>(
        &self,
        key: u64,
        refreshes: bool,
        load: F,
    ) -> impl Future<Output = Option<u64>> + Send
    where
        F: Future<Output = u64> + Send + 'static;
    /// Whether it is acknowledged.
    fn tell(&self, key: u64, version: u64, telling: Telling) -> impl Future<Output = bool> + Send;
}

fn tag(key: u64) -> String {
    (key % TAGS).to_string()
}

impl Subject for Cache<u64, u64> {
    async fn read(&self, key: u64) -> Option<u64> {
        self.get(&key).await
    }

    async fn load<F>(&self, key: u64, refreshes: bool, load: F) -> Option<u64>
    where
        F: Future<Output = u64> + Send + 'static,
    {
        let policy = EntryPolicy::new().tag(tag(key));
        let policy = match refreshes {
            true => policy.stale_while_revalidate(TTL).stale_if_error(TTL),
            false => policy,
        };
        let load = async move || Sure::Ok(load.await);
        self.get_or_load_with(key, policy, load).await.ok()
    }

    async fn tell(&self, key: u64, version: u64, telling: Telling) -> bool {
        let told = match telling {
            Telling::Insert => {
                let policy = EntryPolicy::new().tag(tag(key));
                self.insert_with(key, version, policy).await
            }
            Telling::Invalidate => self.invalidate(&key).await,
            Telling::Tag => self.invalidate_tag(&tag(key)).await,
            Telling::Clear => self.clear().await,
        };
        told.is_ok()
    }
}

/// A cache whose loads publish without a look at what happened meanwhile.
impl Subject for moka::future::Cache<u64, u64> {
    async fn read(&self, key: u64) -> Option<u64> {
        self.get(&key).await
    }

    async fn load<F>(&self, key: u64, _: bool, load: F) -> Option<u64>
    where
        F: Future<Output = u64> + Send + 'static,
    {
        Some(self.get_with(key, load).await)
    }

    async fn tell(&self, key: u64, version: u64, telling: Telling) -> bool {
        match telling {
            Telling::Insert => self.insert(key, version).await,
            Telling::Invalidate => self.invalidate(&key).await,
            Telling::Tag => {
                for other in (0..KEYS).filter(|other| other % TAGS == key % TAGS) {
                    self.invalidate(&other).await;
                }
            }
            Telling::Clear => self.invalidate_all(),
        }
        true
    }
}

/// One version for each key.
type Versions = [AtomicU64; COUNT];

fn version(versions: &Versions, key: u64) -> &AtomicU64 {
    &versions[usize::try_from(key).expect("few keys")]
}

/// What is true, and what each node has acknowledged.
#[derive(Default)]
struct World {
    database: Versions,
    acknowledged: [Versions; NODES],
    writers: [Mutex<()>; COUNT],
    reads: AtomicU64,
    violations: AtomicU64,
}

impl World {
    /// Counts a value that is older than `floor`.
    fn judge(&self, found: Option<u64>, floor: u64) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let is_stale = found.is_some_and(|found| found < floor);
        self.violations
            .fetch_add(u64::from(is_stale), Ordering::Relaxed);
    }

    async fn read<N: Subject>(&self, number: usize, node: N, key: u64) {
        let floor = version(&self.acknowledged[number], key).load(Ordering::Relaxed);
        self.judge(node.read(key).await, floor);
    }

    async fn load<N: Subject>(self: Arc<Self>, number: usize, node: N, key: u64, refreshes: bool) {
        let floor = version(&self.acknowledged[number], key).load(Ordering::Relaxed);
        let (before, after) = (fastrand::u64(0..6), fastrand::u64(0..6));
        let world = Arc::clone(&self);
        let load = async move {
            pass(before).await;
            let found = version(&world.database, key).load(Ordering::Relaxed);
            pass(after).await;
            found
        };
        self.judge(node.load(key, refreshes, load).await, floor);
    }

    /// Commits new versions, and then tells the node.
    async fn write<N: Subject>(&self, number: usize, node: N, key: u64, telling: Telling) {
        let is_meant = |other: u64| match telling {
            Telling::Insert | Telling::Invalidate => other == key,
            Telling::Tag => other % TAGS == key % TAGS,
            Telling::Clear => true,
        };
        let mut guards = Vec::new();
        let mut told = Vec::new();
        for key in (0..KEYS).filter(|key| is_meant(*key)) {
            guards.push(
                self.writers[usize::try_from(key).expect("few keys")]
                    .lock()
                    .await,
            );
            let committed = version(&self.database, key).fetch_add(1, Ordering::Relaxed) + 1;
            told.push((key, committed));
        }
        pass(fastrand::u64(0..4)).await;
        let committed = version(&self.database, key).load(Ordering::Relaxed);
        if node.tell(key, committed, telling).await {
            for (key, committed) in told {
                let floor = version(&self.acknowledged[number], key);
                floor.fetch_max(committed, Ordering::Relaxed);
            }
        }
    }
}

/// What a history came to.
#[derive(Debug, Default)]
struct Sum {
    operations: u64,
    reads: u64,
    violations: u64,
}

/// Runs one history over the nodes, with `between` after each operation has begun.
async fn history<N: Subject>(
    nodes: &[N],
    clock: &ManualClock,
    sum: &mut Sum,
    mut between: impl FnMut(),
) -> anyhow::Result<()> {
    let world = Arc::<World>::default();
    let mut running = JoinSet::new();
    for _ in 0..OPERATIONS {
        let (number, key) = (fastrand::usize(0..NODES), fastrand::u64(0..KEYS));
        let (node, own) = (nodes[number].clone(), Arc::clone(&world));
        match fastrand::u8(0..100) {
            0..35 => drop(running.spawn(own.load(number, node, key, false))),
            35..45 => drop(running.spawn(own.load(number, node, key, true))),
            45..60 => drop(running.spawn(async move { own.read(number, node, key).await })),
            dice @ 60..96 => {
                let telling = match dice {
                    60..72 => Telling::Insert,
                    72..84 => Telling::Invalidate,
                    84..94 => Telling::Tag,
                    _ => Telling::Clear,
                };
                running.spawn(async move { own.write(number, node, key, telling).await });
            }
            96..99 => clock.advance(Duration::from_millis(fastrand::u64(0..800))),
            _ => clock.advance(TTL),
        }
        between();
        sum.operations += 1;
        pass(fastrand::u64(0..3)).await;
        settle(&mut running, clock, OVERLAP).await?;
    }
    settle(&mut running, clock, 0).await?;
    sum.reads += world.reads.load(Ordering::Relaxed);
    sum.violations += world.violations.load(Ordering::Relaxed);
    Ok(())
}

/// Waits until no more than `left` operations are under way. Some of them wait for time to pass.
async fn settle(running: &mut JoinSet<()>, clock: &ManualClock, left: usize) -> anyhow::Result<()> {
    while running.len() > left {
        tokio::select! {
            biased;
            ended = running.join_next() => drop(ended.transpose()?),
            () = pass(25) => clock.advance(Duration::from_millis(100)),
        }
    }
    Ok(())
}

/// How many histories are run: few, or as many thousand operations as a long run asks for.
fn histories() -> u64 {
    let asked = std::env::var("PERF_SOAK_CASES");
    asked
        .ok()
        .and_then(|asked| asked.parse().ok())
        .unwrap_or(20)
}

#[tokio::test]
async fn soak_no_reader_misses_what_its_node_has_acknowledged() -> anyhow::Result<()> {
    let mut sum = Sum::default();
    let (mut refused, mut queued, mut doubts, mut far_hits) = (0, 0, 0, 0);
    for number in 0..histories() {
        fastrand::seed(number);
        let (clock, plane) = (ManualClock::new(), MemoryBackplane::new());
        let store = Late::new(&clock, 6, [0, 20, 100][usize::try_from(number % 3)?]);
        let planes = [1, 2, 3].map(|node| Lossy::new(&plane, number * 10 + node));
        let node = |plane: &Lossy| {
            let tier = FarTier::new(store.clone()).cool_down(Duration::from_millis(300));
            let builder = Cache::builder("history").clock(clock.clone()).ttl(TTL);
            let builder = builder.far(tier.wait_for_others(Duration::from_secs(1)));
            builder
                .coherence(Coherence::new(plane.clone()).window(WINDOW))
                .build()
        };
        let nodes = planes.each_ref().map(node);
        let nodes: Vec<Cache<u64, u64>> = nodes.into_iter().collect::<Result<_, _>>()?;
        let trouble = || {
            let plane = fastrand::choice(&planes).expect("nodes");
            match fastrand::u8(0..40) {
                0 => plane.lose(fastrand::u8(0..=100)),
                1 => plane.lose(0),
                2 => plane.cut(true),
                3 => plane.cut(false),
                _ => {}
            }
        };
        history(&nodes, &clock, &mut sum, trouble).await?;
        for node in &nodes {
            let stats = node.stats();
            refused += stats.refused_publications;
            queued += stats.queued_invalidations;
            doubts += stats.doubts;
            far_hits += stats.far_hits;
        }
        anyhow::ensure!(sum.violations == 0, "history {number}: {sum:?}");
    }
    println!("{sum:?}, {refused} refused, {doubts} doubts, {far_hits} far hits, {queued} queued");
    assert!(refused > histories() && doubts > histories() && far_hits > histories());
    Ok(())
}

#[tokio::test]
async fn the_checker_finds_what_an_unfenced_cache_loses() -> anyhow::Result<()> {
    fastrand::seed(7);
    let mut sum = Sum::default();
    for _ in 0..10 {
        let nodes: Vec<_> = (0..NODES).map(|_| moka::future::Cache::new(64)).collect();
        history(&nodes, &ManualClock::new(), &mut sum, || {}).await?;
    }
    println!("moka: {sum:?}");
    assert!(sum.violations > 10, "{sum:?}");
    Ok(())
}

/// Readers who do not name a tag join copies whose tags they learn only when these land; a tag that was
/// invalidated between the two must send them round again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn soak_who_joins_a_load_verifies_its_tags_on_threads() -> anyhow::Result<()> {
    let store = perf_cache::store::MemoryStore::new();
    let node = || {
        Cache::<u64, u64>::builder("threads")
            .far(FarTier::new(store.clone()))
            .build()
    };
    let (writer, reader) = (node()?, node()?);
    let database = Arc::new(AtomicU64::new(0));
    let rounds = histories() * 50;
    for round in 0..rounds {
        let key = round % 8;
        let committed = database.fetch_add(1, Ordering::SeqCst) + 1;
        let told = Arc::new(AtomicU64::new(0));
        reader.invalidate_tag("tag").await?;
        writer
            .insert_with(key, committed, EntryPolicy::new().tag("tag"))
            .await?;
        reader.forget(&key);
        let mut tasks = JoinSet::new();
        for _ in 0..6 {
            let (reader, told) = (reader.clone(), Arc::clone(&told));
            tasks.spawn(async move {
                let floor = told.load(Ordering::SeqCst);
                let found = reader.get(&key).await;
                assert!(
                    found.is_none_or(|found| found >= floor),
                    "{found:?} after {floor}"
                );
            });
        }
        let (own, database) = (reader.clone(), Arc::clone(&database));
        tasks.spawn(async move {
            let newer = database.fetch_add(1, Ordering::SeqCst) + 1;
            own.invalidate_tag("tag").await.expect("acknowledged");
            told.store(newer, Ordering::SeqCst);
        });
        while let Some(ended) = tasks.join_next().await {
            ended?;
        }
        assert_eq!(reader.get(&key).await, None);
    }
    println!("{rounds} rounds");
    Ok(())
}
