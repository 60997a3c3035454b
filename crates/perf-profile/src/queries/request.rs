use super::book::Entry;
use super::event::REQUEST_TARGET;
use crate::rules::{Execution, Observation, Rule};
use crate::sql::Fingerprint;
use parking_lot::Mutex;
use perf_core::Moment;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tracing::span::Id;
use tracing::{Instrument, Span};

/// A request's executions beyond this many count, but take no part in its findings.
const MAX_EXECUTIONS: usize = 10_000;

/// One unit of work that queries are attributed to: a request, a job, a test.
///
/// It is a `tracing` span, so whatever runs inside belongs to it, on any thread: nested spans, joined
/// futures, and tasks spawned with `tracing::Instrument::in_current_span`. A task spawned without is
/// outside. The scope ends when the last of them has.
///
/// Keep the number of names small, such as routes: each has figures of its own.
#[derive(Clone, Debug)]
pub struct RequestScope {
    span: Span,
}

impl RequestScope {
    /// Starts a request, inside the one that the caller is in if any; the innermost counts.
    #[must_use]
    pub fn new(name: &str) -> Self {
        // At error level, since a global filter of level `warn` would otherwise disable it. A span
        // prints nothing by itself.
        Self {
            span: tracing::error_span!(target: REQUEST_TARGET, "request", name),
        }
    }

    /// Runs `future` inside the request and ends it.
    ///
    /// # Cancel safety
    ///
    /// As that of `future`; dropping the result ends the request.
    pub async fn run<F: Future>(self, future: F) -> F::Output {
        future.instrument(self.span).await
    }

    /// Runs `work` inside the request, which goes on until the scope is dropped.
    pub fn in_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        self.span.in_scope(work)
    }

    /// The span itself, to instrument or enter by other means.
    #[must_use]
    pub const fn span(&self) -> &Span {
        &self.span
    }
}

/// What a request has done so far; kept in its span's extensions.
#[derive(Debug)]
pub(crate) struct RequestState {
    pub(crate) name: Arc<str>,
    pub(crate) span: Id,
    /// Which request it is of all that the profiler has seen, counted from 1.
    pub(crate) number: u64,
    pub(crate) started: Moment,
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
    pub(crate) fn new(name: &str, span: Id, number: u64, started: Moment) -> Self {
        Self {
            name: name.into(),
            span,
            number,
            started,
            log: Mutex::default(),
        }
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

    pub(crate) fn queries(&self) -> u64 {
        self.log.lock().queries
    }

    /// Runs `analysis` on the executions, in the order in which they ended.
    pub(crate) fn analyse<T>(&self, analysis: impl FnOnce(&[Execution]) -> T) -> T {
        analysis(&self.log.lock().executions)
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
