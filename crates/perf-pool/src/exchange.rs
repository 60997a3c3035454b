//! Who waits, and who is next: idle slots and waiting tasks meet here.
//!
//! Idle slots form a lock-free stack; taking or returning one is a single compare-and-swap while
//! nobody waits. Those who find nothing enrol in a first-come-first-served queue under a small lock,
//! linked through their own futures, and raise a flag in the stack's word that sends every return
//! through the queue. A slot that comes back is then handed to the first in line directly, and nobody
//! overtakes. The alternative, to put it back and wake somebody who tries again, gives ten per cent
//! more throughput and lets the unlucky wait twenty times as long.
//!
//! The exchange knows nothing of resources, clocks or runtimes: it trades [`Ticket`]s.
#![cfg_attr(
    not(loom),
    allow(
        unreachable_pub,
        reason = "the loom models reach the exchange from outside"
    )
)]
#![cfg_attr(
    loom,
    allow(
        missing_docs,
        reason = "what the models reach is no part of the interface"
    )
)]

mod idle;
mod shedding;
mod slots;
#[cfg(all(test, not(loom)))]
mod tests;
mod waiters;

use crate::sync::{AtomicUsize, Mutex};
use perf_core::{Histogram, Moment, Snapshot};
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};

pub use idle::{IdleStack, Sighting};
pub use shedding::Shedding;
pub use slots::{Slots, Ticket};
pub use waiters::{Outcome, Patience, Waiter, Waiters};

/// The meeting place of idle slots and waiting tasks. `F` is why a whole queue was refused.
#[derive(Debug)]
pub struct Exchange<F> {
    idle: IdleStack,
    queue: Mutex<Queue<F>>,
    /// The queue's length, to be read without its lock.
    waiting: AtomicUsize,
    /// How long those waited who were served, but for the last few. Written under the queue's lock
    /// alone, so that no two threads fight for its counters.
    waits: Histogram,
    shedding: Option<Shedding>,
}

#[derive(Debug)]
struct Queue<F> {
    waiters: Waiters<F>,
    last_waits: LastWaits,
    /// When the next sweep is due, so that only an earlier deadline has to announce itself.
    next_sweep: Moment,
    /// Since when somebody has been waiting without a break.
    busy_since: Moment,
}

/// The last waits, in nanoseconds, which are not in the histogram yet: that lies elsewhere in memory, and
/// to fetch its lines for each wait would keep everybody from the queue for as long.
#[derive(Debug, Default)]
struct LastWaits {
    nanos: [u64; 8],
    count: usize,
}

impl LastWaits {
    fn record(&mut self, nanos: u64, waits: &Histogram) {
        self.nanos[self.count] = nanos;
        self.count += 1;
        if self.count == self.nanos.len() {
            self.flush(waits);
        }
    }

    fn flush(&mut self, waits: &Histogram) {
        for nanos in &self.nanos[..self.count] {
            waits.record_exclusive(*nanos);
        }
        self.count = 0;
    }
}

/// How somebody wants to stand in line.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub patience: Patience,
    /// The caller's last pop, if what it popped turned out unusable.
    pub seen: Option<Sighting>,
    /// How many may wait at most.
    pub max: usize,
}

/// What became of an attempt to enrol.
#[derive(Debug, PartialEq, Eq)]
pub enum Enrolment {
    /// It stands in line.
    Queued {
        /// Its deadline comes before the next sweep, which must be moved forward.
        earliest: bool,
    },
    /// Something came back meanwhile: pop again.
    Retry,
    /// The line is as long as it may be.
    Full,
    /// Nothing will ever come back.
    Closed,
}

impl<F> Exchange<F> {
    pub fn new(slots: u32, shedding: Option<Shedding>) -> Self {
        Self {
            idle: IdleStack::new(slots),
            queue: Mutex::new(Queue {
                waiters: Waiters::new(),
                last_waits: LastWaits::default(),
                next_sweep: Moment::NEVER,
                busy_since: Moment::ORIGIN,
            }),
            waiting: AtomicUsize::new(0),
            waits: Histogram::new(),
            shedding,
        }
    }

