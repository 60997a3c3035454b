use super::Shared;
use crate::guard::MakeCall;
use crate::holder::Holder;
use crate::sync::Ordering::Relaxed;
use perf_core::clock::Sleep;
use perf_core::{Clock, Moment, RetryBudget as _};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

pin_project_lite::pin_project! {
    /// The future of [`Hedge::call`](super::Hedge::call).
    ///
    /// # Panics
    ///
    /// Polling it again after it has completed panics.
    #[must_use = "a call is made when it is awaited"]
    pub struct HedgeCall<'h, M, K>
    where
        M: MakeCall,
        K: Clock,
    {
        #[pin]
        first: Option<M::Future>,
        #[pin]
        second: Option<M::Future>,
        make: M,
        // Until the first call has been found late; at most once.
        alarm: Alarm,
        // Since when a time that says something is being taken.
        started: Option<Moment>,
        shared: Holder<'h, Shared<K>>,
    }

    impl<M, K> PinnedDrop for HedgeCall<'_, M, K>
    where
        M: MakeCall,
        K: Clock,
    {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(started) = this.started.take() {
                this.shared.watch_given_up(started);
            }
        }
    }
}

enum Alarm {
    /// Nothing has been asked yet.
    Unasked,
    /// Too few calls have been watched to say what is late.
    Unset,
    Set(Sleep),
    Over,
}

impl<'h, M: MakeCall, K: Clock> HedgeCall<'h, M, K> {
    pub(super) const fn new(shared: Holder<'h, Shared<K>>, make: M) -> Self {
        Self {
            first: None,
            second: None,
            make,
            alarm: Alarm::Unasked,
            started: None,
            shared,
        }
    }
}

impl<T, E, M, K> Future for HedgeCall<'_, M, K>
where
    M: MakeCall,
    M::Future: Future<Output = Result<T, E>>,
    K: Clock,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if matches!(this.alarm, Alarm::Unasked) {
            *this.alarm = Alarm::Unset;
            this.shared.budget.deposit();
            *this.started = Some(this.shared.clock.now());
            this.first.set(Some(this.make.make()));
        }
        assert!(
            this.started.is_some(),
            "a call must not be polled after it has completed"
        );
        let mut winner = poll_one(this.first.as_mut(), this.second.is_some(), context);
        if winner.is_none() {
            if this.second.is_none() && this.shared.is_late(this.alarm, context) {
                let may_repeat = this.make.can_repeat() && this.shared.budget.withdraw();
                if may_repeat {
                    this.shared.hedged.fetch_add(1, Relaxed);
                    this.second.set(Some(this.make.make()));
                }
            }
            winner = poll_one(this.second.as_mut(), this.first.is_some(), context);
            if let Some(Ok(_)) = winner {
                this.shared.won.fetch_add(1, Relaxed);
            }
        }
        let Some(result) = winner else {
            return Poll::Pending;
        };
        this.first.set(None);
        this.second.set(None);
        if let Some(started) = this.started.take() {
            this.shared.watch(started);
        }
        Poll::Ready(result)
    }
}

/// The call's result if it has one that counts: a success, or the failure of the last one under way. A call
/// that has ended is dropped.
fn poll_one<T, E, F: Future<Output = Result<T, E>>>(
    mut call: Pin<&mut Option<F>>,
    other_runs: bool,
    context: &mut Context<'_>,
) -> Option<Result<T, E>> {
    let Poll::Ready(result) = call.as_mut().as_pin_mut()?.poll(context) else {
        return None;
    };
    call.set(None);
    (result.is_ok() || !other_runs).then_some(result)
}

impl<K: Clock> Shared<K> {
    /// Whether the first call has become late: true once.
    fn is_late(&self, alarm: &mut Alarm, context: &mut Context<'_>) -> bool {
        if let (Alarm::Unset, Some(delay)) = (&*alarm, self.lateness.delay()) {
            *alarm = Alarm::Set(self.clock.sleep(delay));
        }
        let is_late = match alarm {
            Alarm::Set(sleep) => sleep.as_mut().poll(context).is_ready(),
            Alarm::Unasked | Alarm::Unset | Alarm::Over => false,
        };
        if is_late {
            *alarm = Alarm::Over;
        }
        is_late
    }

    /// Takes the first call's time when the whole has ended, even if its own end was not waited for: a time
    /// that was cut short by the second call says at least that much, and to leave it out would make late
    /// calls invisible.
    fn watch(&self, started: Moment) {
        self.lateness.watch(self.clock.now().since(started));
    }

    /// A call that its owner gives up counts once it is late, for the same reason. Before that it says
    /// nothing: callers that hang up early do not make the callee fast.
    fn watch_given_up(&self, started: Moment) {
        let taken = self.clock.now().since(started);
        if self.lateness.delay().is_some_and(|delay| taken >= delay) {
            self.lateness.watch(taken);
        }
    }
}

impl<M: MakeCall, K: Clock> fmt::Debug for HedgeCall<'_, M, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let under_way = usize::from(self.first.is_some()) + usize::from(self.second.is_some());
        f.debug_struct("HedgeCall")
            .field("under_way", &under_way)
            .finish_non_exhaustive()
    }
}
