use super::book::Entry;
use super::event::REQUEST_TARGET;
use super::lost::Closed;
use crate::memory::{Mark, MemoryStats, Totals};
use crate::rules::{Execution, Observation, Rule};
use crate::sql::Fingerprint;
use parking_lot::Mutex;
use perf_core::{Clock, Moment};
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tracing::dispatcher::WeakDispatch;
use tracing::span::Id;
use tracing::{Instrument, Span};

/// A request's executions beyond this many count, but take no part in its findings.
const MAX_EXECUTIONS: usize = 10_000;

/// One unit of work that queries are attributed to: a request, a job, a test.
///
/// It is a `tracing` span, so whatever runs inside belongs to it, on any thread: nested spans, joined
/// futures, and tasks spawned with `tracing::Instrument::in_current_span`. A task spawned without is
/// outside. The scope ends when the last of them has. Memory is counted as what [`run`](Self::run) and
/// [`in_scope`](Self::in_scope) allocate, spawned tasks excluded.
///
/// Keep the number of names small, such as routes: each has figures of its own.
#[derive(Clone, Debug)]
pub struct RequestScope {
    span: Span,
    held: Arc<Held>,
}

impl RequestScope {
    /// Starts a request, inside the one that the caller is in if any; the innermost counts.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let held = Arc::new(Held::default());
        let outer = MAKING.replace(Arc::downgrade(&held));
        // At error level, since a global filter of level `warn` would otherwise disable it. A span
        // prints nothing by itself.
        let span = tracing::error_span!(target: REQUEST_TARGET, "request", name);
        MAKING.set(outer);
        Self { span, held }
    }

    /// Runs `future` inside the request and ends it.
    ///
    /// # Cancel safety
    ///
    /// As that of `future`; dropping the result ends the request.
    pub async fn run<F: Future>(self, future: F) -> F::Output {
        let Self { span, held } = self;
        let mut future = pin!(future.instrument(span));
        poll_fn(|context| held.count(|| future.as_mut().poll(context))).await
    }

    /// Runs `work` inside the request, which goes on until the scope is dropped.
    pub fn in_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        self.held.count(|| self.span.in_scope(work))
    }

    /// The span itself, to instrument or enter by other means.
    #[must_use]
    pub const fn span(&self) -> &Span {
        &self.span
    }
}

/// What all handles of a scope share, and nothing else does.
#[derive(Debug, Default)]
struct Held {
    memory: Arc<Totals>,
    departures: Mutex<Vec<Arc<Departure>>>,
}

impl Held {
    /// Does `work`, and counts what it allocates on this thread.
    fn count<T>(&self, work: impl FnOnce() -> T) -> T {
        let mark = Mark::start();
        let result = work();
        self.memory.add(mark.end());
        result
    }
}

/// When the last handle of a scope went, by the clock of one profiler.
#[derive(Debug)]
struct Departure {
    memory: Arc<Totals>,
    clock: Arc<dyn Clock>,
    at: OnceLock<Moment>,
}

impl Drop for Held {
    fn drop(&mut self) {
        for departure in self.departures.get_mut() {
            // Nothing else sets it once a handle exists.
            let _unset = departure.at.set(departure.clock.now());
        }
    }
}

thread_local! {
    /// The scope whose span is being made.
    static MAKING: Cell<Weak<Held>> = const { Cell::new(Weak::new()) };
}

/// A departure to come, of the scope whose span is being made; of a span without a scope, a past one.
fn departure(clock: &Arc<dyn Clock>) -> Arc<Departure> {
    let scope = MAKING.take();
    let held = scope.upgrade();
    let departure = Arc::new(Departure {
        memory: held
            .as_ref()
            .map(|held| Arc::clone(&held.memory))
            .unwrap_or_default(),
        clock: Arc::clone(clock),
        at: OnceLock::new(),
    });
    match held {
        Some(held) => held.departures.lock().push(Arc::clone(&departure)),
        None => _ = departure.at.set(clock.now()),
    }
    MAKING.set(scope);
    departure
}

