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
        let mut span = (this.enter)();
        if let Some(node) = this.progress.node {
            // The profiler may have been paused since the call began.
            span = span.or_again(node);
        }
        span.begin_poll();
        let mut underway = Underway {
            span,
            progress: this.progress,
            ended: true,
        };
        let output = this.future.poll(context);
        underway.ended = output.is_ready();
        output
    }
}

/// A poll under way. Dropping it ends the poll, and the call unless the future is pending: a panic ends
/// it as a return does.
struct Underway<'a> {
    span: Span,
    progress: &'a mut Progress,
    ended: bool,
}

impl Drop for Underway<'_> {
    #[inline]
    fn drop(&mut self) {
        let polled = self.span.end_poll();
        if let Some(polled) = &polled {
            self.progress.advance(polled);
        }
        if self.ended {
            self.progress.complete(polled.as_ref());
        }
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

    /// Counts the call where it was polled last; one whose last poll was truncated is counted as that.
    #[inline]
    fn complete(&mut self, polled: Option<&Polled>) {
        self.node = None;
        let Some(polled) = polled else { return };
        let wall = polled.ended.saturating_sub(self.first);
        add(&polled.node.calls, 1);
        add(&polled.node.idle, wall.saturating_sub(self.busy));
        polled.node.record_latency(wall);
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
