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
#[derive(Debug)]
pub(super) struct Closed {
    dispatch: Option<WeakDispatch>,
    spans: Mutex<Vec<(Id, Moment)>>,
}

impl Closed {
    pub(super) const fn new(dispatch: Option<WeakDispatch>) -> Self {
        Self {
            dispatch,
            spans: Mutex::new(Vec::new()),
        }
    }

    /// Notes that a span closes now.
    pub(super) fn note(&self, id: &Id, now: Moment) {
        self.forget_removed();
        self.spans.lock().push((id.clone(), now));
    }

    /// When the last of the spans closed that are lost by now.
    pub(super) fn lost(&self, now: Moment) -> Option<Moment> {
        self.forget_removed();
        let spans = self.spans.lock();
        let lost = spans.iter().filter(|(_, at)| now.since(*at) >= LOST);
        lost.map(|(_, at)| *at).max()
    }

    fn forget_removed(&self) {
        let Some(dispatch) = self.dispatch.as_ref().and_then(WeakDispatch::upgrade) else {
            return;
        };
        let Some(registry) = dispatch.downcast_ref::<Registry>() else {
            return;
        };
        // Without the lock: to read a span may remove it, and that closes others.
        let mut spans = mem::take(&mut *self.spans.lock());
        spans.retain(|(id, _)| registry.span_data(id).is_some());
        self.spans.lock().append(&mut spans);
    }
}
