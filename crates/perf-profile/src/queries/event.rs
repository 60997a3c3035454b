use super::book::Entry;
use super::{Observed, RequestState, on_demand};
use crate::functions;
use crate::profiler::{PROBE, Shared};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tracing::dispatcher::WeakDispatch;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Metadata};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

const QUERY_TARGET: &str = "sqlx::query";
const POOL_TARGET: &str = "sqlx::pool::acquire";
pub(super) const REQUEST_TARGET: &str = "perf_profile::request";
/// sqlx ends the summary of a statement with this when it is not the whole of it.
const CUT: &str = " …";

/// Whether the profiler has a use for a span or event.
pub(super) fn is_wanted(metadata: &Metadata<'_>) -> bool {
    matches!(
        metadata.target(),
        QUERY_TARGET | POOL_TARGET | REQUEST_TARGET
    )
}

/// The request that a span is, once for each profiler that sees it and nearly always once. The span's
/// extensions hold them, and the registry drops those when the span closes.
struct OpenRequests {
    first: Option<OpenRequest>,
    more: Vec<OpenRequest>,
}

struct OpenRequest {
    state: Arc<RequestState>,
    shared: Arc<Shared>,
}

impl OpenRequests {
    /// Takes out the profiler's own.
    fn take(&mut self, shared: &Shared) -> Option<OpenRequest> {
        if self.first.as_ref().is_some_and(|first| first.is_of(shared)) {
            return self.first.take();
        }
        let own = self.more.iter().position(|request| request.is_of(shared))?;
        Some(self.more.swap_remove(own))
    }

    fn of(&self, shared: &Shared) -> Option<Arc<RequestState>> {
        let mut requests = self.first.iter().chain(&self.more);
        let own = requests.find(|request| request.is_of(shared));
        own.map(|request| Arc::clone(&request.state))
    }
}

impl OpenRequest {
    fn is_of(&self, shared: &Shared) -> bool {
        std::ptr::eq(&*self.shared, shared)
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        let Shared {
            requests, settings, ..
        } = &*self.shared;
        requests.close(&self.state, settings.clock.now(), settings);
    }
}

/// Makes a request of a new span if it is one.
pub(super) fn open<'a, R: LookupSpan<'a>>(
    shared: &Arc<Shared>,
    attributes: &Attributes<'_>,
    registry: &'a R,
    id: &Id,
) {
    if attributes.metadata().target() != REQUEST_TARGET {
        return;
    }
    let Some(span) = registry.span(id) else {
        return;
    };
    let mut opening = Opening {
        shared,
        request: None,
    };
    attributes.record(&mut opening);
    let Some(state) = opening.request else {
        return;
    };
    let shared = Arc::clone(shared);
    let request = OpenRequest { state, shared };
    let mut extensions = span.extensions_mut();
    match extensions.get_mut::<OpenRequests>() {
        Some(requests) => requests.more.push(request),
        None => extensions.insert(OpenRequests {
            first: Some(request),
            more: Vec::new(),
        }),
    }
}

/// Ends the request that a closed span was, or tells the request that it was part of.
///
/// That the span's extensions go is not enough: the registry may lose it, as [`lost`](super::lost) explains.
pub(super) fn close<'a, R: LookupSpan<'a>>(
    shared: &Shared,
    registry: &'a R,
    dispatch: Option<&WeakDispatch>,
    id: &Id,
) {
    let Some(span) = registry.span(id) else {
        return;
    };
    let ended = span
        .extensions_mut()
        .get_mut()
        .and_then(|requests: &mut OpenRequests| requests.take(shared));
    if ended.is_none()
        && let Some(request) = span.parent().and_then(|parent| request_of(shared, &parent))
    {
        drop(span);
        request.note_closed(id, shared.settings.clock.now(), dispatch);
    }
    // Only now, without the lock of the extensions, is it judged and told of.
    drop(ended);
}

/// Records an event if it tells of a statement or of a wait for a connection.
///
/// `registry` holds the spans. It must not be one that shows only what some filter lets through: those
/// look beyond a hidden span by the stack of spans that *this thread* has entered, and SQLite's worker
/// has entered only the innermost, so a request around a span of the application would be lost.
pub(super) fn record<'a, R>(
    shared: &Shared,
    event: &Event<'_>,
    registry: &'a R,
    current: Option<&Id>,
) where
    R: LookupSpan<'a>,
{
    let mut report = Report {
        shared,
        entry: None,
        observed: Observed::default(),
        waited: None,
    };
    if is_wanted(event.metadata()) {
        event.record(&mut report);
    }
    let contextual = current.filter(|_| !event.is_root());
    let request = || {
        event
            .parent()
            .or(contextual)
            .and_then(|id| request_of(shared, &registry.span(id)?))
    };
    if let Some(entry) = report.entry {
        report.observed.function = functions::current();
        shared.book.record(
            &entry,
            report.observed,
            request().as_deref(),
            &shared.settings,
        );
    } else if let Some((waited, request)) = report.waited.zip(request()) {
        request.wait(waited);
    }
}

pub(super) fn request_of<'a, R: LookupSpan<'a>>(
    shared: &Shared,
    span: &SpanRef<'a, R>,
) -> Option<Arc<RequestState>> {
    span.scope().find_map(|span| {
        let extensions = span.extensions();
        extensions.get::<OpenRequests>()?.of(shared)
    })
}

/// Opens the request that a span names, without copying the name.
struct Opening<'a> {
    shared: &'a Shared,
    request: Option<Arc<RequestState>>,
}

impl Visit for Opening<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        let Shared {
            requests,
            settings,
            probes,
            ..
        } = self.shared;
        match (field.name(), value) {
            ("name", PROBE) => _ = probes.fetch_add(1, Relaxed),
            ("name", name) => {
                self.request = Some(on_demand::adopted(self.shared).unwrap_or_else(|| {
                    let request = requests.open(name, settings);
                    request.hand_over();
                    request
                }));
            }
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// Reads what sqlx reports, without copying a statement's text.
struct Report<'a> {
    shared: &'a Shared,
    entry: Option<Arc<Entry>>,
    observed: Observed,
    /// How long it took to get a connection of the pool.
    waited: Option<Duration>,
}

impl Visit for Report<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        // The text stands in `db.statement`, unless the summary already is all of it.
        let text = match field.name() {
            "summary" if !value.ends_with(CUT) => value,
            "db.statement" => value.trim(),
            _ => return,
        };
        if !text.is_empty() {
            let (entry, hash) = self.shared.book.entry(text, &self.shared.settings);
            self.observed.text = hash;
            self.entry = Some(entry);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "rows_returned" => self.observed.rows_returned = value,
            "rows_affected" => self.observed.rows_affected = value,
            _ => {}
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        let duration = Duration::try_from_secs_f64(value).unwrap_or_default();
        match field.name() {
            "elapsed_secs" => self.observed.elapsed = duration,
            "acquired_after_secs" => self.waited = Some(duration),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
