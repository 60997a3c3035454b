//! Requests whose span is made only when somebody looks.
//!
//! To make a span, enter it at each poll and close it costs more than all else that is done for a request that
//! runs no statement. A span is needed only where something asks for it: a driver that sends the current span to its
//! worker, a task that is spawned in it, a span of the application within it, an event. All of these come to the
//! subscriber, and one that is [`Wrapped`](super::Wrapped) sees them first. So a request begins without a span, each poll
//! leaves a note on its thread, and the first question that finds the note has the span made and entered, as if it had
//! always been there.

use super::RequestState;
use super::event::REQUEST_TARGET;
use super::request::Held;
use crate::profiler::{PROBE, Shared};
use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use tracing::dispatcher::{self, Dispatch};
use tracing::field::Value;
use tracing::{Metadata, Span};

/// The span of a request that begins here and now.
pub(super) fn span(name: &str) -> Span {
    // At error level, since a global filter of level `warn` would otherwise disable it. A span
    // prints nothing by itself.
    tracing::error_span!(target: REQUEST_TARGET, "request", name)
}

/// What a subscriber answers that makes spans on demand, when it is asked for one.
pub(super) struct Demanded {
    shared: Arc<Shared>,
    /// What [`span`] tells subscribers of its spans.
    metadata: &'static Metadata<'static>,
}

impl Demanded {
    /// `None` where `tracing` is compiled without spans.
    pub(super) fn of(shared: &Arc<Shared>) -> Option<Self> {
        let nobody = Dispatch::none();
        let metadata = dispatcher::with_default(&nobody, || span("").metadata())?;
        let shared = Arc::clone(shared);
        Some(Self { shared, metadata })
    }
}

/// Makes the span of a request.
pub(super) struct Maker {
    shared: Arc<Shared>,
    metadata: &'static Metadata<'static>,
    dispatch: Dispatch,
}

impl Maker {
    /// Begins a request that can do without a span for now.
    pub(super) fn begin(name: &str) -> Option<(Self, Arc<RequestState>)> {
        dispatcher::get_default(|dispatch| {
            let Demanded { shared, metadata } = dispatch.downcast_ref()?;
            // Within another span it would have to know where.
            if name == PROBE || dispatch.current_span().id().is_some() {
                return None;
            }
            let maker = Self {
                shared: Arc::clone(shared),
                metadata,
                dispatch: dispatch.clone(),
            };
            Some((maker, shared.requests.open(name, &shared.settings)))
        })
    }

    /// Makes the span of a request that began without.
    pub(super) fn make(&self, request: &Arc<RequestState>) -> Span {
        let outer = ADOPTED.replace(Some((Arc::clone(&self.shared), Arc::clone(request))));
        let fields = self.metadata.fields();
        let name: &dyn Value = &&*request.name;
        let field = fields.iter().next();
        let span = field.map_or_else(Span::none, |field| {
            let values = [(&field, Some(name))];
            Span::new_root_with(self.metadata, &fields.value_set(&values), &self.dispatch)
        });
        ADOPTED.set(outer);
        span
    }

    /// Ends a request that never had a span.
    pub(super) fn end(&self, request: &RequestState) {
        let Shared {
            requests, settings, ..
        } = &*self.shared;
        requests.close(request, settings.clock.now(), settings);
    }
}

impl fmt::Debug for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Maker").finish_non_exhaustive()
    }
}

thread_local! {
    /// The request without a span that this thread is in.
    static NOTED: Cell<Option<Arc<Held>>> = const { Cell::new(None) };
    /// The request whose span is being made.
    static ADOPTED: Cell<Option<(Arc<Shared>, Arc<RequestState>)>> = const { Cell::new(None) };
}

/// The request of this profiler whose span is being made, if it began before.
pub(super) fn adopted(shared: &Shared) -> Option<Arc<RequestState>> {
    let (owner, request) = ADOPTED.take()?;
    if std::ptr::eq(&*owner, shared) {
        return Some(request);
    }
    ADOPTED.set(Some((owner, request)));
    None
}

/// Does `work` inside a request that has no span yet.
pub(super) fn inside<T>(held: &Arc<Held>, work: impl FnOnce() -> T) -> T {
    let _note = Note::leave(held);
    work()
}

/// A note that this thread is in a request.
struct Note<'h> {
    held: &'h Arc<Held>,
    outer: Option<Arc<Held>>,
}

impl<'h> Note<'h> {
    fn leave(held: &'h Arc<Held>) -> Self {
        let mut outer = NOTED.take();
        if outer.is_some() {
            NOTED.set(outer);
            // One request inside another: to ask is enough to have the outer's span made.
            let dispatch = held.maker().map(|maker| &maker.dispatch);
            let _asked = dispatch.map(Dispatch::current_span);
            outer = NOTED.take();
        }
        NOTED.set(Some(Arc::clone(held)));
        Self { held, outer }
    }
}

impl Drop for Note<'_> {
    fn drop(&mut self) {
        let note = NOTED.replace(self.outer.take());
        if note.is_none() {
            // It was found, and the span entered.
            let span = self.held.made_span();
            span.map(|span| span.with_subscriber(|(id, dispatch)| dispatch.exit(id)));
        }
    }
}

/// The request that this thread is in, for its span to be entered, if nobody has asked for it before.
pub(super) fn found(shared: &Shared) -> Option<Arc<Held>> {
    let held = NOTED.take()?;
    let maker = held.maker();
    if maker.is_some_and(|maker| std::ptr::eq(&*maker.shared, shared)) {
        return Some(held);
    }
    NOTED.set(Some(held));
    None
}
