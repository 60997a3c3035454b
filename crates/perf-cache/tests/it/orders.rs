//! Every order of two loads and two writers.
//!
//! A load is called, reads the database and ends; a writer commits and then tells the cache. All ten
//! events are put in every order that keeps each actor's own, and after each event a reader looks. What
//! it finds must not be older than what a writer had committed and told before, with one exception that
//! no cache can rule out: a writer that *inserts* its value after another's told may insert older data.

use crate::Sure;
use perf_cache::store::{LocalStore, MokaStore, QuickStore};
use perf_cache::{Cache, EntryPolicy};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// What a writer does after its commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Telling {
    Invalidate,
    Insert,
    Tag,
    Clear,
}

use Telling::{Clear, Insert, Invalidate, Tag};

const PAIRS: [[Telling; 2]; 16] = [
    [Invalidate, Invalidate],
    [Insert, Insert],
    [Tag, Tag],
    [Clear, Clear],
    [Invalidate, Insert],
    [Insert, Tag],
    [Tag, Clear],
    [Clear, Invalidate],
    [Insert, Invalidate],
    [Tag, Insert],
    [Clear, Tag],
    [Invalidate, Clear],
    [Invalidate, Tag],
    [Tag, Invalidate],
    [Insert, Clear],
    [Clear, Insert],
];

/// What a read or a load finds: the version committed, and whether a writer inserted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    version: u64,
    inserted: bool,
}

/// A cache of one tagged entry per key.
trait Subject: Clone + Send + Sync + 'static {
    fn read(&self, key: u64) -> impl Future<Output = Option<Found>> + Send;
    fn load<F>(&self, key: u64, load: F) -> impl Future<Output = Found> + Send
    where
        F: Future<Output = Found> + Send + 'static;
    fn tell(&self, key: u64, version: u64, telling: Telling) -> impl Future<Output = ()> + Send;
}

impl<S: LocalStore<u64, Found>> Subject for Cache<u64, Found, S> {
    async fn read(&self, key: u64) -> Option<Found> {
        self.get(&key).await
    }

    async fn load<F>(&self, key: u64, load: F) -> Found
    where
        F: Future<Output = Found> + Send + 'static,
    {
        let load = async move || Sure::Ok(load.await);
        self.get_or_load_with(key, EntryPolicy::new().tag("tag"), load)
            .await
            .expect("loads")
    }

    async fn tell(&self, key: u64, version: u64, telling: Telling) {
        let found = Found {
            version,
            inserted: true,
        };
        let told = match telling {
            Invalidate => self.invalidate(&key).await,
            Insert => {
                self.insert_with(key, found, EntryPolicy::new().tag("tag"))
                    .await
            }
            Tag => self.invalidate_tag("tag").await,
            Clear => self.clear().await,
        };
        told.expect("open");
    }
}

/// A cache whose loads publish without a look at what happened meanwhile. It has no tags.
impl Subject for moka::future::Cache<u64, Found> {
    async fn read(&self, key: u64) -> Option<Found> {
        self.get(&key).await
    }

    async fn load<F>(&self, key: u64, load: F) -> Found
    where
        F: Future<Output = Found> + Send + 'static,
    {
        self.get_with(key, load).await
    }

    async fn tell(&self, key: u64, version: u64, telling: Telling) {
        match telling {
            Invalidate | Tag => self.invalidate(&key).await,
            Insert => {
                self.insert(
                    key,
                    Found {
                        version,
                        inserted: true,
                    },
                )
                .await
            }
            Clear => self.invalidate_all(),
        }
    }
}

/// Whose turn it is: a load's three events or a writer's two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Actor {
    Load(usize),
    Writer(usize),
}

/// Calls `visit` with every order of the ten events.
fn every_order(visit: &mut impl FnMut(&[Actor])) {
    fn extend(
        order: &mut Vec<Actor>,
        left: &mut [(Actor, usize)],
        visit: &mut impl FnMut(&[Actor]),
    ) {
        if left.iter().all(|(_, events)| *events == 0) {
            return visit(order);
        }
        for index in 0..left.len() {
            if left[index].1 > 0 {
                left[index].1 -= 1;
                order.push(left[index].0);
                extend(order, left, visit);
                order.pop();
                left[index].1 += 1;
            }
        }
    }
    let actors = [
        Actor::Load(0),
        Actor::Load(1),
        Actor::Writer(0),
        Actor::Writer(1),
    ];
    let mut left = actors.map(|actor| match actor {
        Actor::Load(_) => (actor, 3),
        Actor::Writer(_) => (actor, 2),
    });
    extend(&mut Vec::new(), &mut left, visit);
}

/// One load on its way.
#[derive(Default)]
struct Load {
    read: Option<oneshot::Sender<()>>,
    end: Option<oneshot::Sender<()>>,
    caller: Option<JoinHandle<Found>>,
    /// What a caller who came then must at least be given.
    called_at: usize,
    stage: usize,
}

