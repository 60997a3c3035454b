use super::Stages;
use super::fallback::Fallback;
use super::pledge::Pledge;
use crate::breaker::{Classify, Outcome, Permit};
use crate::bulkhead::{Entry, Place};
use crate::deadline::Deadline;
use crate::error::{GuardError, Rejection};
use crate::holder::Holder;
use crate::limiter::Decision;
use crate::retry::Attempts;
use perf_core::Clock;
use perf_core::clock::Sleep;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Makes a call, once for each attempt. Any closure `FnMut() -> impl Future` does.
pub trait MakeCall {
    /// The call.
    type Future;

    /// Makes it.
    fn make(&mut self) -> Self::Future;

    /// Whether it can be made once more.
    fn can_repeat(&self) -> bool {
        true
    }
}

impl<F, M: FnMut() -> F> MakeCall for M {
    type Future = F;

    #[inline]
    fn make(&mut self) -> F {
        self()
    }
}

pin_project_lite::pin_project! {
    /// The future of [`Guard::call`](super::Guard::call).
    ///
    /// # Panics
    ///
    /// Polling it again after it has completed panics.
    #[must_use = "a call is made when it is awaited"]
    pub struct GuardCall<'g, M, C, G, K, H>
    where
        M: MakeCall,
    {
        #[pin]
        step: Step<'g, M::Future, K, H>,
        attempts: Option<Attempts>,
        make: M,
        stages: Holder<'g, Stages<C, G, K>>,
    }

    impl<M, C, G, K, H> PinnedDrop for GuardCall<'_, M, C, G, K, H>
    where
        M: MakeCall,
    {
        fn drop(this: Pin<&mut Self>) {
            // Judged by its age, even while a panic that is none of its own unwinds.
            if let Projected::Running { permit, .. } = this.project().step.project()
                && let Some(permit) = permit.take()
            {
                permit.abandon();
            }
        }
    }
}

pin_project_lite::pin_project! {
    #[project = Projected]
    enum Step<'g, F, K, H> {
        /// The next attempt begins.
        Begin,
        /// In the rate limiter's line.
        InLine { turn: Turn },
        /// In the bulkhead's queue.
        Queued { pledge: Option<Pledge<'g>>, entry: Entry<'g, K> },
        Running {
            #[pin]
            future: F,
            permit: Option<Permit<'g>>,
            alarm: Option<Sleep>,
            limit: Limit,
            // Last: what the call holds is given up before another one may begin.
            _place: Option<Place<'g, K>>,
        },
        /// Between two attempts.
        Pause { sleep: Sleep },
        FallingBack {
            #[pin]
            fallback: H,
        },
        Done,
    }
}

/// Only a call that has to wait pays for this box.
type Turn = Pin<Box<dyn Future<Output = Decision> + Send>>;

/// The longest that an attempt may take.
#[derive(Clone, Copy)]
struct Limit {
    time: Option<Duration>,
    /// Whether that is because of the deadline: then its end says nothing of the callee.
    is_deadline: bool,
}

/// How an attempt ended that is no success.
struct Ended<T, E> {
    result: Result<T, GuardError<E>>,
    /// Whether another attempt could help, and after what time at the soonest.
    again_after: Option<Duration>,
}

impl<T, E> Ended<T, E> {
    /// A refusal, which another attempt may follow once it is over.
    fn refused(error: GuardError<E>) -> Self {
        Self {
            again_after: error.retry_after(),
            result: Err(error),
        }
    }
}

impl<'g, M: MakeCall, C, G, K: Clock, H> GuardCall<'g, M, C, G, K, H> {
    pub(super) const fn new(stages: Holder<'g, Stages<C, G, K>>, make: M) -> Self {
        Self {
            step: Step::Begin,
            attempts: None,
            make,
            stages,
        }
    }
}

