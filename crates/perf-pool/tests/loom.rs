//! Every interleaving of the exchange's threads, up to a bound on preemptions.
#![cfg(loom)]

use loom::future::block_on;
use loom::sync::Arc;
use loom::thread;
use perf_core::Moment;
use perf_pool::exchange::{Enrolment, Exchange, Outcome, Patience, Place, Slots, Ticket, Waiter};
use perf_pool::object_pool::shelf::Shelf;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

/// A place in a line without end or deadline.
const PATIENT: Place = Place {
    patience: Patience {
        since: Moment::ORIGIN,
        deadline: Moment::NEVER,
        caller: 0,
    },
    seen: None,
    max: usize::MAX,
};

/// An exchange over cells that loom watches: two holders of one slot are a data race.
struct Model {
    exchange: Exchange<()>,
    slots: Slots<usize>,
}

impl Model {
    /// All `count` slots idle.
    fn new(count: u32) -> Arc<Self> {
        let (slots, tickets) = Slots::new(count, || 0);
        let exchange = Exchange::new(count, None);
        for ticket in tickets {
            assert!(exchange.offer(ticket, || Moment::ORIGIN).is_ok());
        }
        Arc::new(Self { exchange, slots })
    }

    /// One step of an acquire: a ticket, or `Pending` from a place in line.
    fn begin(&self, waiter: Pin<&Waiter<()>>, context: &Context<'_>) -> Poll<Option<Ticket>> {
        loop {
            if let Some((ticket, _)) = self.exchange.pop() {
                return Poll::Ready(Some(ticket));
            }
            let waker = context.waker();
            match self.exchange.enrol(waiter, waker, PATIENT) {
                Enrolment::Queued { .. } => return Poll::Pending,
                Enrolment::Retry => {}
                Enrolment::Full => unreachable!("the line has no end"),
                Enrolment::Closed => return Poll::Ready(None),
            }
        }
    }

    fn acquire(&self) -> Option<Ticket> {
        block_on(async {
            let waiter = pin!(Waiter::new());
            let mut enrolled = false;
            poll_fn(|context| {
                if enrolled {
                    return self.exchange.poll(waiter.as_ref(), context).map(served);
                }
                enrolled = true;
                self.begin(waiter.as_ref(), context)
            })
            .await
        })
    }

    /// Acquires, but gives up at once when it has to wait.
    fn acquire_impatiently(&self) -> Option<Ticket> {
        block_on(async {
            let waiter = pin!(Waiter::new());
            let begun = poll_fn(|context| Poll::Ready(self.begin(waiter.as_ref(), context))).await;
            match begun {
                Poll::Ready(ticket) => ticket,
                Poll::Pending => self.exchange.withdraw(waiter.as_ref()),
            }
        })
    }

    /// Uses the slot as its only holder would.
    fn touch(&self, ticket: &mut Ticket) {
        *self.slots.open_mut(ticket) += 1;
    }

    fn touch_and_return(&self, mut ticket: Ticket) {
        self.touch(&mut ticket);
        // After closing, the ticket comes back and the slot is the pool's to clear.
        let _closed = self.exchange.offer(ticket, || Moment::ORIGIN);
    }
}

fn served(outcome: Outcome<()>) -> Option<Ticket> {
    match outcome {
        Outcome::Served(ticket) => Some(ticket),
        Outcome::Refused(()) => None,
        Outcome::Expired | Outcome::Shed => panic!("no time passes"),
    }
}

fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn spawn(model: &Arc<Model>, work: fn(&Model)) -> thread::JoinHandle<()> {
    let model = Arc::clone(model);
    thread::spawn(move || work(&model))
}

/// Both are served, whoever comes first: no wake-up is lost between a return and an enrolment.
#[test]
fn two_share_one_slot() {
    check(|| {
        let model = Model::new(1);
        let use_once = |model: &Model| model.touch_and_return(model.acquire().unwrap());
        let other = spawn(&model, use_once);
        use_once(&model);
        other.join().unwrap();
        let mut ticket = model.exchange.pop().unwrap().0;
        assert_eq!(*model.slots.open_mut(&mut ticket), 2);
        assert_eq!(model.exchange.waiting(), 0);
    });
}

