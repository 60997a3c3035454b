//! A call that was let pass on the promise to tell how it ended.

use crate::adaptive::{LimitPolicy, Slot};
use crate::breaker::{Classify, Outcome};
use crate::error::GuardError;
use crate::overload::Overload;
use crate::throttle::Allowance;
use perf_core::Clock;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// What is told how its call ended. Dropped untold, it judges by itself.
pub(crate) trait Pass {
    fn tell(self, outcome: Outcome);
}

impl<K: Clock> Pass for Allowance<'_, K> {
    fn tell(self, outcome: Outcome) {
        Allowance::tell(self, outcome);
    }
}

impl<P: LimitPolicy, K: Clock> Pass for Slot<'_, P, K> {
    fn tell(self, outcome: Outcome) {
        Slot::tell(self, outcome);
    }
}

pin_project_lite::pin_project! {
    /// The future of a service behind a [`ThrottleLayer`](crate::ThrottleLayer) or an
    /// [`AdaptiveLimitLayer`](crate::AdaptiveLimitLayer).
    ///
    /// # Panics
    ///
    /// Polling it again after it has completed panics.
    #[must_use = "a call is made when it is awaited"]
    pub struct JudgedCall<F, C, P> {
        #[pin]
        step: Step<F, C, P>,
    }
}

pin_project_lite::pin_project! {
    #[project = Projected]
    enum Step<F, C, P> {
        Admitted {
            #[pin]
            future: F,
            classify: C,
            pass: Option<P>,
        },
        Refused { overload: Option<Overload> },
    }
}

impl<F, C, P> JudgedCall<F, C, P> {
    #[inline]
    pub(crate) const fn admitted(future: F, classify: C, pass: P) -> Self {
        let pass = Some(pass);
        Self {
            step: Step::Admitted {
                future,
                classify,
                pass,
            },
        }
    }

    #[inline]
    pub(crate) const fn refused(overload: Overload) -> Self {
        let overload = Some(overload);
        Self {
            step: Step::Refused { overload },
        }
    }
}

const COMPLETED: &str = "a call must not be polled after it has completed";

impl<T, E, F, C, P> Future for JudgedCall<F, C, P>
where
    F: Future<Output = Result<T, E>>,
    C: Classify<T, E>,
    P: Pass,
{
    type Output = Result<T, GuardError<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().step.project() {
            Projected::Admitted {
                future,
                classify,
                pass,
            } => {
                let result = ready!(future.poll(context));
                let outcome = classify.classify(&result);
                pass.take().expect(COMPLETED).tell(outcome);
                Poll::Ready(result.map_err(GuardError::Inner))
            }
            Projected::Refused { overload } => {
                let overload = overload.take().expect(COMPLETED);
                Poll::Ready(Err(overload.into()))
            }
        }
    }
}

impl<F, C, P> fmt::Debug for JudgedCall<F, C, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_refused = matches!(self.step, Step::Refused { .. });
        f.debug_struct("JudgedCall")
            .field("is_refused", &is_refused)
            .finish_non_exhaustive()
    }
}
