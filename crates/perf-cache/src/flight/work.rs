//! A flight's work while its leader does it.
//!
//! A look into the far tier is one request and one answer. A task of its own would add two changes of task
//! to it, each of which costs as much as the cache does with the answer; so the caller who leads a flight
//! looks inside its own wait. But nobody may depend on a caller, who can leave or stop being polled at any
//! time: the work becomes a task as soon as another caller joins the flight, the leader leaves, or there is
//! more to do than to look.

use super::Tether;
use parking_lot::Mutex;
use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::runtime::Handle;

/// Where the work of one flight is done. A call that starts its task returns what ends it when nobody waits,
/// if that is to end it.
#[derive(Debug)]
pub(crate) struct Work(Mutex<State>);

#[derive(Debug)]
enum State {
    /// The leader has not brought it.
    Awaited,
    /// The leader polls it now and then.
    Waits(Errand),
    /// The leader polls it.
    Polled,
    /// The leader has not brought it, or polls it; then it becomes a task.
    Called,
    /// It is a task, or done.
    Gone,
}

/// Work, and what makes a task of it.
pub(crate) struct Errand {
    work: Pin<Box<dyn Future<Output = ()> + Send>>,
    runtime: Handle,
    /// Whether its task ends when nobody waits.
    is_tied: bool,
    leader: Waker,
}

impl Errand {
    pub(crate) fn new(
        runtime: Handle,
        is_tied: bool,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        Self {
            work: Box::pin(work),
            runtime,
            is_tied,
            leader: Waker::noop().clone(),
        }
    }

    /// The errand itself, unless that was its end. A panic in it drops it while it unwinds, as one in a task
    /// does, and goes no further.
    fn poll(mut self, context: &mut Context<'_>) -> Option<Self> {
        let polled = catch_unwind(AssertUnwindSafe(move || {
            self.leader.clone_from(context.waker());
            let poll = self.work.as_mut().poll(context);
            poll.is_pending().then_some(self)
        }));
        polled.ok().flatten()
    }

    fn launch(self) -> Option<Arc<Tether>> {
        let task = self.runtime.spawn(self.work);
        self.leader.wake();
        self.is_tied.then(|| Tether::new(task.abort_handle()))
    }
}

impl Work {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(State::Awaited))
    }

    /// The leader brings it, to poll it: pending, unless it was called for and is a task now.
    pub(crate) fn bring(&self, errand: Errand) -> Poll<Option<Arc<Tether>>> {
        let mut state = self.0.lock();
        if matches!(*state, State::Called) {
            *state = State::Gone;
            drop(state);
            return Poll::Ready(errand.launch());
        }
        *state = State::Waits(errand);
        Poll::Pending
    }

    /// Makes a task of it, now or as soon as the leader has brought it or has polled it.
    pub(crate) fn launch(&self) -> Option<Arc<Tether>> {
        let mut state = self.0.lock();
        match mem::replace(&mut *state, State::Gone) {
            State::Awaited | State::Polled | State::Called => *state = State::Called,
            State::Waits(errand) => {
                drop(state);
                return errand.launch();
            }
            State::Gone => {}
        }
        None
    }

    /// Drops it, if the leader has it and does not poll it.
    pub(crate) fn give_up(&self) {
        drop(self.take(State::Gone));
    }

    /// Does some of it, if the leader has it. Ready when that is no longer so.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<Option<Arc<Tether>>> {
        let Some(errand) = self.take(State::Polled) else {
            return Poll::Ready(None);
        };
        let Some(errand) = errand.poll(context) else {
            *self.0.lock() = State::Gone;
            return Poll::Ready(None);
        };
        self.bring(errand)
    }

    /// Whether the leader has it.
    pub(crate) fn is_with_leader(&self) -> bool {
        matches!(*self.0.lock(), State::Waits(_))
    }

    /// From within: goes on as a task.
    pub(crate) async fn becomes_task(&self) {
        poll_fn(|_| {
            let mut state = self.0.lock();
            if matches!(*state, State::Gone) {
                return Poll::Ready(());
            }
            // Whoever polls it launches it next.
            *state = State::Called;
            Poll::Pending
        })
        .await;
    }

    fn take(&self, next: State) -> Option<Errand> {
        let mut state = self.0.lock();
        if !matches!(*state, State::Waits(_)) {
            return None;
        }
        match mem::replace(&mut *state, next) {
            State::Waits(errand) => Some(errand),
            _ => None,
        }
    }
}

impl fmt::Debug for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Errand").finish_non_exhaustive()
    }
}
