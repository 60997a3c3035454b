#![allow(
    unsafe_code,
    reason = "`Subscriber::downcast_raw` can only be forwarded as it is"
)]

use super::event::{self, is_wanted};
use super::on_demand::{self, Demanded};
use crate::profiler::Shared;
use std::any::TypeId;
use std::fmt;
use std::sync::{Arc, OnceLock};
use tracing::dispatcher::WeakDispatch;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Metadata, Subscriber};
use tracing_core::span::Current;
use tracing_subscriber::registry::LookupSpan;

/// A whole subscriber with the profiler around it: whatever filters it has, the profiler sees all.
///
/// [`Profiler::wrap`](crate::Profiler::wrap) makes it. Where a [`SqlLayer`](super::SqlLayer) stands
/// among the subscriber's layers, and behind its global filters, this stands before them: it takes
/// requests and statements in, and passes on what the subscriber would have let through.
pub struct Wrapped<S> {
    inner: S,
    shared: Arc<Shared>,
    dispatch: OnceLock<WeakDispatch>,
    demanded: Option<Demanded>,
}

impl<S> Wrapped<S> {
    pub(crate) const fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self {
            inner,
            shared,
            dispatch: OnceLock::new(),
            demanded: None,
        }
    }

    /// Has the span of a request made only when something within it needs one: a statement, a span or an event of the
    /// application, a task that is spawned in the current span.
    ///
    /// A request in which nothing of that happens costs a fraction then. All figures and findings are the same, and lines
    /// of a log still name the request that they belong to. What the subscriber's own layers lose is the span of a request
    /// in which they would have heard of nothing else; leave it off if one of them counts, prints or exports spans.
    ///
    /// ```
    /// use perf_profile::{Profiler, RequestScope};
    /// use tracing_subscriber::{filter::LevelFilter, layer::SubscriberExt};
    ///
    /// let profiler = Profiler::builder().build();
    /// let log = tracing_subscriber::registry().with(tracing_subscriber::fmt::layer());
    /// let subscriber = profiler.wrap(log.with(LevelFilter::WARN)).with_spans_on_demand();
    /// tracing::subscriber::with_default(subscriber, || {
    ///     RequestScope::new("GET /flights").in_scope(|| ());
    /// });
    /// assert_eq!(profiler.snapshot().requests()[0].requests, 1);
    /// ```
    #[must_use]
    pub fn with_spans_on_demand(mut self) -> Self {
        self.demanded = Demanded::of(&self.shared);
        self
    }
}

impl<S: Subscriber> Wrapped<S> {
    /// Makes and enters the span of the request that the thread is in, if that was left for later. Tells whether it was.
    fn look(&self) -> bool {
        let Some(held) = on_demand::found(&self.shared) else {
            return false;
        };
        if let Some(id) = held.span().id() {
            self.inner.enter(&id);
        }
        true
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Subscriber for Wrapped<S> {
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        // A subscriber is installed once, so only the first call can matter.
        let _installed_before = self.dispatch.set(dispatch.downgrade());
        self.inner.on_register_dispatch(dispatch);
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        let interest = self.inner.register_callsite(metadata);
        if is_wanted(metadata) {
            Interest::always()
        } else {
            interest
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // A filter of one layer leaves its verdict behind for the event to come, so it is asked anyway.
        let enabled = self.inner.enabled(metadata);
        enabled || is_wanted(metadata)
    }

    /// No hint: one of `INFO` would hide the statements from the profiler, too.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        None
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        if self.look() || is_wanted(attributes.metadata()) {
            let _verdict_for_layers = self.inner.enabled(attributes.metadata());
        }
        let id = self.inner.new_span(attributes);
        event::open(&self.shared, attributes, &self.inner, &id);
        id
    }

    fn event_enabled(&self, event: &Event<'_>) -> bool {
        is_wanted(event.metadata()) || self.inner.event_enabled(event)
    }

    fn event(&self, event: &Event<'_>) {
        let looked = self.look();
        let wanted = is_wanted(event.metadata());
        if wanted {
            event::record(
                &self.shared,
                event,
                &self.inner,
                self.inner.current_span().id(),
            );
        }
        // What was decided before is not to be relied on, if it is for ours or a span was made since.
        let undecided = looked || wanted;
        let is_enabled = || self.inner.enabled(event.metadata()) && self.inner.event_enabled(event);
        if !undecided || is_enabled() {
            self.inner.event(event);
        }
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.inner.record(span, values);
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        self.inner.record_follows_from(span, follows);
    }

    fn enter(&self, span: &Id) {
        self.look();
        self.inner.enter(span);
    }

    fn exit(&self, span: &Id) {
        self.inner.exit(span);
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.inner.clone_span(id)
    }

    fn try_close(&self, id: Id) -> bool {
        let closed = self.inner.try_close(id.clone());
        if closed {
            event::close(&self.shared, &self.inner, self.dispatch.get(), &id);
        }
        closed
    }

    fn current_span(&self) -> Current {
        self.look();
        self.inner.current_span()
    }

    unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
        if id == TypeId::of::<Self>() {
            return Some(std::ptr::from_ref(self).cast());
        }
        if id == TypeId::of::<Demanded>() {
            return self
                .demanded
                .as_ref()
                .map(|demanded| std::ptr::from_ref(demanded).cast());
        }
        // SAFETY: the caller upholds the same contract, and `inner` lives as long as `self`.
        unsafe { self.inner.downcast_raw(id) }
    }
}

impl<S> fmt::Debug for Wrapped<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wrapped").finish_non_exhaustive()
    }
}
