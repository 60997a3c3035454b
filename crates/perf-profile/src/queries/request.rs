use super::book::Entry;
use super::lost::Closed;
use super::names::Named;
use super::on_demand::{self, Maker};
use crate::memory::{Mark, MemoryStats, Totals};
use crate::rules::{self, Execution, Observation, Rule, Thresholds};
use crate::sql::Fingerprint;
use parking_lot::Mutex;
use perf_core::{Clock, Moment};
use pin_project_lite::pin_project;
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;
use tracing::Span;
use tracing::dispatcher::WeakDispatch;
use tracing::span::Id;

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
    held: Arc<Held>,
}

impl RequestScope {
    /// Starts a request, inside the one that the caller is in if any; the innermost counts.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let held = Held::unmade(name).unwrap_or_else(|| Held::made(name));
        Self {
            held: Arc::new(held),
        }
    }

    /// Runs `future` inside the request and ends it.
    ///
    /// # Cancel safety
    ///
    /// As that of `future`; dropping the result ends the request.
    pub async fn run<F: Future>(self, future: F) -> F::Output {
        let inside = Inside {
            future: Some(future),
            scope: self,
        };
        inside.await
    }

    /// Runs `work` inside the request, which goes on until the scope is dropped.
    pub fn in_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        self.held.count(|| match self.held.span.get() {
            Some(span) => span.in_scope(work),
            None => on_demand::inside(&self.held, work),
        })
    }

    /// The span itself, to instrument or enter by other means.
    #[must_use]
    pub fn span(&self) -> &Span {
        self.held.span()
    }

    /// The requests that it is, one for each profiler that sees it.
    pub(crate) fn requests(&self) -> impl Iterator<Item = &Arc<RequestState>> {
        self.held.begun.iter()
    }
}

pin_project! {
    /// A future inside a request, where it is dropped as well.
    struct Inside<F> {
        #[pin]
        future: Option<F>,
        scope: RequestScope,
    }

    impl<F> PinnedDrop for Inside<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            this.scope.in_scope(|| this.future.set(None));
        }
    }
}

impl<F: Future> Future for Inside<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let future = this.future.as_pin_mut();
        let future = future.expect("it is taken by its drop alone");
        this.scope.in_scope(|| future.poll(context))
    }
}

/// What all handles of a scope share, and nothing else does.
#[derive(Debug)]
pub(super) struct Held {
    /// Empty as long as nobody has asked for it.
    span: OnceLock<Span>,
    begun: Begun,
    /// Who makes the span, where it is not made at once.
    maker: Option<Maker>,
}

/// The requests that a span is, one for each profiler that sees it; nearly always it is one.
#[derive(Debug, Default)]
struct Begun {
    first: Option<Arc<RequestState>>,
    more: Vec<Arc<RequestState>>,
}

impl Begun {
    fn iter(&self) -> impl Iterator<Item = &Arc<RequestState>> {
        self.first.iter().chain(&self.more)
    }

    fn add(&mut self, request: Arc<RequestState>) {
        if self.first.is_none() {
            self.first = Some(request);
        } else {
            self.more.push(request);
        }
    }
}

impl Held {
    /// A request with its span.
    fn made(name: &str) -> Self {
        let outer = MAKING.replace(Some(Begun::default()));
        let span = on_demand::span(name);
        let begun = MAKING.replace(outer).unwrap_or_default();
        Self {
            span: OnceLock::from(span),
            begun,
            maker: None,
        }
    }

    /// A request without a span, where the subscriber makes do with that.
    fn unmade(name: &str) -> Option<Self> {
        let (maker, request) = Maker::begin(name)?;
        let mut begun = Begun::default();
        begun.add(request);
        Some(Self {
            span: OnceLock::new(),
            begun,
            maker: Some(maker),
        })
    }

    pub(super) fn span(&self) -> &Span {
        self.span.get_or_init(|| {
            let made = self.maker.as_ref().zip(self.begun.first.as_ref());
            made.map_or_else(Span::none, |(maker, request)| maker.make(request))
        })
    }

    /// The span, unless nobody has asked for it.
    pub(super) fn made_span(&self) -> Option<&Span> {
        self.span.get()
    }

