#![allow(
    unsafe_code,
    reason = "the queue links waiters that lie in their own futures, so that waiting allocates nothing"
)]

use super::Ticket;
use crate::sync::{AtomicU8, UnsafeCell};
use perf_core::Moment;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::task::Waker;

/// One who waits, linked into the queue in place.
///
/// Who may touch what is fixed by `state`:
///
/// | state | `links` | `outcome` |
/// |---|---|---|
/// | `OUTSIDE` | its owner | nobody |
/// | `QUEUED` | whoever holds the queue's lock | whoever holds the queue's lock |
/// | `SETTLED` | its owner | its owner |
///
/// The settling thread stores `SETTLED` with release as its *last* access: the owner may free the
/// waiter the instant it reads that. An owner must not free it while `QUEUED`; the exchange's
/// `withdraw` takes it out first.
#[derive(Debug)]
pub struct Waiter<F> {
    state: AtomicU8,
    links: UnsafeCell<Links<F>>,
    outcome: UnsafeCell<Option<Outcome<F>>>,
    _pinned: PhantomPinned,
}

/// How a wait ended.
#[derive(Debug)]
pub enum Outcome<F> {
    /// With the right to a slot.
    Served(Ticket),
    /// Past its deadline.
    Expired,
    /// Turned away, because the line does not get shorter and it stood there too long.
    Shed,
    /// Refused for everybody who waits.
    Refused(F),
}

#[derive(Debug)]
struct Links<F> {
    /// Outdated in the first of the queue.
    before: Option<NonNull<Waiter<F>>>,
    after: Option<NonNull<Waiter<F>>>,
    patience: Patience,
    waker: Option<Waker>,
}

/// Who waits, since when, and until when.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    pub since: Moment,
    pub deadline: Moment,
    /// Whatever tells callers apart; the exchange only keeps it.
    pub caller: u64,
}

const OUTSIDE: u8 = 0;
const QUEUED: u8 = 1;
const SETTLED: u8 = 2;

// SAFETY: the table above says which thread may touch which field; values that cross threads (`Waker`,
// `Outcome<F>`) are `Send` if `F` is.
unsafe impl<F: Send> Send for Waiter<F> {}
// SAFETY: as above; a shared reference reaches only the atomic without the lock or the ownership.
unsafe impl<F: Send> Sync for Waiter<F> {}

impl<F> Waiter<F> {
    pub fn new() -> Self {
        Self {
            state: AtomicU8::new(OUTSIDE),
            links: UnsafeCell::new(Links {
                before: None,
                after: None,
                patience: Patience {
                    since: Moment::ORIGIN,
                    deadline: Moment::NEVER,
                    caller: 0,
                },
                waker: None,
            }),
            outcome: UnsafeCell::new(None),
            _pinned: PhantomPinned,
        }
    }

    /// Its outcome, once settled. Takes no lock.
    pub fn take_outcome(self: Pin<&Self>) -> Option<Outcome<F>> {
        if self.state.load(Acquire) != SETTLED {
            return None;
        }
        self.state.store(OUTSIDE, Relaxed);
        // SAFETY: settled, so the outcome is its owner's, and a pinned borrow is only the owner's to
        // give: nobody else calls this.
        self.outcome
            .with_mut(|outcome| unsafe { (*outcome).take() })
    }

    /// Whether it stands in the queue. Exact only under the queue's lock.
    pub fn is_queued(&self) -> bool {
        self.state.load(Relaxed) == QUEUED
    }
}

impl<F> Default for Waiter<F> {
    fn default() -> Self {
        Self::new()
    }
}

/// Those who wait, first come first served: a doubly linked list through the waiters themselves.
///
/// Lies inside the exchange's lock: `&mut self` is the proof that the lock is held.
#[derive(Debug)]
pub struct Waiters<F> {
    first: Option<NonNull<Waiter<F>>>,
    last: Option<NonNull<Waiter<F>>>,
    len: usize,
}

// SAFETY: the pointers lead to waiters that are `Sync`; the list only moves under its lock.
unsafe impl<F: Send> Send for Waiters<F> {}

impl<F> Waiters<F> {
    pub const fn new() -> Self {
        Self {
            first: None,
            last: None,
            len: 0,
        }
    }

    pub const fn len(&self) -> usize {
        self.len
    }

    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends `waiter`, which must be outside.
    ///
    /// # Safety
    ///
    /// The waiter must stay in place until it is settled or unlinked. Pinning and the exchange's
    /// `withdraw` in the owner's drop see to that.
    pub unsafe fn push_last(&mut self, waiter: Pin<&Waiter<F>>, patience: Patience, waker: Waker) {
        let pointer = NonNull::from(waiter.get_ref());
        waiter.links.with_mut(|links| {
            // SAFETY: outside, so the links are the owner's, who lent the waiter.
            let links = unsafe { &mut *links };
            links.before = self.last;
            links.after = None;
            links.patience = patience;
            links.waker = Some(waker);
        });
        waiter.state.store(QUEUED, Relaxed);
        match self.last.replace(pointer) {
            Some(last) => edit(last, |links| links.after = Some(pointer)),
            None => self.first = Some(pointer),
        }
        self.len += 1;
    }

