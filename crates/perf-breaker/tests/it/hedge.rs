//! When a second call is made, who wins, and what it may cost.

use crate::support::{MS, SECOND};
use futures_util::FutureExt;
use perf_breaker::{Hedge, HedgeBuilder, RetryBudget};
use perf_core::ManualClock;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::oneshot;

type Reply = Result<u32, &'static str>;

fn builder(clock: &ManualClock) -> HedgeBuilder<ManualClock> {
    let plenty = RetryBudget::with_clock(1.0, &"1000/second".parse().unwrap(), clock.clone());
    Hedge::builder()
        .clock(clock.clone())
        .budget(Arc::new(plenty.unwrap()))
}

/// An upstream whose replies the test sends, in order of the calls; counts calls that were dropped.
#[derive(Clone, Default)]
struct Upstream {
    calls: Rc<RefCell<Vec<Option<oneshot::Sender<Reply>>>>>,
    ended: Rc<Cell<usize>>,
}

struct Ended(Rc<Cell<usize>>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

impl Upstream {
    fn call(&self) -> impl Future<Output = Reply> + use<> {
        let (sender, receiver) = oneshot::channel();
        self.calls.borrow_mut().push(Some(sender));
        let ended = Ended(self.ended.clone());
        async move {
            let _ended = ended;
            receiver.await.unwrap()
        }
    }

    fn reply(&self, call: usize, reply: Reply) {
        let sender = self.calls.borrow_mut()[call].take().unwrap();
        sender.send(reply).unwrap();
    }

    fn calls(&self) -> usize {
        self.calls.borrow().len()
    }
}

#[test]
fn the_first_success_wins_and_the_other_is_dropped() {
    for winner in [0, 1] {
        let (clock, upstream) = (ManualClock::new(), Upstream::default());
        let hedge = builder(&clock).delay(SECOND).build().unwrap();
        let mut call = Box::pin(hedge.call(|| upstream.call()));
        let mut poll = || call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(poll().is_pending());
        clock.advance(999 * MS);
        assert!(poll().is_pending());
        assert_eq!(upstream.calls(), 1);
        clock.advance(MS);
        assert!(poll().is_pending());
        assert_eq!(upstream.calls(), 2);
        upstream.reply(winner, Ok(7));
        assert_eq!(poll(), Poll::Ready(Ok(7)));
        assert_eq!(upstream.ended.get(), 2);
        assert_eq!((hedge.hedged(), hedge.won()), (1, winner as u64));
    }
}

#[test]
fn a_failure_waits_for_the_other() {
    for order in [[0, 1], [1, 0]] {
        for last in [Ok(7), Err("second")] {
            let (clock, upstream) = (ManualClock::new(), Upstream::default());
            let hedge = builder(&clock).delay(SECOND).build().unwrap();
            let mut call = Box::pin(hedge.call(|| upstream.call()));
            let mut poll = || call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(poll().is_pending());
            clock.advance(SECOND);
            assert!(poll().is_pending());
            upstream.reply(order[0], Err("first"));
            assert!(poll().is_pending());
            assert!(poll().is_pending());
            upstream.reply(order[1], last);
            assert_eq!(poll(), Poll::Ready(last));
        }
    }
}

#[test]
fn an_early_failure_is_not_repeated() {
    let clock = ManualClock::new();
    let hedge = builder(&clock).delay(SECOND).build().unwrap();
    let calls = Cell::new(0);
    let reply = hedge.call(|| {
        calls.set(calls.get() + 1);
        std::future::ready(Err::<(), _>("down"))
    });
    assert_eq!(reply.now_or_never(), Some(Err("down")));
    assert_eq!(calls.get(), 1);
}

#[test]
fn without_budget_there_is_no_second_call() {
    let (clock, upstream) = (ManualClock::new(), Upstream::default());
    let little = RetryBudget::with_clock(0.1, &"1/hour".parse().unwrap(), clock.clone()).unwrap();
    let hedge = Hedge::builder()
        .clock(clock.clone())
        .delay(SECOND)
        .budget(Arc::new(little))
        .build()
        .unwrap();
    for _ in 0..1_000 {
        let mut call = Box::pin(hedge.call(|| upstream.call()));
        let mut poll = || call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(poll().is_pending());
        clock.advance(SECOND);
        assert!(poll().is_pending());
        let last = upstream.calls() - 1;
        upstream.reply(last, Ok(7));
        assert_eq!(poll(), Poll::Ready(Ok(7)));
    }
    // A tenth of the calls; the allowance of one is there at first and comes back once.
    assert_eq!(upstream.calls(), 1_000 + 100 + 1);
    assert_eq!(hedge.hedged(), 101);
}

#[test]
fn the_delay_is_learnt_from_what_calls_take() {
    let clock = ManualClock::new();
    let hedge = builder(&clock).percentile(0.9).build().unwrap();
    for call in 0..100_u32 {
        assert_eq!(hedge.delay(), None);
        let work = hedge.call(|| {
            clock.advance(if call % 10 == 0 { SECOND } else { 10 * MS });
            std::future::ready(Ok::<_, ()>(()))
        });
        assert_eq!(work.now_or_never(), Some(Ok(())));
    }
    let delay = hedge.delay().unwrap().as_secs_f64();
    assert!((delay / 0.010 - 1.0).abs() < 0.02, "{delay}");
}

/// Callers that hang up early do not make the callee look fast; those that gave up late show that it is slow.
#[test]
fn calls_that_are_given_up_teach_only_once_they_are_late() {
    let clock = ManualClock::new();
    let hedge = builder(&clock).percentile(0.9).build().unwrap();
    let give_up_after = |time: Duration| {
        let mut call = Box::pin(hedge.call(std::future::pending::<Result<(), ()>>));
        let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        clock.advance(time);
    };
    (0..200).for_each(|_| give_up_after(MS));
    assert_eq!(hedge.delay(), None, "nothing has ended yet");
    let answer = || {
        clock.advance(100 * MS);
        std::future::ready(Ok::<_, ()>(()))
    };
    for _ in 0..100 {
        assert!(hedge.call(answer).now_or_never().is_some());
    }
    let near = |expected: f64| {
        let delay = hedge.delay().unwrap().as_secs_f64();
        assert!((delay / expected - 1.0).abs() < 0.02, "{delay}");
    };
    near(0.1);
    (0..5_000).for_each(|_| give_up_after(MS));
    near(0.1);
    (0..2_000).for_each(|_| give_up_after(SECOND));
    near(1.0);
}

#[test]
fn settings_are_checked() {
    for share in [0.0, 1.01, f64::NAN] {
        assert!(Hedge::builder().percentile(share).build().is_err());
    }
    assert!(Hedge::builder().delay(Duration::MAX).build().is_err());
}