    pub(super) const fn maker(&self) -> Option<&Maker> {
        self.maker.as_ref()
    }

    /// Does `work`, and counts what it allocates on this thread.
    fn count<T>(&self, work: impl FnOnce() -> T) -> T {
        let mark = Mark::start();
        let result = work();
        let delta = mark.end();
        for request in self.begun.iter() {
            request.memory.add(delta);
        }
        result
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        match (self.span.take(), &self.maker) {
            (None, Some(maker)) => {
                for request in self.begun.iter() {
                    maker.end(request);
                }
            }
            (span, _) => {
                // With it, most often all is over.
                drop(span);
                for request in self.begun.iter() {
                    request.leave();
                }
            }
        }
    }
}

thread_local! {
    /// The requests so far of the scope whose span is being made.
    static MAKING: Cell<Option<Begun>> = const { Cell::new(None) };
}

/// What a request has done so far; kept in its span's extensions, if it has one.
#[derive(Debug)]
pub(crate) struct RequestState {
    pub(crate) name: Arc<str>,
    pub(super) named: Arc<Named>,
    /// Which request it is of all that the profiler has seen, counted from 1.
    pub(crate) number: u64,
    /// Where it stands among the open ones.
    pub(super) place: usize,
    pub(crate) started: Moment,
    clock: Arc<dyn Clock>,
    memory: Totals,
    /// When the last handle of its scope went, if the request went on.
    left: OnceLock<Moment>,
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
    /// A request that begins.
    pub(super) fn new(
        (name, named): (Arc<str>, Arc<Named>),
        (number, place): (u64, usize),
        started: Moment,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            name,
            named,
            number,
            place,
            started,
            clock,
            memory: Totals::new(),
            left: OnceLock::new(),
            closed: Closed::default(),
            ended: AtomicBool::new(false),
            log: Mutex::default(),
        }
    }

    /// Tells the scope whose span is being made of its request. A span without a scope has none that could go.
    pub(super) fn hand_over(self: &Arc<Self>) {
        let making = MAKING.take();
        if let Some(mut begun) = making {
            begun.add(Arc::clone(self));
            MAKING.set(Some(begun));
        } else {
            self.leave();
        }
    }

    /// Notes that the last handle of the scope goes now. Most often it was the span's as well, and all is over.
    fn leave(&self) {
        if !self.ended.load(Relaxed) {
            // Nothing else sets it.
            let _unset = self.left.set(self.clock.now());
        }
    }

    /// Ends the request; tells whether it had not ended yet.
    pub(super) fn end(&self) -> bool {
        !self.ended.swap(true, Relaxed)
    }

    /// Notes that a span within the request closes now.
    pub(super) fn note_closed(&self, id: &Id, now: Moment, dispatch: Option<&WeakDispatch>) {
        self.closed.note(id, now, dispatch);
    }

    /// Whether its scope has gone before its span.
    pub(super) fn is_left(&self) -> bool {
        self.left.get().is_some()
    }

    /// When the request ended, if its span's close is not to be waited for: its scope has gone, and the
    /// registry has lost a span of it.
    pub(super) fn abandoned(&self, now: Moment) -> Option<Moment> {
        let left = *self.left.get()?;
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

    /// What its scope's own code has allocated so far.
    pub(crate) fn memory(&self) -> MemoryStats {
        self.memory.stats()
    }

    pub(crate) fn queries(&self) -> u64 {
        self.log.lock().queries
    }

    /// How many queries it has run, and what there is to say of them.
    pub(super) fn judge(&self, thresholds: Thresholds) -> (u64, Vec<Observation>) {
        let log = self.log.lock();
        let mut observations = if log.executions.is_empty() {
            Vec::new()
        } else {
            rules::find(&log.executions, thresholds)
        };
        observations.extend(log.pool_wait());
        (log.queries, observations)
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

impl Log {
    /// The finding that the waits amount to.
    fn pool_wait(&self) -> Option<Observation> {
        (self.waited >= LONG_WAIT).then_some(Observation {
            rule: Rule::PoolWait,
            fingerprint: Fingerprint::POOL,
            repeats: self.waits,
            rows: 0,
            time: self.waited,
            cause: None,
        })
    }
}
