use super::{Observed, REQUEST_TARGET, RequestState};
use crate::profiler::{PROBE, Shared};
use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tracing::dispatcher::WeakDispatch;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Metadata, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Filtered;
use tracing_subscriber::layer::{Context, Filter, Layer};
use tracing_subscriber::registry::LookupSpan;

const QUERY_TARGET: &str = "sqlx::query";
/// sqlx ends the summary of a statement with this when it is not the whole of it.
const CUT: &str = " …";

/// A `tracing` layer that profiles sqlx's statements without a change to the code that runs them.
///
/// [`Profiler::sql_layer`](crate::Profiler::sql_layer) makes it. Other layers of the subscriber are
/// not affected: it filters for itself alone.
pub type SqlLayer<S> = Filtered<QueryRecorder, QueryEvents, S>;

/// Lets the profiler's layer see request spans and sqlx's statements, and nothing else.
///
/// Whether it wants something depends on the target alone, so `tracing` asks once for each call site.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueryEvents;

impl QueryEvents {
    fn wants(metadata: &Metadata<'_>) -> bool {
        matches!(metadata.target(), QUERY_TARGET | REQUEST_TARGET)
    }
}

impl<S> Filter<S> for QueryEvents {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        Self::wants(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if Self::wants(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    /// No hint: one of `DEBUG` would hide statements that a connection logs at `TRACE`.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        None
    }
}

/// Records what [`QueryEvents`] lets through.
///
/// Spans are looked up in the registry itself and not through the layer's context. The context shows
/// only spans that this layer's filter lets through, and for others falls back to the stack of spans
/// that *this thread* has entered; SQLite's worker has entered only the innermost, so a request
/// around a span of the application would be lost.
pub struct QueryRecorder {
    shared: Arc<Shared>,
    dispatch: OnceLock<WeakDispatch>,
}

impl QueryRecorder {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            dispatch: OnceLock::new(),
        }
    }

    fn request_of(&self, event: &Event<'_>) -> Option<Arc<RequestState>> {
        let dispatch = self.dispatch.get()?.upgrade()?;
        let registry = dispatch.downcast_ref::<Registry>()?;
        let current = registry.current_span();
        let span = LookupSpan::span(registry, event.parent().or_else(|| current.id())?)?;
        span.scope()
            .find_map(|span| span.extensions().get::<Arc<RequestState>>().cloned())
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for QueryRecorder {
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        // A layer belongs to one subscriber, so only the first call can matter.
        let _installed_before = self.dispatch.set(dispatch.downgrade());
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().target() != REQUEST_TARGET {
            return;
        }
        let mut name = Name(String::new());
        attributes.record(&mut name);
        if name.0 == PROBE {
            self.shared.probes.fetch_add(1, Relaxed);
        } else if let Some(span) = context.span(id) {
            let request = self.shared.requests.open(&name.0, &self.shared.settings);
            span.extensions_mut().replace(request);
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != QUERY_TARGET {
            return;
        }
        let mut query = Query::new(&self.shared);
        event.record(&mut query);
        let Query {
            entry: Some(entry),
            observed,
            ..
        } = query
        else {
            return;
        };
        let request = self.request_of(event);
        let Shared { book, settings, .. } = &*self.shared;
        book.record(&entry, observed, request.as_deref(), settings);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let state = context
            .span(&id)
            .and_then(|span| span.extensions_mut().remove::<Arc<RequestState>>());
        if let Some(state) = state {
            self.shared.requests.close(&state, &self.shared.settings);
        }
    }
}

impl fmt::Debug for QueryRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryRecorder")
            .field("installed", &self.dispatch.get().is_some())
            .finish()
    }
}

/// Reads a request's name off its span.
struct Name(String);

impl Visit for Name {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "name" {
            self.0 = value.to_owned();
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// Reads a statement off sqlx's event, without copying its text.
struct Query<'a> {
    shared: &'a Shared,
    entry: Option<Arc<super::book::Entry>>,
    observed: Observed,
}

impl<'a> Query<'a> {
    const fn new(shared: &'a Shared) -> Self {
        Self {
            shared,
            entry: None,
            observed: Observed {
                rows_returned: 0,
                rows_affected: 0,
                elapsed: Duration::ZERO,
            },
        }
    }
}

impl Visit for Query<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        // The text stands in `db.statement`, unless the summary already is all of it.
        let text = match field.name() {
            "summary" if !value.ends_with(CUT) => value,
            "db.statement" => value.trim(),
            _ => return,
        };
        if !text.is_empty() {
            self.entry = Some(self.shared.book.entry(text, &self.shared.settings));
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
        if field.name() == "elapsed_secs" {
            self.observed.elapsed = Duration::try_from_secs_f64(value).unwrap_or_default();
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