/// One history: what writers committed and told, and when.
struct History<S> {
    subject: S,
    key: u64,
    tellings: [Telling; 2],
    database: Arc<AtomicU64>,
    loads: [Load; 2],
    /// The version each writer committed.
    committed: [Option<u64>; 2],
    /// The number of the event at which each writer told the cache.
    told: [Option<usize>; 2],
    violations: u64,
}

impl<S: Subject> History<S> {
    fn new(subject: S, key: u64, tellings: [Telling; 2]) -> Self {
        Self {
            subject,
            key,
            tellings,
            database: Arc::default(),
            loads: <[Load; 2]>::default(),
            committed: [None; 2],
            told: [None; 2],
            violations: 0,
        }
    }

    async fn run(mut self, order: &[Actor]) -> u64 {
        for (event, actor) in order.iter().enumerate() {
            match *actor {
                Actor::Load(index) => self.step_load(index, event),
                Actor::Writer(index) => self.step_writer(index, event).await,
            }
            settle().await;
            if let Some(found) = self.subject.read(self.key).await {
                self.judge(found, event + 1);
            }
        }
        for index in 0..2 {
            let load = std::mem::take(&mut self.loads[index]);
            let found = load
                .caller
                .expect("called")
                .await
                .expect("loads do not panic");
            self.judge(found, load.called_at);
        }
        self.violations
    }

    fn step_load(&mut self, index: usize, event: usize) {
        let load = &mut self.loads[index];
        load.stage += 1;
        // A caller that joined the other load has no gates of its own: sending to them does nothing.
        match load.stage {
            1 => {
                let (read, may_read) = oneshot::channel();
                let (end, may_end) = oneshot::channel();
                let database = Arc::clone(&self.database);
                let work = async move {
                    may_read.await.ok();
                    let version = database.load(Ordering::Acquire);
                    may_end.await.ok();
                    Found {
                        version,
                        inserted: false,
                    }
                };
                let (subject, key) = (self.subject.clone(), self.key);
                load.caller = Some(tokio::spawn(async move { subject.load(key, work).await }));
                (load.read, load.end) = (Some(read), Some(end));
                load.called_at = event;
            }
            2 => drop(load.read.take().map(|gate| gate.send(()))),
            _ => drop(load.end.take().map(|gate| gate.send(()))),
        }
    }

    async fn step_writer(&mut self, index: usize, event: usize) {
        match self.committed[index] {
            None => self.committed[index] = Some(self.database.fetch_add(1, Ordering::AcqRel) + 1),
            Some(version) => {
                self.subject
                    .tell(self.key, version, self.tellings[index])
                    .await;
                self.told[index] = Some(event);
            }
        }
    }

    /// Counts a violation if `found` misses what was told before `event`.
    fn judge(&mut self, found: Found, event: usize) {
        let inserted_at = (0..2)
            .filter(|&writer| found.inserted && self.committed[writer] == Some(found.version))
            .find_map(|writer| self.told[writer]);
        let missed = (0..2).any(|writer| {
            let newer = self.committed[writer].is_some_and(|version| version > found.version);
            let told = self.told[writer].filter(|&told| told < event);
            newer && told.is_some_and(|told| inserted_at.is_none_or(|inserted| told > inserted))
        });
        self.violations += u64::from(missed);
    }
}

/// Lets every task go as far as it can.
async fn settle() {
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
}

/// Runs every order, each with one pair of writers in turn, or with every pair in a long run. Returns
/// the histories run and the violations found.
fn check(subject: &impl Subject) -> (usize, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let runtime = runtime.expect("a runtime");
    let pairs_an_order = match std::env::var_os("PERF_SOAK_CASES") {
        Some(_) => PAIRS.len(),
        None => 1,
    };
    let (mut histories, mut violations) = (0, 0);
    every_order(&mut |order| {
        for _ in 0..pairs_an_order {
            let pair = PAIRS[histories % PAIRS.len()];
            let history = History::new(subject.clone(), histories as u64, pair);
            violations += runtime.block_on(history.run(order));
            histories += 1;
        }
    });
    assert_eq!(histories, 25_200 * pairs_an_order);
    (histories, violations)
}

fn no_reader_misses_what_it_was_told_on<S: LocalStore<u64, Found>>() -> anyhow::Result<()> {
    let builder = Cache::builder("orders").max_entries(64);
    let cache = builder.build_in::<S>()?;
    let (histories, violations) = check(&cache);
    assert_eq!(violations, 0, "of {histories}");
    let refused = cache.stats().refused_publications;
    assert!(refused > 1_000, "only {refused} loads were overtaken");
    Ok(())
}

#[test]
fn no_reader_misses_what_it_was_told() -> anyhow::Result<()> {
    no_reader_misses_what_it_was_told_on::<QuickStore<_, _>>()
}

#[test]
fn no_reader_misses_what_it_was_told_on_moka() -> anyhow::Result<()> {
    no_reader_misses_what_it_was_told_on::<MokaStore<_, _>>()
}

#[test]
fn the_checker_finds_what_an_unfenced_cache_loses() {
    let (histories, violations) = check(&moka::future::Cache::new(64));
    assert!(violations > 1_000, "only {violations} of {histories}");
}
