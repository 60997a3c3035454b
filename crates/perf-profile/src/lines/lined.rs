use super::Lines;
use super::frame::{Entered, Frame, Left, Memory, table};
use crate::functions::is_recording;
use pin_project_lite::pin_project;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread::LocalKey;

pin_project! {
    /// The body of an async function whose statements are timed.
    #[must_use = "futures do nothing unless polled"]
    pub struct Lined<F> {
        #[pin]
        future: F,
        lines: &'static Lines,
        frame: &'static LocalKey<Frame>,
        memory: &'static LocalKey<Memory>,
        // The statement that the last poll ended in, and when.
        waiting: Option<(usize, u64)>,
    }
}

/// Swaps a frame in for each poll of `future`.
pub fn lined<F: Future>(
    future: F,
    lines: &'static Lines,
    frame: &'static LocalKey<Frame>,
    memory: &'static LocalKey<Memory>,
) -> Lined<F> {
    Lined {
        future,
        lines,
        frame,
        memory,
        waiting: None,
    }
}

impl<F: Future> Future for Lined<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let table = is_recording()
            .then(|| table(this.lines, this.frame))
            .flatten();
        let Some(table) = table else {
            return this.future.poll(context);
        };
        let (line, left) = this.waiting.unzip();
        let entered = Entered::enter(table, line.unwrap_or(0), this.frame, this.memory);
        if let (Some(line), Some(left)) = (line, left) {
            table.wait(line, entered.since().saturating_sub(left));
        }
        let mut polled = Polled {
            entered: Some(entered),
            waiting: this.waiting,
        };
        let output = this.future.poll(context);
        polled.leave();
        output
    }
}

/// A poll under way; a panic ends it as a return does.
struct Polled<'a> {
    entered: Option<Entered>,
    waiting: &'a mut Option<(usize, u64)>,
}

impl Polled<'_> {
    fn leave(&mut self) {
        let left = self.entered.take().and_then(Entered::leave);
        *self.waiting = left.map(|Left { line, at }| (line, at));
    }
}

impl Drop for Polled<'_> {
    fn drop(&mut self) {
        if self.entered.is_some() {
            self.leave();
        }
    }
}

impl<F> fmt::Debug for Lined<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lined")
            .field("waiting", &self.waiting)
            .finish_non_exhaustive()
    }
}
