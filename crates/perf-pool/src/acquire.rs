use crate::error::{Elapsed, Phase, PoolError};
use crate::exchange::{Enrolment, Outcome, Patience, Place, Sighting, Ticket, Waiter};
use crate::holder::current_caller;
use crate::manager::Manager;
use crate::pooled::Pooled;
use crate::seat::Heartbeat;
use crate::shared::{Refusal, Shared, Taken};
use perf_core::Moment;
use perf_core::clock::Sleep;
use pin_project_lite::pin_project;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::task::coop;

pin_project! {
    /// The future of [`Pool::acquire`](crate::Pool::acquire) and its siblings.
    ///
    /// It holds its own place in line, so waiting allocates nothing, and the pool ends it at its deadline.
    /// It has a timer of its own only in another runtime than that of the pool's tasks.
    #[must_use = "futures do nothing unless awaited"]
    pub struct Acquire<'p, M: Manager> {
        pool: &'p Arc<Shared<M>>,
        limit: Limit,
        location: &'static Location<'static>,
        // When it joined the queue; `None` before.
        enrolled: Option<Patience>,
        watch: Option<Watch>,
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

/// A look at the keeper from another runtime, to be repeated when the timer has run out.
struct Watch {
    timer: Sleep,
    seen: Heartbeat,
}

/// How the wait of an acquire ended.
type Ended<M> = Outcome<Refusal<<M as Manager>::Error>>;
type Acquired<M> = Result<Pooled<M>, PoolError<<M as Manager>::Error>>;

impl<'p, M: Manager> Acquire<'p, M> {
    pub(crate) fn new(
        pool: &'p Arc<Shared<M>>,
        limit: Limit,
        location: &'static Location<'static>,
    ) -> Self {
        Self {
            pool,
            limit,
            location,
            enrolled: None,
            watch: None,
            waiter: Waiter::new(),
        }
    }

    fn poll_unbudgeted(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Acquired<M>> {
        if self.enrolled.is_some() {
            return self.wait(context);
        }
        loop {
            let this = self.as_mut().project();
            let seen = match this.pool.take() {
                Taken::Ready(ticket) => {
                    let guard = Pooled::new(this.pool, ticket, this.location);
                    return Poll::Ready(Ok(guard));
                }
                Taken::Nothing(seen) => seen,
            };
            if let Some(patience) = self.as_mut().line_up(seen, context)? {
                let this = self.project();
                *this.enrolled = Some(patience);
                this.pool.watch(this.watch, patience, context);
                return Poll::Pending;
            }
        }
    }

    fn wait(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Acquired<M>> {
        let this = self.project();
        match this.pool.go_on_waiting(this.waiter.as_ref(), context)? {
            Poll::Ready(outcome) => {
                let patience = this.enrolled.take();
                Poll::Ready(this.pool.conclude(outcome, patience, this.location))
            }
            Poll::Pending => {
                if let Some(patience) = *this.enrolled {
                    // Whoever polls now need not be who began.
                    let caller = current_caller();
                    let patience = Patience { caller, ..patience };
                    this.pool.watch(this.watch, patience, context);
                }
                Poll::Pending
            }
        }
    }

    /// Takes a place in line; `None` if something came back meanwhile.
    fn line_up(
        self: Pin<&mut Self>,
        seen: Option<Sighting>,
        context: &Context<'_>,
    ) -> Result<Option<Patience>, PoolError<M::Error>> {
        let this = self.project();
        let pool = *this.pool;
        pool.ensure_keeper()?;
        let now = pool.settings.clock.now();
        let caller = current_caller();
        if pool.settings.refuses_circles && pool.closes_a_circle(caller) {
            return Err(PoolError::Circle {
                held: pool.held_by(caller),
                status: pool.status(),
            });
        }
        let patience = Patience {
            since: now,
            deadline: match *this.limit {
                Limit::Within(duration) => now.saturating_add(duration),
                Limit::Until(moment) => moment,
            },
            caller,
        };
        let place = Place {
            patience,
            seen,
            max: pool.settings.max_waiters,
        };
        let waiter = this.waiter.as_ref();
        match pool.exchange.enrol(waiter, context.waker(), place) {
            Enrolment::Queued { earliest } => {
                pool.announce_demand(earliest);
                Ok(Some(patience))
            }
            Enrolment::Retry => Ok(None),
            Enrolment::Full => {
                pool.counters.refused.fetch_add(1, Relaxed);
                Err(PoolError::QueueFull(pool.status()))
            }
            Enrolment::Closed => Err(PoolError::Closed),
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
    /// Looks after a wait whose keeper lives in another runtime, which may not be driven: ends what is
    /// overdue in the keeper's place, and takes over if it gives no sign of life.
    fn watch(
        self: &Arc<Self>,
        watch: &mut Option<Watch>,
        patience: Patience,
        context: &mut Context<'_>,
    ) {
        let Patience {
            deadline, caller, ..
        } = patience;
        if watch.is_none() && self.keeper_is_elsewhere(caller) {
            *watch = Some(self.begin_watch(deadline));
        }
        while let Some(running) = watch
            && running.timer.as_mut().poll(context).is_ready()
        {
            let now = self.settings.clock.now();
            if now >= deadline {
                self.exchange.sweep(now);
                *watch = None;
            } else if self.take_over(running.seen) || !self.keeper_is_elsewhere(caller) {
                *watch = None;
            } else {
                *watch = Some(self.begin_watch(deadline));
            }
        }
    }

    /// Rings for the keeper, and waits for an answer no longer than for that of a resource.
    fn begin_watch(&self, deadline: Moment) -> Watch {
        let clock = &self.settings.clock;
        let look = clock.now().saturating_add(self.settings.check_timeout);
        Watch {
            seen: self.ring(),
            timer: clock.sleep_until(look.min(deadline)),
        }
    }

    /// Goes on waiting. Somebody who is woken without an outcome finds out whether the keeper has gone.
    fn go_on_waiting(
        self: &Arc<Self>,
        waiter: Pin<&Waiter<Refusal<M::Error>>>,
        context: &Context<'_>,
    ) -> Result<Poll<Ended<M>>, PoolError<M::Error>> {
        let outcome = self.exchange.poll(waiter, context);
        if outcome.is_pending() {
            self.ensure_keeper()?;
            self.announce_demand(false);
        }
        Ok(outcome)
    }

    fn conclude(
        self: &Arc<Self>,
        outcome: Ended<M>,
        patience: Option<Patience>,
        location: &'static Location<'static>,
    ) -> Acquired<M> {
        let waited = || {
            let now = self.settings.clock.now();
            now.since(patience.map_or(now, |patience| patience.since))
        };
        match outcome {
            Outcome::Served(ticket) => Ok(Pooled::new(self, self.restamp(ticket), location)),
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
        let phase = if status.suspended {
            Phase::Suspension
        } else if status.connecting > 0 || last_error.is_some() {
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
            held: self.held_by(current_caller()),
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

#[cfg(all(test, not(loom)))]
mod tests {
    use crate::{Pool, Pooled, from_fn};
    use perf_core::ManualClock;
    use std::convert::Infallible;
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;
    use tokio::runtime::Builder;
    use tokio::task::yield_now;

    const TASKS: u64 = if cfg!(miri) { 4 } else { 40 };
    const ROUNDS: u64 = if cfg!(miri) { 4 } else { 100 };

    /// Waits and guards that end in any order and on any thread, some of them dropped in the middle: each
    /// use of a number is kept by it. Miri runs this with fewer rounds.
    #[test]
    fn what_holders_do_is_kept_though_waits_are_dropped() {
        let runtime = Builder::new_multi_thread().worker_threads(2).build();
        let runtime = runtime.expect("threads can be had");
        let numbers = Pool::builder(from_fn(async || Ok::<_, Infallible>(0)));
        let numbers = numbers.max_size(2).clock(ManualClock::new()).build();
        let numbers = numbers.expect("the settings make sense");
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| runtime.spawn(work(numbers.clone(), task)))
            .collect();
        let uses: u64 = tasks
            .into_iter()
            .map(|task| runtime.block_on(task).expect("the task ends"))
            .sum();
        let kept: u64 = runtime.block_on(async {
            let held = [numbers.try_acquire(), numbers.try_acquire()];
            let kept = held.map(|guard| guard.map_or(0, Pooled::detach));
            kept.into_iter().sum()
        });
        assert_eq!(uses, kept);
        assert!(uses >= TASKS / 2 * ROUNDS);
    }

    /// Uses a number `ROUNDS` times; odd tasks give up where they would have to wait for long.
    async fn work(numbers: Pool<impl crate::Manager<Resource = u64>>, task: u64) -> u64 {
        let mut uses = 0;
        for _ in 0..ROUNDS {
            let mut wait = pin!(numbers.acquire());
            let guard = if task.is_multiple_of(2) {
                Some(wait.as_mut().await)
            } else {
                poll_fn(|context| match wait.as_mut().poll(context) {
                    Poll::Ready(guard) => Poll::Ready(Some(guard)),
                    Poll::Pending => Poll::Ready(None),
                })
                .await
            };
            if let Some(guard) = guard {
                let mut guard = guard.unwrap_or_else(|error| panic!("{error}"));
                *guard += 1;
                uses += 1;
                yield_now().await;
            }
        }
        uses
    }
}