impl<T, E, M, C, G, K, H> Future for GuardCall<'_, M, C, G, K, H>
where
    M: MakeCall,
    M::Future: Future<Output = Result<T, E>>,
    C: Classify<T, E>,
    G: Fallback<T, E, Future = H>,
    H: Future<Output = Result<T, GuardError<E>>>,
    K: Clock,
{
    type Output = Result<T, GuardError<E>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let mut this = self.as_mut().project();
            let ended = match this.step.as_mut().project() {
                Projected::Begin => match self.as_mut().begin() {
                    Ok(()) => continue,
                    Err(error) => Ended::refused(error),
                },
                Projected::InLine { turn } => {
                    let decision = ready!(turn.as_mut().poll(context));
                    match decision.into_result().map(drop) {
                        Ok(()) => match self.as_mut().admit() {
                            Ok(()) => continue,
                            Err(error) => Ended::refused(error),
                        },
                        Err(error) => Ended::refused(error),
                    }
                }
                Projected::Queued { .. } => match ready!(self.as_mut().poll_queue(context)) {
                    Ok(()) => continue,
                    Err(error) => Ended::refused(error),
                },
                Projected::Running { .. } => ready!(self.as_mut().poll_call(context)),
                Projected::Pause { sleep } => {
                    ready!(sleep.as_mut().poll(context));
                    this.step.set(Step::Begin);
                    continue;
                }
                Projected::FallingBack { fallback } => {
                    let result = ready!(fallback.poll(context));
                    this.step.set(Step::Done);
                    return Poll::Ready(result);
                }
                Projected::Done => panic!("a call must not be polled after it has completed"),
            };
            if let Some(result) = self.as_mut().conclude(ended) {
                return Poll::Ready(result);
            }
        }
    }
}

impl<'g, T, E, M, C, G, K, H> GuardCall<'g, M, C, G, K, H>
where
    M: MakeCall,
    M::Future: Future<Output = Result<T, E>>,
    C: Classify<T, E>,
    G: Fallback<T, E, Future = H>,
    H: Future<Output = Result<T, GuardError<E>>>,
    K: Clock,
{
    /// Asks the deadline and the rate limit, then the breaker.
    #[inline]
    fn begin(mut self: Pin<&mut Self>) -> Result<(), GuardError<E>> {
        if Deadline::current_left().is_some_and(|left| left.is_zero()) {
            return Err(GuardError::Expired);
        }
        let mut this = self.as_mut().project();
        if let Some(retry) = &this.stages.retry
            && this.attempts.is_none()
        {
            *this.attempts = Some(retry.begin());
        }
        if let Some(rate) = &this.stages.rate {
            if rate.max_wait.is_zero() {
                rate.limiter.check().into_result().map(drop)?;
            } else if !rate.limiter.check_before_waiting().is_allowed() {
                let turn = in_line(Arc::clone(&rate.limiter), rate.max_wait);
                this.step.set(Step::InLine { turn });
                return Ok(());
            }
        }
        self.admit()
    }

    /// Asks the breaker and the bulkhead, and begins the call.
    #[inline]
    fn admit(mut self: Pin<&mut Self>) -> Result<(), GuardError<E>> {
        let this = self.as_mut().project();
        let permit = admit(this.stages)?;
        if this.stages.bulkhead.is_none() {
            self.run(permit, None);
            return Ok(());
        }
        let pledge = Some(Pledge::new(permit));
        let entry = Entry::new();
        self.project().step.set(Step::Queued { pledge, entry });
        Ok(())
    }

    /// Waits for a place and begins the call.
    #[inline]
    fn poll_queue(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), GuardError<E>>> {
        let this = self.as_mut().project();
        let Projected::Queued { pledge, entry } = this.step.project() else {
            return Poll::Ready(Ok(()));
        };
        let Some(bulkhead) = bulkhead(this.stages) else {
            return Poll::Ready(Ok(()));
        };
        let is_straight = !entry.is_queued();
        let place = ready!(entry.poll(&bulkhead, context))?;
        let permit = pledge.take().and_then(if is_straight {
            Pledge::redeem
        } else {
            Pledge::redeem_late
        });
        self.run(permit, Some(place));
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn run(self: Pin<&mut Self>, permit: Option<Permit<'g>>, place: Option<Place<'g, K>>) {
        let mut this = self.project();
        let limit = limit(this.stages);
        let future = this.make.make();
        this.step.set(Step::Running {
            future,
            permit,
            alarm: None,
            limit,
            _place: place,
        });
    }

    #[inline]
    fn poll_call(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Ended<T, E>> {
        let this = self.project();
        let Projected::Running {
            future,
            permit: kept,
            alarm,
            limit,
            ..
        } = this.step.project()
        else {
            return Poll::Pending;
        };
        // While the call runs, the permit lies on the stack: a panic unwinds through it, and is thereby told
        // from the owner dropping the call.
        let permit = kept.take();
        if let Poll::Ready(result) = future.poll(context) {
            let outcome = this.stages.classify.classify(&result);
            if let Some(permit) = permit {
                permit.record(outcome);
            }
            return Poll::Ready(Ended {
                result: result.map_err(GuardError::Inner),
                again_after: match outcome {
                    Outcome::Success | Outcome::Ignore => None,
                    Outcome::Failure => Some(Duration::ZERO),
                    Outcome::OpenFor(time) => Some(time),
                },
            });
        }
        let clock = &this.stages.clock;
        if let Some(time) = limit.time
            && alarm
                .get_or_insert_with(|| clock.sleep(time))
                .as_mut()
                .poll(context)
                .is_ready()
        {
            match permit {
                Some(permit) if limit.is_deadline => permit.abandon(),
                Some(permit) => permit.failure(),
                None => {}
            }
            return Poll::Ready(Ended {
                result: Err(GuardError::Elapsed { limit: time }),
                again_after: Some(Duration::ZERO),
            });
        }
        *kept = permit;
        Poll::Pending
    }

    /// The result of the whole, unless another attempt or the fallback is to come.
    #[inline]
    fn conclude(self: Pin<&mut Self>, ended: Ended<T, E>) -> Option<Result<T, GuardError<E>>> {
        let mut this = self.project();
        // Gives up the attempt's place before anything else is waited for.
        this.step.set(Step::Done);
        let error = match ended.result {
            Ok(value) => return Some(Ok(value)),
            Err(error) => error,
        };
        let is_expired = matches!(error, GuardError::Expired);
        if let (Some(retry), Some(attempts), Some(at_least), false) = (
            &this.stages.retry,
            this.attempts,
            ended.again_after,
            is_expired,
        ) && this.make.can_repeat()
            && let Some(wait) = retry.wait_before_next(attempts, at_least)
        {
            let sleep = this.stages.clock.sleep(wait);
            this.step.set(Step::Pause { sleep });
            return None;
        }
        let fallback = this.stages.fallback.recover(error);
        this.step.set(Step::FallingBack { fallback });
        None
    }
}

fn in_line<K: Clock>(limiter: Arc<crate::limiter::RateLimiter<K>>, max_wait: Duration) -> Turn {
    let left = Deadline::current_left().unwrap_or(max_wait);
    Box::pin(async move { limiter.until_ready(max_wait.min(left)).await })
}

#[inline]
fn admit<'g, C, G, K>(
    stages: &Holder<'g, Stages<C, G, K>>,
) -> Result<Option<Permit<'g>>, Rejection> {
    match stages {
        Holder::Borrowed(stages) => stages.breaker.as_ref().map(|breaker| breaker.admit()),
        Holder::Owned(stages) => stages.breaker.as_ref().map(|breaker| breaker.admit_owned()),
    }
    .transpose()
}

