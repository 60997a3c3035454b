use super::lane::{Node, add};
use super::span::{Poll as Polled, Span};
use pin_project_lite::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

pin_project! {
    /// A future whose polls are timed, as `#[profile]` makes of an async function's body.
    ///
    /// Each poll is a span of its own, on whichever thread it runs. The sum of the polls is the busy
    /// time; from the first poll to completion is the wall time that the latency histogram records;
    /// the rest is idle. A future dropped between the two counts as cancelled, not as a call.
    #[must_use = "futures do nothing unless polled"]
    pub struct Profiled<F, E> {
        #[pin]
        future: F,
        enter: E,
        progress: Progress,
    }
}

/// What a future has done so far; cancelled when dropped with a node still in it.
#[derive(Debug, Default)]
struct Progress {
    node: Option<&'static Node>,
    first: u64,
    busy: u64,
}

/// Times each poll of `future` as a call that `enter` starts.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use perf_profile::{Profiler, profiled, span};
///
/// let profiler = Profiler::builder().build();
/// profiled(tokio::task::yield_now(), || span!("yield")).await;
/// let snapshot = profiler.snapshot();
/// let stats = snapshot.functions().iter().find(|function| function.name == "yield");
/// assert_eq!(stats.map(|function| (function.calls, function.polls)), Some((1, 2)));
/// # }
/// ```
pub fn profiled<F: Future, E: Fn() -> Span>(future: F, enter: E) -> Profiled<F, E> {
    Profiled {
        future,
        enter,
        progress: Progress::default(),
    }
}

impl<F: Future, E: Fn() -> Span> Future for Profiled<F, E> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let span = (this.enter)();
        let output = this.future.poll(context);
        if let Some(polled) = span.end_poll() {
            this.progress.advance(&polled);
            if output.is_ready() {
                this.progress.complete(&polled);
            }
        }
        output
    }
}

impl Progress {
    #[inline]
    fn advance(&mut self, polled: &Polled) {
        if self.node.is_none() {
            self.first = polled.started;
        }
        self.node = Some(polled.node);
        self.busy += polled.ended.saturating_sub(polled.started);
    }

    /// Counts the call where it was polled last.
    #[inline]
    fn complete(&mut self, polled: &Polled) {
        let wall = polled.ended.saturating_sub(self.first);
        add(&polled.node.calls, 1);
        add(&polled.node.idle, wall.saturating_sub(self.busy));
        polled.node.latency.record_exclusive(wall);
        self.node = None;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(node) = self.node {
            node.cancelled.fetch_add(1, Relaxed);
        }
    }
}

impl<F, E> std::fmt::Debug for Profiled<F, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profiled")
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}