    /// Takes the slot that was idle for the shortest time.
    #[inline]
    pub fn pop(&self) -> Option<(Ticket, Sighting)> {
        self.idle.pop()
    }

    /// Gives a usable slot to the first in line whose deadline is to come, or leaves it idle. After
    /// [`Exchange::close`] it comes back as an error. The clock is read only if somebody waits.
    #[inline]
    pub fn offer(&self, ticket: Ticket, now: impl FnOnce() -> Moment) -> Result<(), Ticket> {
        match self.idle.push(ticket) {
            Ok(()) => Ok(()),
            Err(ticket) => self.serve(ticket, now()),
        }
    }

    /// Lines `waiter` up, unless the line is full. It must be withdrawn before it is dropped.
    pub fn enrol(&self, waiter: Pin<&Waiter<F>>, waker: &Waker, place: Place) -> Enrolment {
        let Place {
            patience,
            seen,
            max,
        } = place;
        let mut queue = self.queue.lock();
        if self.idle.is_closed() {
            return Enrolment::Closed;
        }
        if queue.waiters.len() >= max {
            return Enrolment::Full;
        }
        if !self.idle.raise_waiters(seen) {
            return Enrolment::Retry;
        }
        if queue.waiters.is_empty() {
            queue.busy_since = patience.since;
        }
        #[expect(unsafe_code, reason = "linking a waiter in place")]
        // SAFETY: the waiter is pinned, and its owner calls `withdraw` before it goes.
        unsafe {
            queue.waiters.push_last(waiter, patience, waker.clone());
        }
        self.waiting.store(queue.waiters.len(), Relaxed);
        let earliest = patience.deadline < queue.next_sweep;
        queue.next_sweep = queue.next_sweep.min(patience.deadline);
        Enrolment::Queued { earliest }
    }

    /// How the wait of an enrolled `waiter` ended, or the promise to wake it then.
    pub fn poll(&self, waiter: Pin<&Waiter<F>>, context: &Context<'_>) -> Poll<Outcome<F>> {
        if let Some(outcome) = waiter.take_outcome() {
            return Poll::Ready(outcome);
        }
        // Wakers are somebody's code: they are cloned and dropped outside the lock.
        let waker = context.waker().clone();
        let mut queue = self.queue.lock();
        if waiter.is_queued() {
            let outdated = queue.waiters.set_waker(waiter, waker);
            drop(queue);
            drop(outdated);
            return Poll::Pending;
        }
        drop(queue);
        waiter.take_outcome().map_or(Poll::Pending, Poll::Ready)
    }

    /// Takes `waiter` out of the line. A slot that it was given meanwhile comes back.
    pub fn withdraw(&self, waiter: Pin<&Waiter<F>>) -> Option<Ticket> {
        {
            let mut queue = self.queue.lock();
            if waiter.is_queued() {
                let waker = queue.waiters.unlink(waiter);
                self.shrunk(&queue);
                drop(queue);
                drop(waker);
                return None;
            }
        }
        match waiter.take_outcome() {
            Some(Outcome::Served(ticket)) => Some(ticket),
            Some(Outcome::Expired | Outcome::Shed | Outcome::Refused(_)) | None => None,
        }
    }

    /// Ends every wait whose deadline is at or before `now`, if any is due. Returns when to come again.
    pub fn sweep(&self, now: Moment) -> Moment {
        let mut woken = Vec::new();
        let mut queue = self.queue.lock();
        if now < queue.next_sweep {
            return queue.next_sweep;
        }
        queue.next_sweep = queue.waiters.expire(now, &mut woken);
        let next = queue.next_sweep;
        self.shrunk(&queue);
        drop(queue);
        woken.into_iter().for_each(Waker::wake);
        next
    }