/// What a request has done so far; kept in its span's extensions.
#[derive(Debug)]
pub(crate) struct RequestState {
    pub(crate) name: Arc<str>,
    pub(crate) span: Id,
    /// Which request it is of all that the profiler has seen, counted from 1.
    pub(crate) number: u64,
    pub(crate) started: Moment,
    departure: Arc<Departure>,
    closed: Closed,
    ended: AtomicBool,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    executions: Vec<Execution>,
    entries: Vec<Arc<Entry>>,
    queries: u64,
    waits: u64,
    waited: Duration,
}

/// A request that has waited so long for connections has a finding.
const LONG_WAIT: Duration = Duration::from_millis(100);

impl RequestState {
    /// The request of a span that is being made.
    pub(crate) fn new(
        name: &str,
        span: Id,
        dispatch: Option<WeakDispatch>,
        number: u64,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        Self {
            name: name.into(),
            span,
            number,
            started: clock.now(),
            departure: departure(clock),
            closed: Closed::new(dispatch),
            ended: AtomicBool::new(false),
            log: Mutex::default(),
        }
    }

    /// Ends the request; tells whether it had not ended yet.
    pub(super) fn end(&self) -> bool {
        !self.ended.swap(true, Relaxed)
    }

    /// Notes that a span within the request closes now.
    pub(super) fn note_closed(&self, id: &Id, now: Moment) {
        self.closed.note(id, now);
    }

    /// When the request ended, if its span's close is not to be waited for: its scope has gone, and the
    /// registry has lost a span of it.
    pub(super) fn abandoned(&self, now: Moment) -> Option<Moment> {
        let left = *self.departure.at.get()?;
        self.closed.lost(now).map(|closed| closed.max(left))
    }

    pub(super) fn record(&self, entry: &Arc<Entry>, execution: Execution) {
        let mut log = self.log.lock();
        log.queries += 1;
        if log.executions.len() < MAX_EXECUTIONS {
            log.executions.push(execution);
            log.entries.push(Arc::clone(entry));
        }
    }

    /// Notes that the request waited for a connection.
    pub(super) fn wait(&self, waited: Duration) {
        let mut log = self.log.lock();
        log.waits += 1;
        log.waited += waited;
    }

    /// The finding that the request's waits amount to.
    pub(super) fn pool_wait(&self) -> Option<Observation> {
        let log = self.log.lock();
        (log.waited >= LONG_WAIT).then_some(Observation {
            rule: Rule::PoolWait,
            fingerprint: Fingerprint::POOL,
            repeats: log.waits,
            rows: 0,
            time: log.waited,
            cause: None,
        })
    }

    /// What its scope's own code has allocated so far.
    pub(crate) fn memory(&self) -> MemoryStats {
        self.departure.memory.stats()
    }

    pub(crate) fn queries(&self) -> u64 {
        self.log.lock().queries
    }

    /// Runs `analysis` on the executions, in the order in which they ended.
    pub(crate) fn analyse<T>(&self, analysis: impl FnOnce(&[Execution]) -> T) -> T {
        analysis(&self.log.lock().executions)
    }

    /// The profiled function that ran a statement of this request first.
    pub(super) fn function_of(&self, fingerprint: Fingerprint) -> Option<&'static str> {
        let log = self.log.lock();
        let mut ran = log.executions.iter();
        let first = ran.find(|execution| execution.fingerprint == fingerprint);
        first.and_then(|execution| execution.function)
    }

    /// The text of a statement that ran in this request.
    pub(super) fn text_of(&self, fingerprint: Fingerprint) -> String {
        if fingerprint == Fingerprint::POOL {
            return "acquire a connection".into();
        }
        let log = self.log.lock();
        let ran = log
            .entries
            .iter()
            .find(|entry| entry.statement.fingerprint() == fingerprint);
        ran.map(|entry| entry.statement.text().to_owned())
            .unwrap_or_default()
    }
}
