//! What all handles of a loader share, and the tasks that work for them.

use super::entry::{self, Entry};
use super::queue::{Batch, Lead, Queue};
use super::{Loaded, Loader};
use crate::error::LoadError;
use futures_core::future::BoxFuture;
use parking_lot::Mutex;
use perf_core::{Clock, Inspect, Sample};
use std::borrow::Cow;
use std::error::Error;
use std::hash::Hash;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use tracing::Instrument as _;

/// How long a leader waits for more while more arrive at each of its turns.
const PATIENCE: Duration = Duration::from_millis(1);
/// How long a queue may stand still before the watchdog releases it in its leader's place.
const WATCHDOG_PERIOD: Duration = Duration::from_millis(1);
/// After how many periods without a queue to watch the watchdog ends.
const IDLE_PERIODS: u32 = 100;

type Answering<K, V, E> = BoxFuture<'static, Result<Loaded<K, V, E>, E>>;

pub(super) struct Shared<K, V, E: Error + 'static> {
    pub(super) name: String,
    load: Box<dyn Fn(Vec<K>) -> Answering<K, V, E> + Send + Sync>,
    clock: Arc<dyn Clock>,
    pub(super) state: Mutex<State<K, V, E>>,
}

pub(super) struct State<K, V, E: Error + 'static> {
    pub(super) queue: Queue<K, entry::Shared<V, E>>,
    pub(super) counts: Counts,
    watched: bool,
}

/// What the loader has done so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) loads: u64,
    pub(super) keys: u64,
    pub(super) batches: u64,
    pub(super) failures: u64,
}

impl<K, V, E> Shared<K, V, E>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    pub(super) fn new<L: Loader<K, Value = V, Error = E>>(
        loader: L,
        name: String,
        max_batch: usize,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let loader = Arc::new(loader);
        Arc::new(Self {
            name,
            load: Box::new(move |keys| {
                let loader = Arc::clone(&loader);
                Box::pin(async move { loader.load(keys).await })
            }),
            clock,
            state: Mutex::new(State {
                queue: Queue::new(max_batch),
                counts: Counts::default(),
                watched: false,
            }),
        })
    }

    /// Puts `key` into the queue; the entry to wait on, and what this load keeps if it leads.
    pub(super) fn join(self: &Arc<Self>, key: K) -> (entry::Shared<V, E>, Option<Lead>) {
        let (joined, watch) = {
            let mut state = self.state.lock();
            state.counts.loads += 1;
            let until = || self.clock.now().saturating_add(PATIENCE);
            let joined = state.queue.join(key, Entry::unanswered, until);
            let watch = joined.leads.is_some() && !state.watched;
            state.watched |= watch;
            (joined, watch)
        };
        if watch {
            self.watch();
        }
        (joined.entry, joined.leads)
    }

    /// A turn of a leader. What it keeps if it goes on leading; otherwise it has released.
    pub(super) fn lead(self: &Arc<Self>, mut lead: Lead) -> Option<Lead> {
        let now = self.clock.now();
        if self.state.lock().queue.goes_on(&mut lead, now) {
            return Some(lead);
        }
        self.release(lead);
        None
    }

    /// Lets what joined under a leader leave.
    pub(super) fn release(self: &Arc<Self>, lead: Lead) {
        let due = self.state.lock().queue.release(lead);
        self.dispatch(due);
    }

    /// Starts batches. One that nobody waits for any more ends as it is dropped here.
    fn dispatch(self: &Arc<Self>, batches: Vec<Batch<K, entry::Shared<V, E>>>) {
        for mut entries in batches {
            // The queue has let go of its entries, so a count of one says that every caller has left.
            entries.retain(|(_, entry)| Arc::strong_count(entry) > 1);
            let flight = Flight {
                shared: Arc::clone(self),
                entries,
            };
            if let (Ok(runtime), false) = (Handle::try_current(), flight.entries.is_empty()) {
                // Queries of the batch belong to the request whose load released it.
                runtime.spawn(flight.run().in_current_span());
            }
        }
    }

    /// Starts the watchdog; without a runtime there is nobody to watch for either.
    fn watch(self: &Arc<Self>) {
        match Handle::try_current() {
            Ok(runtime) => {
                let clock = Arc::clone(&self.clock);
                runtime.spawn(watch(Arc::downgrade(self), clock));
            }
            Err(_) => self.state.lock().watched = false,
        }
    }

    /// One look of the watchdog: what waits for its leader now. Releases what already did at the last look.
    fn patrol(self: &Arc<Self>, last: Option<(u64, usize)>) -> Option<(u64, usize)> {
        let unreleased = self.state.lock().queue.unreleased();
        if let (true, Some((generation, _))) = (unreleased == last, unreleased) {
            let due = self.state.lock().queue.release_generation(generation);
            self.dispatch(due);
        }
        unreleased
    }
}

