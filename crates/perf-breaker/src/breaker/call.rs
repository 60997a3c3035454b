use super::classify::{Classify, Outcome};
use super::core::Holder;
use super::permit::Permit;
use crate::error::GuardError;
use perf_core::clock::Sleep;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

pin_project_lite::pin_project! {
    /// The future of [`CircuitBreaker::call`](super::CircuitBreaker::call): asks for a permit when first
    /// polled and settles it when the call ends, in whatever way.
    ///
    /// # Panics
    ///
    /// Polling it again after it has completed panics.
    #[must_use = "a call is made when it is awaited"]
    pub struct Call<'b, F, C> {
        stage: Stage<'b>,
        alarm: Option<Sleep>,
        classify: C,
        #[pin]
        future: F,
    }

    impl<F, C> PinnedDrop for Call<'_, F, C> {
        fn drop(this: Pin<&mut Self>) {
            if let Stage::Admitted(permit) = mem::replace(this.project().stage, Stage::Done) {
                permit.abandon();
            }
        }
    }
}

#[derive(Debug)]
enum Stage<'b> {
    Waiting(Holder<'b>),
    Admitted(Permit<'b>),
    Done,
}

impl<'b, F, C> Call<'b, F, C> {
    pub(super) const fn new(core: Holder<'b>, classify: C, future: F) -> Self {
        Self {
            stage: Stage::Waiting(core),
            alarm: None,
            classify,
            future,
        }
    }
}

impl<T, E, F, C> Future for Call<'_, F, C>
where
    F: Future<Output = Result<T, E>>,
    C: Classify<T, E>,
{
    type Output = Result<T, GuardError<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // While the call runs, the permit lies on the stack: a panic unwinds through it, and is thereby
        // told from the owner dropping the call.
        let permit = match mem::replace(this.stage, Stage::Done) {
            Stage::Waiting(core) => {
                let pass = core.admit()?;
                Permit::new(core, pass)
            }
            Stage::Admitted(permit) => permit,
            Stage::Done => panic!("a call must not be polled after it has completed"),
        };
        if let Poll::Ready(result) = this.future.poll(context) {
            permit.record(this.classify.classify(&result));
            return Poll::Ready(result.map_err(GuardError::Inner));
        }
        if let Poll::Ready(limit) = poll_limit(this.alarm, &permit, context) {
            permit.record(Outcome::Failure);
            return Poll::Ready(Err(GuardError::Elapsed { limit }));
        }
        *this.stage = Stage::Admitted(permit);
        Poll::Pending
    }
}

/// Ready once the call has taken longer than it may. A call that ends at its first poll sets no alarm.
fn poll_limit(
    alarm: &mut Option<Sleep>,
    permit: &Permit<'_>,
    context: &mut Context<'_>,
) -> Poll<Duration> {
    let core = permit.core();
    let (Some(limit), Some(pass)) = (core.timeout(), permit.pass()) else {
        return Poll::Pending;
    };
    let deadline = pass.started.saturating_add(limit);
    let alarm = alarm.get_or_insert_with(|| core.clock.sleep_until(deadline));
    ready!(alarm.as_mut().poll(context));
    Poll::Ready(limit)
}

impl<F, C> std::fmt::Debug for Call<'_, F, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call")
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}
