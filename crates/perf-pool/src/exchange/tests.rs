//! What real threads do to the exchange. Miri runs these with fewer rounds and watches every access.

use super::{Enrolment, Exchange, Outcome, Patience, Place, Slots, Ticket, Waiter};
use perf_core::Moment;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

const ROUNDS: u64 = if cfg!(miri) { 12 } else { 2_000 };

/// Slots that count their holders, all of them idle.
struct Row {
    exchange: Exchange<()>,
    slots: Slots<u64>,
}

/// Wakes a thread that waits for its turn.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The waker of whoever runs now.
fn waker() -> Waker {
    Arc::new(Unpark(thread::current())).into()
}

const fn until(deadline: Moment) -> Place {
    Place {
        patience: Patience {
            since: Moment::ORIGIN,
            deadline,
            caller: 0,
        },
        seen: None,
        max: usize::MAX,
    }
}

impl Row {
    fn new(count: u32) -> Self {
        let (slots, tickets) = Slots::new(count, || 0);
        let row = Self {
            exchange: Exchange::new(count, None),
            slots,
        };
        tickets.into_iter().for_each(|ticket| row.give_back(ticket));
        row
    }

    fn give_back(&self, ticket: Ticket) {
        let offered = self.exchange.offer(ticket, || Moment::ORIGIN);
        assert!(offered.is_ok(), "the exchange is open");
    }

    fn use_once(&self, mut ticket: Ticket) {
        *self.slots.open_mut(&mut ticket) += 1;
        self.give_back(ticket);
    }

    /// A ticket, or a place in line.
    fn begin(&self, waiter: Pin<&Waiter<()>>, waker: &Waker) -> Option<Ticket> {
        loop {
            if let Some((ticket, _)) = self.exchange.pop() {
                return Some(ticket);
            }
            match self.exchange.enrol(waiter, waker, until(Moment::NEVER)) {
                Enrolment::Queued { .. } => return None,
                Enrolment::Retry => {}
                refused => panic!("{refused:?}"),
            }
        }
    }

    fn acquire(&self) -> Ticket {
        let waiter = pin!(Waiter::new());
        let waker = waker();
        if let Some(ticket) = self.begin(waiter.as_ref(), &waker) {
            return ticket;
        }
        loop {
            let context = Context::from_waker(&waker);
            match self.exchange.poll(waiter.as_ref(), &context) {
                Poll::Ready(Outcome::Served(ticket)) => return ticket,
                Poll::Ready(outcome) => panic!("{outcome:?}"),
                Poll::Pending => thread::park(),
            }
        }
    }

    /// Acquires, but gives up as soon as it has to wait.
    fn acquire_impatiently(&self) -> Option<Ticket> {
        let waiter = pin!(Waiter::new());
        self.begin(waiter.as_ref(), &waker())
            .or_else(|| self.exchange.withdraw(waiter.as_ref()))
    }

    /// How often the slots were used, all of them being idle.
    fn uses(&self) -> u64 {
        let idle = self.exchange.drain();
        idle.iter().map(|ticket| *self.slots.open(ticket)).sum()
    }
}

#[test]
fn no_use_is_lost_between_threads() {
    for slots in [1, 2] {
        let row = Row::new(slots);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| (0..ROUNDS).for_each(|_| row.use_once(row.acquire())));
            }
        });
        assert_eq!((row.uses(), row.exchange.waiting()), (3 * ROUNDS, 0));
    }
}

#[test]
fn a_wait_given_up_is_nobodys_loss() {
    let row = Row::new(1);
    let given_up = thread::scope(|scope| {
        scope.spawn(|| (0..ROUNDS).for_each(|_| row.use_once(row.acquire())));
        let impatient = scope.spawn(|| {
            let mut given_up = 0;
            for _ in 0..ROUNDS {
                match row.acquire_impatiently() {
                    Some(ticket) => row.use_once(ticket),
                    None => given_up += 1,
                }
            }
            given_up
        });
        impatient.join().unwrap()
    });
    assert_eq!(row.uses(), 2 * ROUNDS - given_up);
}

/// The line is taken apart from its middle, by deadline, by service and by refusal.
#[test]
fn everybody_leaves_the_line_in_a_way_of_their_own() {
    let row = Row::new(1);
    let held = row.acquire();
    let [left, late, served, refused] = [(); 4].map(|()| Box::pin(Waiter::new()));
    let waker = waker();
    for (waiter, deadline) in [
        (&served, Moment::NEVER),
        (&left, Moment::NEVER),
        (&late, Moment::from_nanos(5)),
        (&refused, Moment::NEVER),
    ] {
        let enrolment = row.exchange.enrol(waiter.as_ref(), &waker, until(deadline));
        assert!(matches!(enrolment, Enrolment::Queued { .. }));
    }
    assert!(row.exchange.withdraw(left.as_ref()).is_none());
    assert_eq!(row.exchange.sweep(Moment::from_nanos(5)), Moment::NEVER);
    assert!(matches!(
        late.as_ref().take_outcome(),
        Some(Outcome::Expired)
    ));
    row.give_back(held);
    let Some(Outcome::Served(ticket)) = served.as_ref().take_outcome() else {
        panic!("it was the first in line");
    };
    assert_eq!(row.exchange.waiting(), 1);
    assert!(row.exchange.close(|| ()).is_empty());
    assert!(matches!(
        refused.as_ref().take_outcome(),
        Some(Outcome::Refused(()))
    ));
    assert!(row.exchange.offer(ticket, || Moment::ORIGIN).is_err());
}

/// A waiter may be freed the moment its outcome is there, while whoever settled it still runs.
#[test]
fn a_waiter_is_not_touched_once_it_is_settled() {
    for _ in 0..ROUNDS {
        let row = Row::new(1);
        let held = row.acquire();
        let waiter = Box::pin(Waiter::new());
        let waker = waker();
        let enrolment = row
            .exchange
            .enrol(waiter.as_ref(), &waker, until(Moment::NEVER));
        assert!(matches!(enrolment, Enrolment::Queued { .. }));
        thread::scope(|scope| {
            scope.spawn(|| row.give_back(held));
            loop {
                if let Some(Outcome::Served(ticket)) = waiter.as_ref().take_outcome() {
                    drop(waiter);
                    row.use_once(ticket);
                    break;
                }
                thread::yield_now();
            }
        });
        assert_eq!(row.uses(), 1);
    }
}