impl<K, V, E> Inspect for Shared<K, V, E>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    fn name(&self) -> Cow<'_, str> {
        self.name.as_str().into()
    }

    fn kind(&self) -> &'static str {
        "batch_loader"
    }

    fn samples(&self, samples: &mut Vec<Sample>) {
        let state = self.state.lock();
        samples.extend([
            Sample::counter("loads", state.counts.loads),
            Sample::counter("keys", state.counts.keys),
            Sample::counter("batches", state.counts.batches),
            Sample::counter("failures", state.counts.failures),
            Sample::gauge("queued_keys", state.queue.len() as f64),
            Sample::gauge("batches_in_flight", state.queue.in_flight() as f64),
        ]);
    }
}

async fn watch<K, V, E>(shared: Weak<Shared<K, V, E>>, clock: Arc<dyn Clock>)
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    let (mut last, mut idle) = (None, 0);
    loop {
        clock.sleep(WATCHDOG_PERIOD).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        last = shared.patrol(last);
        idle = if last.is_some() { 0 } else { idle + 1 };
        if idle >= IDLE_PERIODS {
            let mut state = shared.state.lock();
            // A load that joined since the look above must not find the watchdog gone.
            if state.queue.unreleased().is_none() {
                state.watched = false;
                return;
            }
        }
    }
}

/// A batch that has left the queue. Dropped, by a panic of the loader or the end of its runtime, it
/// tells its callers so.
struct Flight<K, V, E>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    shared: Arc<Shared<K, V, E>>,
    entries: Batch<K, entry::Shared<V, E>>,
}

impl<K, V, E> Flight<K, V, E>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    async fn run(mut self) {
        let keys: Vec<_> = self.entries.iter().map(|(key, _)| key.clone()).collect();
        {
            let counts = &mut self.shared.state.lock().counts;
            counts.batches += 1;
            counts.keys += keys.len() as u64;
        }
        match (self.shared.load)(keys).await {
            Ok(mut loaded) => self.answer(|key| {
                let answer = loaded.take(key);
                answer.map_err(|error| LoadError::Failed(Arc::new(error)))
            }),
            Err(error) => {
                let error = Arc::new(error);
                self.answer(|_| Err(LoadError::Failed(Arc::clone(&error))));
            }
        }
    }

    fn answer(&mut self, mut answer: impl FnMut(&K) -> entry::Answer<V, E>) {
        let mut failures = 0;
        for (key, entry) in self.entries.drain(..) {
            let answer = answer(&key);
            failures += u64::from(answer.is_err());
            entry.answer(answer);
        }
        self.shared.state.lock().counts.failures += failures;
    }
}

impl<K, V, E> Drop for Flight<K, V, E>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    fn drop(&mut self) {
        self.answer(|_| Err(LoadError::Abandoned));
        let due = self.shared.state.lock().queue.finished();
        self.shared.dispatch(due);
    }
}
