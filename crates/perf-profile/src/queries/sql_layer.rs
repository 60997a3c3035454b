#![allow(
    unsafe_code,
    reason = "`Layer::downcast_raw` can only be forwarded as it is"
)]

use super::{QueryEvents, QueryRecorder};
use crate::profiler::Shared;
use std::any::TypeId;
use std::fmt;
use std::sync::Arc;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Metadata, Subscriber};
use tracing_subscriber::filter::Filtered;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// A `tracing` layer that profiles sqlx's statements without a change to the code that runs them.
///
/// [`Profiler::sql_layer`](crate::Profiler::sql_layer) makes it. Other layers of the subscriber are
/// not affected: it filters for itself alone. Of the spans that it does not want, it hears only that they
/// close, since those of them that the registry loses would keep a request open; that they are entered and
/// left, which happens at each poll, it does not hear at all.
pub struct SqlLayer<S> {
    filtered: Filtered<QueryRecorder, QueryEvents, S>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> SqlLayer<S> {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            filtered: QueryRecorder::new(shared).with_filter(QueryEvents),
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for SqlLayer<S> {
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.filtered.on_register_dispatch(dispatch);
    }

    fn on_layer(&mut self, subscriber: &mut S) {
        self.filtered.on_layer(subscriber);
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.filtered.register_callsite(metadata)
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
        self.filtered.enabled(metadata, context)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.filtered.max_level_hint()
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.filtered.on_new_span(attributes, id, context);
    }

    fn event_enabled(&self, event: &Event<'_>, context: Context<'_, S>) -> bool {
        self.filtered.event_enabled(event, context)
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        self.filtered.on_event(event, context);
    }

    /// Past the filter: every span's close counts.
    fn on_close(&self, id: Id, _: Context<'_, S>) {
        self.filtered.inner().closed(&id);
    }

    unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
        if id == TypeId::of::<Self>() {
            return Some(std::ptr::from_ref(self).cast());
        }
        // SAFETY: the caller upholds the same contract, and `filtered` lives as long as `self`.
        unsafe { self.filtered.downcast_raw(id) }
    }
}

impl<S> fmt::Debug for SqlLayer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SqlLayer")
            .field(self.filtered.inner())
            .finish()
    }
}
