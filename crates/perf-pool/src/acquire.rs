use crate::error::{Elapsed, Phase, PoolError};
use crate::exchange::{Enrolment, Outcome, Patience, Place, Ticket, Waiter};
use crate::manager::Manager;
use crate::pooled::Pooled;
use crate::shared::{Refusal, Shared, Taken};
use perf_core::Moment;
use pin_project_lite::pin_project;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::task::coop;

pin_project! {
    /// The future of [`Pool::acquire`](crate::Pool::acquire) and its siblings.
    ///
    /// It holds its own place in line, so waiting allocates nothing, and it needs no timer: the pool
    /// ends it at its deadline.
    #[must_use = "futures do nothing unless awaited"]
    pub struct Acquire<'p, M: Manager> {
        pool: &'p Arc<Shared<M>>,
        limit: Limit,
        // When it joined the queue; `None` before.
        enrolled: Option<Moment>,
        #[pin]
        waiter: Waiter<Refusal<M::Error>>,
    }

    impl<M: Manager> PinnedDrop for Acquire<'_, M> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if this.enrolled.is_some()
                && let Some(ticket) = this.pool.exchange.withdraw(this.waiter.as_ref())
            {
                // It was served but never learnt of it: the next in line gets the resource.
                this.pool.hand_on(ticket);
            }
        }
    }
}

/// When an acquire gives up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    Within(Duration),
    Until(Moment),
}

/// How the wait of an acquire ended.
type Ended<M> = Outcome<Refusal<<M as Manager>::Error>>;
type Acquired<M> = Result<Pooled<M>, PoolError<<M as Manager>::Error>>;

impl<'p, M: Manager> Acquire<'p, M> {
    pub(crate) fn new(pool: &'p Arc<Shared<M>>, limit: Limit) -> Self {
        Self {
            pool,
            limit,
            enrolled: None,
            waiter: Waiter::new(),
        }
    }

    fn poll_unbudgeted(self: Pin<&mut Self>, context: &Context<'_>) -> Poll<Acquired<M>> {
        let this = self.project();
        if this.enrolled.is_some() {
            let outcome = ready!(this.pool.resume(this.waiter.as_ref(), context)?);
            return Poll::Ready(this.pool.conclude(outcome, this.enrolled.take()));
        }
        loop {
            let seen = match this.pool.take() {
                Taken::Ready(ticket) => return Poll::Ready(Ok(Pooled::new(this.pool, ticket))),
                Taken::Nothing(seen) => seen,
            };
            this.pool.ensure_keeper()?;
            let settings = &this.pool.settings;
            let now = settings.clock.now();
            let deadline = match *this.limit {
                Limit::Within(duration) => now.saturating_add(duration),
                Limit::Until(moment) => moment,
            };
            let place = Place {
                patience: Patience {
                    since: now,
                    deadline,
                },
                seen,
                max: settings.max_waiters,
            };
            let waiter = this.waiter.as_ref();
            let enrolment = this.pool.exchange.enrol(waiter, context.waker(), place);
            match enrolment {
                Enrolment::Queued { earliest } => {
                    *this.enrolled = Some(now);
                    this.pool.announce_demand(earliest);
                    return Poll::Pending;
                }
                Enrolment::Retry => {}
                Enrolment::Full => {
                    this.pool.counters.refused.fetch_add(1, Relaxed);
                    return Poll::Ready(Err(PoolError::QueueFull(this.pool.status())));
                }
                Enrolment::Closed => return Poll::Ready(Err(PoolError::Closed)),
            }
        }
    }
}

impl<M: Manager> Future for Acquire<'_, M> {
    type Output = Acquired<M>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // A loop over a pool that always has something idle must still let its worker's other tasks
        // run.
        let budget = ready!(coop::poll_proceed(context));
        let acquired = ready!(self.poll_unbudgeted(context));
        budget.made_progress();
        Poll::Ready(acquired)
    }
}

impl<M: Manager> Shared<M> {
    /// Goes on waiting. Somebody who is woken without an outcome finds out whether the keeper has gone.
    fn resume(
        self: &Arc<Self>,
        waiter: Pin<&Waiter<Refusal<M::Error>>>,
        context: &Context<'_>,
    ) -> Poll<Result<Ended<M>, PoolError<M::Error>>> {
        match self.exchange.poll(waiter, context) {
            Poll::Ready(outcome) => Poll::Ready(Ok(outcome)),
            Poll::Pending => {
                self.ensure_keeper()?;
                self.announce_demand(false);
                Poll::Pending
            }
        }
    }

    fn conclude(self: &Arc<Self>, outcome: Ended<M>, enrolled: Option<Moment>) -> Acquired<M> {
        let waited = || {
            let now = self.settings.clock.now();
            now.since(enrolled.unwrap_or(now))
        };
        match outcome {
            Outcome::Served(ticket) => Ok(Pooled::new(self, self.restamp(ticket))),
            Outcome::Expired => {
                self.counters.timeouts.fetch_add(1, Relaxed);
                Err(PoolError::Timeout(Box::new(self.explain(waited()))))
            }
            Outcome::Shed => {
                self.counters.shed.fetch_add(1, Relaxed);
                Err(PoolError::Shed {
                    waited: waited(),
                    status: self.status(),
                })
            }
            Outcome::Refused(refusal) => Err(refusal.into()),
        }
    }

    /// The hold begins now, not when the previous holder let go.
    fn restamp(&self, mut ticket: Ticket) -> Ticket {
        self.item_mut(&mut ticket).record.taken = self.settings.stamps.now();
        ticket
    }

    fn explain(&self, waited: Duration) -> Elapsed<M::Error> {
        let status = self.status();
        let last_error = self.roster.lock().last_error.clone();
        let phase = if status.connecting > 0 || last_error.is_some() {
            Phase::Connect
        } else if status.checking > 0 {
            Phase::Check
        } else {
            Phase::Queue
        };
        Elapsed {
            phase,
            waited,
            status,
            last_error,
        }
    }
}

impl<M: Manager> fmt::Debug for Acquire<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire")
            .field("pool", &self.pool.settings.name)
            .field("waits", &self.enrolled.is_some())
            .finish_non_exhaustive()
    }
}
