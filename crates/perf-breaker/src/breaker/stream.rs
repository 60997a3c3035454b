use super::classify::{Classify, Outcome};
use super::core::{Holder, nanos_since};
use super::machine::Verdict;
use super::permit::Permit;
use crate::error::GuardError;
use crate::window::Trace;
use futures_core::Stream;
use perf_core::Moment;
use perf_core::clock::Sleep;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

pin_project_lite::pin_project! {
    /// The stream of [`CircuitBreaker::stream`](super::CircuitBreaker::stream): one call, however many
    /// items it has.
    ///
    /// It asks for a permit when first polled; a refusal is its only item. Then
    ///
    /// - it has succeeded once it ends;
    /// - the first item that the classifier does not call a success decides how it ended. What follows
    ///   that item passes through and counts no more;
    /// - the slow-call limit and the call time-out apply to each wait for an item, not to the time that the
    ///   reader takes between items. A wait beyond the limit makes the whole stream slow; one beyond the
    ///   time-out ends it with [`GuardError::Elapsed`], and it has failed;
    /// - dropped, it is judged by the wait under way as a call would be. If that says nothing, it has
    ///   succeeded if an item has come of it, and was not made otherwise.
    #[must_use = "a stream is read when it is polled"]
    pub struct GuardedStream<'b, S, C> {
        stage: Stage<'b>,
        waits: Waits,
        classify: C,
        #[pin]
        stream: S,
    }

    impl<S, C> PinnedDrop for GuardedStream<'_, S, C> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Stage::Admitted(permit) = mem::replace(this.stage, Stage::Done) {
                let verdict = this.waits.verdict_when_dropped(&permit);
                permit.finish(verdict);
            }
        }
    }
}

#[derive(Debug)]
enum Stage<'b> {
    Waiting(Holder<'b>),
    Admitted(Permit<'b>),
    /// The call has been judged, its items still come.
    Judged,
    Done,
}

impl<'b, S, C> GuardedStream<'b, S, C> {
    pub(super) fn new(core: Holder<'b>, classify: C, stream: S) -> Self {
        Self {
            stage: Stage::Waiting(core),
            waits: Waits::default(),
            classify,
            stream,
        }
    }
}

impl<T, E, S, C> Stream for GuardedStream<'_, S, C>
where
    S: Stream<Item = Result<T, E>>,
    C: Classify<T, E>,
{
    type Item = Result<T, GuardError<E>>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        // As in a call: while the stream runs, the permit lies on the stack.
        let permit = match mem::replace(this.stage, Stage::Done) {
            Stage::Waiting(core) => match core.admit() {
                Ok(pass) => Permit::new(core, pass),
                Err(rejection) => return Poll::Ready(Some(Err(rejection.into()))),
            },
            Stage::Admitted(permit) => permit,
            Stage::Judged => {
                *this.stage = Stage::Judged;
                let item = ready!(this.stream.poll_next(context));
                if item.is_none() {
                    *this.stage = Stage::Done;
                }
                return Poll::Ready(item.map(|item| item.map_err(GuardError::Inner)));
            }
            Stage::Done => return Poll::Ready(None),
        };
        this.waits.begin(&permit);
        match this.stream.poll_next(context) {
            Poll::Ready(Some(item)) => {
                this.waits.end(&permit);
                *this.stage = match this.classify.classify(&item) {
                    Outcome::Success => Stage::Admitted(permit),
                    outcome => {
                        permit.finish(this.waits.verdict(outcome));
                        Stage::Judged
                    }
                };
                Poll::Ready(Some(item.map_err(GuardError::Inner)))
            }
            Poll::Ready(None) => {
                this.waits.end(&permit);
                permit.finish(this.waits.verdict(Outcome::Success));
                Poll::Ready(None)
            }
            Poll::Pending => {
                if let Poll::Ready(limit) = this.waits.poll_limit(&permit, context) {
                    this.waits.end(&permit);
                    permit.finish(this.waits.verdict(Outcome::Failure));
                    return Poll::Ready(Some(Err(GuardError::Elapsed { limit })));
                }
                *this.stage = Stage::Admitted(permit);
                Poll::Pending
            }
        }
    }
}

/// The waits for items.
#[derive(Default)]
struct Waits {
    /// Since when the reader waits; `None` between items, or if no limit is set.
    since: Option<Moment>,
    /// Set at most once per time-out, however many items come within it.
    alarm: Option<Sleep>,
    slow: bool,
    delivered: bool,
}

impl Waits {
    fn begin(&mut self, permit: &Permit<'_>) {
        let core = permit.core();
        if self.since.is_none() && core.limits.are_set() {
            self.since = Some(core.clock.now());
        }
    }

    /// The wait has ended: with an item, or with the stream.
    fn end(&mut self, permit: &Permit<'_>) {
        self.slow |= self.waited(permit) >= permit.core().limits.slow();
        self.since = None;
        self.delivered = true;
    }

    /// Nanoseconds.
    fn waited(&self, permit: &Permit<'_>) -> u64 {
        self.since
            .map_or(0, |since| nanos_since(since, permit.core().clock.now()))
    }

    fn verdict(&self, outcome: Outcome) -> Verdict {
        let counted = |failed| {
            Verdict::Counted(Trace {
                failed,
                slow: self.slow,
            })
        };
        match outcome {
            Outcome::Success => counted(false),
            Outcome::Failure => counted(true),
            Outcome::Ignore => Verdict::Ignored,
            Outcome::OpenFor(time) => Verdict::OpenFor(time),
        }
    }

    fn verdict_when_dropped(&self, permit: &Permit<'_>) -> Verdict {
        let (waited, limits) = (self.waited(permit), &permit.core().limits);
        let failed = waited >= limits.timeout();
        let slow = self.slow || waited >= limits.slow();
        if failed || slow || self.delivered {
            Verdict::Counted(Trace { failed, slow })
        } else {
            Verdict::Ignored
        }
    }

    /// Ready once the wait under way has taken longer than it may.
    fn poll_limit(&mut self, permit: &Permit<'_>, context: &mut Context<'_>) -> Poll<Duration> {
        let core = permit.core();
        let (Some(limit), Some(since)) = (core.timeout(), self.since) else {
            return Poll::Pending;
        };
        let deadline = since.saturating_add(limit);
        loop {
            let alarm = self
                .alarm
                .get_or_insert_with(|| core.clock.sleep_until(deadline));
            ready!(alarm.as_mut().poll(context));
            if core.clock.now() >= deadline {
                return Poll::Ready(limit);
            }
            // It was set for an earlier item's wait.
            self.alarm = None;
        }
    }
}

impl<S, C> std::fmt::Debug for GuardedStream<'_, S, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GuardedStream")
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}
