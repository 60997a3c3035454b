use super::event::{self, is_wanted};
use crate::profiler::Shared;
use std::fmt;
use std::sync::{Arc, OnceLock};
use tracing::dispatcher::WeakDispatch;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Metadata, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Context, Filter, Layer};
use tracing_subscriber::registry::LookupSpan;

/// Lets the profiler's layer see request spans and sqlx's statements, and nothing else.
///
/// Whether it wants something depends on the target alone, so `tracing` asks once for each call site.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueryEvents;

impl<S> Filter<S> for QueryEvents {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        is_wanted(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_wanted(metadata) {
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
/// Spans are looked up in the registry itself and not through the layer's context, which shows only
/// those that this layer's filter lets through.
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

    /// Hears that any span has closed, whether it was wanted or not.
    pub(super) fn closed(&self, id: &Id) {
        self.with_registry(|registry| {
            event::close(&self.shared, registry, self.dispatch.get(), id)
        });
    }

    fn with_registry(&self, work: impl FnOnce(&Registry)) {
        let dispatch = self.dispatch.get().and_then(WeakDispatch::upgrade);
        let registry = dispatch.as_ref().and_then(Dispatch::downcast_ref);
        if let Some(registry) = registry {
            work(registry);
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for QueryRecorder {
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        // A layer belongs to one subscriber, so only the first call can matter.
        let _installed_before = self.dispatch.set(dispatch.downgrade());
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        self.with_registry(|registry| {
            event::open(&self.shared, attributes, registry, id);
        });
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        self.closed(&id);
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.with_registry(|registry| {
            event::record(&self.shared, event, registry, registry.current_span().id());
        });
    }
}

impl fmt::Debug for QueryRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryRecorder")
            .field("installed", &self.dispatch.get().is_some())
            .finish()
    }
}
