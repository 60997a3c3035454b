//! Spans that the registry has lost, and the requests that they would keep open for ever.
//!
//! A span keeps its parent open until its data is removed. `tracing-subscriber` removes that when all
//! layers have heard of the span's close, and knows that they have by a count of the closes under way on
//! the thread. But data that another thread is reading at that moment is removed by the reader, once it
//! is done; and if the reader is just letting go of a handle, its own count is not zero. The parent's
//! close is then told to all layers, and its data never removed: every span above stays open. Two
//! threads that let go of a grandchild at once are enough, and a database driver's worker does that.
//!
//! Nothing tells a layer that this has happened, except that a span is still to be found long after its
//! close. So each request notes which of its spans have closed. One that is still there a second later
//! is lost, and a request of which a span is lost ends with its scope.

use parking_lot::Mutex;
use perf_core::Moment;
use std::mem;
use std::time::Duration;
use tracing::dispatcher::WeakDispatch;
use tracing::span::Id;
use tracing_subscriber::Registry;
use tracing_subscriber::registry::LookupSpan;

/// A closed span is removed within microseconds, unless its thread is suspended just then.
pub(super) const LOST: Duration = Duration::from_secs(1);

/// The spans within one request that have closed and may not have been removed.
#[derive(Debug, Default)]
pub(super) struct Closed(Mutex<Spans>);

#[derive(Debug, Default)]
struct Spans {
    /// Whose they are.
    dispatch: Option<WeakDispatch>,
    closed: Vec<(Id, Moment)>,
}

impl Closed {
    /// Notes that a span of the subscriber behind `dispatch` closes now.
    pub(super) fn note(&self, id: &Id, now: Moment, dispatch: Option<&WeakDispatch>) {
        self.forget_removed();
        let mut spans = self.0.lock();
        if spans.dispatch.is_none() {
            spans.dispatch = dispatch.cloned();
        }
        spans.closed.push((id.clone(), now));
    }

    /// When the last of the spans closed that are lost by now.
    pub(super) fn lost(&self, now: Moment) -> Option<Moment> {
        self.forget_removed();
        let spans = self.0.lock();
        let lost = spans.closed.iter();
        let lost = lost.filter(|(_, at)| now.since(*at) >= LOST);
        lost.map(|(_, at)| *at).max()
    }

    fn forget_removed(&self) {
        let mut spans = self.0.lock();
        let dispatch = spans.dispatch.as_ref().and_then(WeakDispatch::upgrade);
        let Some(dispatch) = dispatch else {
            return;
        };
        let Some(registry) = dispatch.downcast_ref::<Registry>() else {
            return;
        };
        let mut closed = mem::take(&mut spans.closed);
        // Without the lock: to read a span may remove it, and that closes others.
        drop(spans);
        closed.retain(|(id, _)| registry.span_data(id).is_some());
        self.0.lock().closed.append(&mut closed);
    }
}