#[test]
fn three_share_one_slot() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let model = Model::new(1);
        let use_once = |model: &Model| model.touch_and_return(model.acquire().unwrap());
        let others = [spawn(&model, use_once), spawn(&model, use_once)];
        use_once(&model);
        for other in others {
            other.join().unwrap();
        }
        let mut ticket = model.exchange.pop().unwrap().0;
        assert_eq!(*model.slots.open_mut(&mut ticket), 3);
    });
}

/// A top that was popped and pushed again between another's read and swap must not be taken for the
/// same stack.
#[test]
fn a_recycled_top_is_noticed() {
    check(|| {
        let model = Model::new(2);
        let pop_one = spawn(&model, |model| {
            if let Some((ticket, _)) = model.exchange.pop() {
                model.touch_and_return(ticket);
            }
        });
        let pop_two = spawn(&model, |model| {
            let (first, second) = (model.exchange.pop(), model.exchange.pop());
            for (ticket, _) in first.into_iter().chain(second) {
                model.touch_and_return(ticket);
            }
        });
        pop_one.join().unwrap();
        pop_two.join().unwrap();
        assert!(model.exchange.pop().is_some());
        assert!(model.exchange.pop().is_some());
        assert!(model.exchange.pop().is_none());
    });
}

/// The one who gives up takes nothing along, even when served at that instant.
#[test]
fn giving_up_passes_the_slot_on() {
    check(|| {
        let model = Model::new(1);
        let held = model.exchange.pop().unwrap().0;
        let impatient = spawn(&model, |model| {
            if let Some(ticket) = model.acquire_impatiently() {
                model.touch_and_return(ticket);
            }
        });
        let patient = spawn(&model, |model| {
            model.touch_and_return(model.acquire().unwrap())
        });
        model.touch_and_return(held);
        impatient.join().unwrap();
        patient.join().unwrap();
        assert!(model.exchange.pop().is_some());
    });
}

/// Whoever waits when the pool closes is told, and a slot on its way back is not lost.
#[test]
fn closing_reaches_everybody() {
    check(|| {
        let model = Model::new(1);
        let held = model.exchange.pop().unwrap().0;
        let waiting = spawn(&model, |model| {
            if let Some(ticket) = model.acquire() {
                model.touch_and_return(ticket);
            }
        });
        let closing = spawn(&model, |model| {
            for mut ticket in model.exchange.close(|| ()) {
                model.touch(&mut ticket);
            }
        });
        model.touch_and_return(held);
        waiting.join().unwrap();
        closing.join().unwrap();
        assert!(model.exchange.pop().is_none());
        assert_eq!(model.exchange.waiting(), 0);
    });
}

/// Sorting out idle slots hides them for a moment; those who wait meanwhile are served from what comes
/// back.
#[test]
fn sorting_out_idle_slots_strands_nobody() {
    check(|| {
        let model = Model::new(1);
        let sorting = spawn(&model, |model| {
            for ticket in model.exchange.drain() {
                model.touch_and_return(ticket);
            }
        });
        model.touch_and_return(model.acquire().unwrap());
        sorting.join().unwrap();
        assert!(model.exchange.pop().is_some());
    });
}

/// What came back while nothing was handed out reaches whoever waits, when the suspension ends.
#[test]
fn a_suspension_strands_nobody() {
    check(|| {
        let model = Model::new(1);
        let held = model.exchange.pop().unwrap().0;
        model.exchange.suspend();
        let waiting = spawn(&model, |model| {
            model.touch_and_return(model.acquire().unwrap())
        });
        let resuming = spawn(&model, |model| {
            for ticket in model.exchange.resume() {
                model.touch_and_return(ticket);
            }
        });
        model.touch_and_return(held);
        waiting.join().unwrap();
        resuming.join().unwrap();
        assert!(model.exchange.pop().is_some());
        assert_eq!(model.exchange.waiting(), 0);
    });
}

/// Two threads never reach into a shelf together, and what one puts there the other finds whole.
#[test]
fn a_shelf_is_reached_by_one_at_a_time() {
    check(|| {
        let shelf = Arc::new(Shelf::new());
        let put = {
            let shelf = Arc::clone(&shelf);
            thread::spawn(move || shelf.try_reach(|objects| objects.push(1)).is_some())
        };
        let mine = shelf.try_reach(|objects| objects.push(2)).is_some();
        let taken = shelf.try_reach(Vec::pop).flatten().is_some();
        let put = put.join().unwrap();
        let left = shelf.try_reach(|objects| objects.len());
        assert_eq!(
            left,
            Some(usize::from(put) + usize::from(mine) - usize::from(taken))
        );
    });
}