    /// Takes `waiter` out of the queue, whatever its place. Its waker is somebody's code, to be dropped
    /// after unlocking.
    #[must_use = "the waker must be dropped after unlocking"]
    pub fn unlink(&mut self, waiter: Pin<&Waiter<F>>) -> Option<Waker> {
        let waker = self.unlink_pointer(NonNull::from(waiter.get_ref()));
        waiter.state.store(OUTSIDE, Relaxed);
        waker
    }

    /// Renews the waker of a queued waiter and returns the old one, to be dropped after unlocking.
    #[must_use = "the waker must be dropped after unlocking"]
    pub fn set_waker(&mut self, waiter: Pin<&Waiter<F>>, waker: Waker) -> Option<Waker> {
        edit(NonNull::from(waiter.get_ref()), |links| {
            links.waker.replace(waker)
        })
    }

    /// The patience of the one whose turn is next.
    pub fn first_patience(&self) -> Option<Patience> {
        Some(edit(self.first?, |links| links.patience))
    }

    /// Ends the wait of the first in line and returns whom to wake after unlocking; the outcome itself
    /// when nobody waits.
    pub fn settle_first(&mut self, outcome: Outcome<F>) -> Result<Option<Waker>, Outcome<F>> {
        match self.first {
            Some(first) => Ok(self.settle(first, outcome)),
            None => Err(outcome),
        }
    }

    /// Ends every wait whose deadline is at or before `now`; the wakers go to `woken`. Returns the
    /// next deadline.
    pub fn expire(&mut self, now: Moment, woken: &mut Vec<Waker>) -> Moment {
        let mut next_deadline = Moment::NEVER;
        let mut cursor = self.first;
        while let Some(waiter) = cursor {
            let deadline = edit(waiter, |links| {
                cursor = links.after;
                links.patience.deadline
            });
            if deadline <= now {
                woken.extend(self.settle(waiter, Outcome::Expired));
            } else {
                next_deadline = next_deadline.min(deadline);
            }
        }
        next_deadline
    }

    /// The waker of everybody in line, none of whom is settled.
    pub fn wakers(&self) -> Vec<Waker> {
        let wakers = self.collect(|links| links.waker.clone());
        wakers.into_iter().flatten().collect()
    }

    /// Who is in line, the first one first.
    pub fn callers(&self) -> Vec<u64> {
        self.collect(|links| links.patience.caller)
    }

    fn collect<T>(&self, read: impl Fn(&Links<F>) -> T) -> Vec<T> {
        let mut cursor = self.first;
        std::iter::from_fn(|| {
            edit(cursor?, |links| {
                cursor = links.after;
                Some(read(links))
            })
        })
        .collect()
    }

    fn settle(&mut self, waiter: NonNull<Waiter<F>>, outcome: Outcome<F>) -> Option<Waker> {
        let waker = self.unlink_pointer(waiter);
        // SAFETY: it was queued, so it is alive and its fields belong to the holder of the lock. After
        // the store of `SETTLED` its owner may free it, hence nothing touches it any more.
        unsafe {
            let waiter = waiter.as_ref();
            waiter.outcome.with_mut(|cell| *cell = Some(outcome));
            waiter.state.store(SETTLED, Release);
        }
        waker
    }

    fn unlink_pointer(&mut self, waiter: NonNull<Waiter<F>>) -> Option<Waker> {
        let (before, after, waker) = edit(waiter, |links| {
            (links.before.take(), links.after.take(), links.waker.take())
        });
        // Nobody is before the first, whatever its link says: to clear that of its follower would fetch the
        // memory of a task that has nothing to do yet.
        if self.first == Some(waiter) {
            self.first = after;
            if after.is_none() {
                self.last = None;
            }
        } else {
            if let Some(before) = before {
                edit(before, |links| links.after = after);
            }
            match after {
                Some(after) => edit(after, |links| links.before = before),
                None => self.last = before,
            }
        }
        self.len -= 1;
        waker
    }
}

/// Reads or changes the links of a queued waiter.
fn edit<F, R>(waiter: NonNull<Waiter<F>>, change: impl FnOnce(&mut Links<F>) -> R) -> R {
    // SAFETY: only waiters in the queue are passed here, by methods of the list, whose lock is held:
    // they are alive, because their owners unlink them first, and their links belong to the lock.
    unsafe { waiter.as_ref().links.with_mut(|links| change(&mut *links)) }
}