#[inline]
fn bulkhead<'g, C, G, K: Clock>(
    stages: &Holder<'g, Stages<C, G, K>>,
) -> Option<Holder<'g, crate::bulkhead::Shared<K>>> {
    match stages {
        Holder::Borrowed(stages) => stages.bulkhead.as_ref().map(|bulkhead| bulkhead.borrowed()),
        Holder::Owned(stages) => stages.bulkhead.as_ref().map(|bulkhead| bulkhead.owned()),
    }
}

#[inline]
fn limit<C, G, K>(stages: &Stages<C, G, K>) -> Limit {
    let breaker = stages
        .breaker
        .as_ref()
        .and_then(|breaker| breaker.timeout());
    let own = match (stages.timeout, breaker) {
        (Some(guard), Some(breaker)) => Some(guard.min(breaker)),
        (guard, breaker) => guard.or(breaker),
    };
    let left = Deadline::current_left();
    let is_deadline = left.is_some_and(|left| own.is_none_or(|own| left < own));
    Limit {
        time: if is_deadline { left } else { own },
        is_deadline,
    }
}

impl<M: MakeCall, C, G, K, H> fmt::Debug for GuardCall<'_, M, C, G, K, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = match &self.step {
            Step::Begin => "begins",
            Step::InLine { .. } => "waits for the rate limit",
            Step::Queued { .. } => "waits for a place",
            Step::Running { .. } => "runs",
            Step::Pause { .. } => "waits to try again",
            Step::FallingBack { .. } => "falls back",
            Step::Done => "has ended",
        };
        f.debug_tuple("GuardCall").field(&step).finish()
    }
}
