use super::Lines;
use crate::functions::is_recording;
use crate::ticks;
use pin_project_lite::pin_project;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

pin_project! {
    /// A future that is awaited by a statement, timed from its first poll to its end.
    #[must_use = "futures do nothing unless polled"]
    pub struct Awaited<F> {
        #[pin]
        future: F,
        wait: Wait,
    }
}

/// Counts as cancelled when dropped half way.
struct Wait {
    lines: &'static Lines,
    line: usize,
    since: Option<u64>,
}

/// Times how long statement `line` awaits `future`.
pub fn awaited<F: IntoFuture>(
    future: F,
    lines: &'static Lines,
    line: usize,
) -> Awaited<F::IntoFuture> {
    Awaited {
        future: future.into_future(),
        wait: Wait {
            lines,
            line,
            since: None,
        },
    }
}

impl<F: Future> Future for Awaited<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if this.wait.since.is_none() && is_recording() {
            this.wait.since = Some(ticks::now());
        }
        let output = this.future.poll(context);
        if output.is_ready() {
            this.wait.end();
        }
        output
    }
}

impl Wait {
    fn end(&mut self) {
        let awaits = self.lines.awaits().get(self.line);
        if let Some((since, awaits)) = self.since.take().zip(awaits) {
            let nanos = ticks::nanos(ticks::now().saturating_sub(since));
            awaits.latency.record(Duration::from_nanos(nanos));
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let awaits = self.lines.awaits().get(self.line);
        if let Some((_, awaits)) = self.since.zip(awaits) {
            awaits.cancelled.fetch_add(1, Relaxed);
        }
    }
}

impl<F> fmt::Debug for Awaited<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Awaited")
            .field("line", &self.wait.line)
            .finish_non_exhaustive()
    }
}