    /// Refuses everybody who waits now.
    pub fn refuse_all(&self, refusal: impl Fn() -> F) {
        let mut woken = Vec::new();
        let mut queue = self.queue.lock();
        while let Ok(waker) = queue.waiters.settle_first(Outcome::Refused(refusal())) {
            woken.extend(waker);
        }
        self.shrunk(&queue);
        drop(queue);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Wakes everybody who waits, to look around and wait on.
    pub fn rouse(&self) {
        let woken = self.queue.lock().waiters.wakers();
        woken.into_iter().for_each(Waker::wake);
    }

    /// Refuses pops, returns and enrolments from now on, and everybody who waits. Returns what was idle.
    pub fn close(&self, refusal: impl Fn() -> F) -> Vec<Ticket> {
        {
            let _queue = self.queue.lock();
            self.idle.close();
        }
        self.refuse_all(refusal);
        self.idle.drain()
    }

    /// Hands out nothing until [`Exchange::resume`]; returns become idle, and whoever comes waits.
    pub fn suspend(&self) {
        let _queue = self.queue.lock();
        self.idle.suspend();
    }

    /// Ends a suspension. What became idle meanwhile is the caller's, to be offered to those who wait.
    pub fn resume(&self) -> Vec<Ticket> {
        let _queue = self.queue.lock();
        let idle = self.idle.drain();
        self.idle.resume();
        idle
    }

    pub fn is_suspended(&self) -> bool {
        self.idle.is_suspended()
    }

    /// Who waits, by the number that each gave.
    pub fn waiting_callers(&self) -> Vec<u64> {
        self.queue.lock().waiters.callers()
    }

    /// Takes everything idle, the most recently used first.
    pub fn drain(&self) -> Vec<Ticket> {
        self.idle.drain()
    }

    pub fn is_closed(&self) -> bool {
        self.idle.is_closed()
    }

    /// How many wait. A snapshot that may be outdated when it returns.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    /// How long those waited who were served.
    pub fn waits(&self) -> Snapshot {
        self.queue.lock().last_waits.flush(&self.waits);
        self.waits.snapshot()
    }

    /// The slow path of [`Exchange::offer`]: somebody waits, or did a moment ago.
    fn serve(&self, mut ticket: Ticket, now: Moment) -> Result<(), Ticket> {
        // Two places, because the common case of one served waiter must not allocate.
        let (mut turned_away, mut served) = (Vec::new(), None);
        let mut result = Ok(());
        let mut queue = self.queue.lock();
        loop {
            if self.idle.is_closed() {
                result = Err(ticket);
                break;
            }
            if self.idle.is_suspended() {
                result = self.idle.push_past_waiters(ticket);
                break;
            }
            if let Some(outcome) = self.impatience_of_first(&queue, now) {
                turned_away.extend(queue.waiters.settle_first(outcome).ok().flatten());
                continue;
            }
            if let Some(patience) = queue.waiters.first_patience() {
                let waited = now.as_nanos().saturating_sub(patience.since.as_nanos());
                queue.last_waits.record(waited, &self.waits);
            }
            match queue.waiters.settle_first(Outcome::Served(ticket)) {
                Ok(waker) => {
                    served = waker;
                    break;
                }
                Err(Outcome::Served(unclaimed)) => ticket = unclaimed,
                Err(_) => unreachable!("it was `Served`"),
            }
            // Nobody is left. With the flag down under the lock, the push can fail only by closing.
            self.shrunk(&queue);
            match self.idle.push(ticket) {
                Ok(()) => break,
                Err(refused) => ticket = refused,
            }
        }
        self.shrunk(&queue);
        drop(queue);
        turned_away.into_iter().chain(served).for_each(Waker::wake);
        result
    }

    /// Why the first in line is turned away instead of served, if it is.
    fn impatience_of_first(&self, queue: &Queue<F>, now: Moment) -> Option<Outcome<F>> {
        let patience = queue.waiters.first_patience()?;
        if patience.deadline <= now {
            return Some(Outcome::Expired);
        }
        let sheds = |shedding: Shedding| shedding.sheds(queue.busy_since, patience.since, now);
        self.shedding.is_some_and(sheds).then_some(Outcome::Shed)
    }

    /// Publishes the queue's length, and lowers the flag with the last waiter.
    fn shrunk(&self, queue: &Queue<F>) {
        self.waiting.store(queue.waiters.len(), Relaxed);
        if queue.waiters.is_empty() {
            self.idle.lower_waiters();
        }
    }
}
