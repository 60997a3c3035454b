use super::book::{Book, Entry};
use super::event::request_of;
use super::{RequestState, RunningQuery};
use crate::functions;
use crate::profiler::Shared;
use perf_core::Moment;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tracing::dispatcher;
use tracing_subscriber::Registry;
use tracing_subscriber::registry::LookupSpan;

/// A statement that was asked for.
pub(crate) struct Asked {
    pub(crate) entry: Arc<Entry>,
    /// The hash of its text.
    pub(crate) text: u64,
    pub(crate) request: Option<Arc<RequestState>>,
    pub(crate) function: Option<&'static str>,
}

impl Asked {
    /// Whatever asks for `sql` here and now.
    pub(crate) fn new(shared: &Shared, sql: &str) -> Self {
        let (entry, text) = shared.book.entry(sql, &shared.settings);
        Self {
            entry,
            text,
            request: current_request(shared),
            function: functions::current(),
        }
    }

    pub(crate) fn running(&self) -> RunningQuery {
        let request = self.request.as_ref();
        RunningQuery {
            fingerprint: self.entry.statement.fingerprint(),
            text: self.entry.statement.text().to_owned(),
            elapsed: Duration::ZERO,
            request: request.map(|request| (*request.name).to_owned()),
            function: self.function,
        }
    }
}

/// The request that this thread is in.
fn current_request(shared: &Shared) -> Option<Arc<RequestState>> {
    dispatcher::get_default(|dispatch| {
        let registry = dispatch.downcast_ref::<Registry>()?;
        // Of the whole subscriber, since it may make the span only now.
        let span = dispatch.current_span();
        request_of(shared, &registry.span(span.id()?)?)
    })
}

impl Book {
    /// Notes that a statement runs, under a number to end it by.
    pub(crate) fn begin(&self, query: RunningQuery, now: Moment) -> u64 {
        let mut register = self.running.lock();
        register.0 += 1;
        let number = register.0;
        register.1.insert(number, (now, query));
        number
    }

    pub(crate) fn end(&self, number: u64) {
        self.running.lock().1.remove(&number);
    }
}

impl Entry {
    pub(crate) fn saw_first_row(&self, after: Duration) {
        self.first_row.record(after);
    }

    pub(crate) fn failed(&self) {
        self.errors.fetch_add(1, Relaxed);
    }
}
