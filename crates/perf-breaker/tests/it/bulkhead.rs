//! Places, the queue, and what becomes of both when calls are dropped.

use crate::support::{SECOND, figures};
use futures_util::FutureExt;
use perf_breaker::{Bulkhead, Deadline, GuardError, OverloadCause};
use perf_core::{Health, ManualClock};
use perf_testkit::allocations::count;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

fn bulkhead(places: usize, queue: usize) -> Bulkhead {
    Bulkhead::builder("test", places)
        .queue(queue)
        .build()
        .unwrap()
}

fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

async fn never() -> Result<(), ()> {
    pending().await
}

fn cause<T, E>(result: Result<T, GuardError<E>>) -> Option<OverloadCause> {
    match result {
        Err(GuardError::Overloaded(overload)) => Some(overload.cause),
        _ => None,
    }
}

#[test]
fn calls_beyond_places_and_queue_are_refused() {
    let bulkhead = bulkhead(2, 1);
    let mut calls: Vec<_> = (0..3).map(|_| Box::pin(bulkhead.call(never()))).collect();
    assert!(calls.iter_mut().all(|call| poll(call).is_pending()));
    assert_eq!((bulkhead.under_way(), bulkhead.waiting()), (2, 1));
    let refused = bulkhead
        .call(async { Ok::<_, ()>(()) })
        .now_or_never()
        .unwrap();
    let error = refused.clone().unwrap_err();
    assert!(error.is_rejection());
    assert_eq!(error.retry_after(), Some(SECOND));
    let text = bulkhead.try_enter().unwrap_err().to_string();
    assert_eq!(
        text,
        "test refuses the call, its queue is full, and asks to wait 1s"
    );
    assert_eq!(cause(refused), Some(OverloadCause::QueueFull));
    drop(calls);
    assert_eq!((bulkhead.under_way(), bulkhead.waiting()), (0, 0));
}

#[test]
fn those_who_wait_are_served_in_order_and_nobody_passes_them() {
    let bulkhead = bulkhead(1, 10);
    let place = bulkhead.try_enter().unwrap();
    let mut line: VecDeque<_> = (0..5).map(|_| Box::pin(bulkhead.enter())).collect();
    assert!(line.iter_mut().all(|entry| poll(entry).is_pending()));
    drop(place);
    assert!(bulkhead.try_enter().is_err(), "the place is the first's");
    while let Some(mut first) = line.pop_front() {
        assert!(line.iter_mut().all(|entry| poll(entry).is_pending()));
        assert!(matches!(poll(&mut first), Poll::Ready(Ok(_))));
    }
    assert!(bulkhead.try_enter().is_ok());
}

#[test]
fn a_wait_ends_at_its_limit_or_at_the_deadline() {
    let clock = ManualClock::new();
    let bulkhead = Bulkhead::builder("test", 1)
        .queue(5)
        .max_wait(10 * SECOND)
        .clock(clock.clone())
        .build()
        .unwrap();
    let place = bulkhead.try_enter().unwrap();
    let mut usual = Box::pin(bulkhead.call(never()));
    let deadline = Deadline::after_on(SECOND, clock.clone());
    let mut hurried = Box::pin(deadline.scope(bulkhead.call(never())));
    assert!(poll(&mut usual).is_pending() && poll(&mut hurried).is_pending());
    clock.advance(SECOND);
    let Poll::Ready(refused) = poll(&mut hurried) else {
        panic!("the deadline is over");
    };
    assert_eq!(cause(refused), Some(OverloadCause::WaitedTooLong));
    assert!(poll(&mut usual).is_pending());
    clock.advance(9 * SECOND);
    let Poll::Ready(refused) = poll(&mut usual) else {
        panic!("the wait is over");
    };
    assert_eq!(cause(refused), Some(OverloadCause::WaitedTooLong));
    assert_eq!(bulkhead.waiting(), 0);
    drop(place);
    assert_eq!(bulkhead.under_way(), 0);
}

/// Whatever is dropped whenever, with or without a panic: all places and all seats come back.
#[test]
fn nothing_leaks_when_calls_are_dropped_at_random_polls() {
    let bulkhead = bulkhead(3, 4);
    let mut random = fastrand::Rng::with_seed(3);
    let mut calls: Vec<Pin<Box<dyn Future<Output = _>>>> = Vec::new();
    let (mut refused, mut done) = (0, 0);
    for _ in 0..100_000 {
        if random.bool() {
            let polls = random.u8(..4);
            calls.push(Box::pin(bulkhead.call(async move {
                for _ in 0..polls {
                    tokio::task::yield_now().await;
                }
                Ok::<_, ()>(())
            })));
        }
        if calls.is_empty() {
            continue;
        }
        let chosen = random.usize(..calls.len());
        if random.u8(..4) == 0 {
            drop(calls.swap_remove(chosen));
        } else if let Poll::Ready(result) = poll(&mut calls[chosen]) {
            refused += usize::from(result.is_err());
            done += usize::from(result.is_ok());
            drop(calls.swap_remove(chosen));
        }
        assert!(bulkhead.under_way() <= 3 && bulkhead.waiting() <= 4);
    }
    drop(calls);
    assert!(refused > 100 && done > 100, "{refused} {done}");
    assert_eq!((bulkhead.under_way(), bulkhead.waiting()), (0, 0));
    let places: Vec<_> = std::iter::from_fn(|| bulkhead.try_enter().ok()).collect();
    assert_eq!(places.len(), 3);
}

#[test]
fn a_panic_frees_its_place() {
    let bulkhead = bulkhead(1, 0);
    let mut call = Box::pin(bulkhead.call(async { panic!("boom") as Result<(), ()> }));
    let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| poll(&mut call)));
    assert!(polled.is_err());
    drop(call);
    assert_eq!(bulkhead.under_way(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn never_more_than_the_places_at_once() {
    let bulkhead = bulkhead(5, 1_000);
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..500 {
        let (now, most) = (now.clone(), most.clone());
        calls.spawn(bulkhead.call_owned(async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            now.fetch_sub(1, Ordering::SeqCst);
            Ok::<_, ()>(())
        }));
    }
    assert!(calls.join_all().await.iter().all(Result::is_ok));
    let most = most.load(Ordering::SeqCst);
    assert!((1..=5).contains(&most), "{most}");
}

#[test]
fn a_call_that_finds_a_place_allocates_nothing() {
    let bulkhead = bulkhead(1, 1);
    let call = || {
        let reply = bulkhead.call(async { Ok::<_, ()>(7) }).now_or_never();
        assert_eq!(reply, Some(Ok(7)));
    };
    assert_eq!(count(call), 0);
}

#[test]
fn settings_are_checked_and_figures_shown() {
    assert!(Bulkhead::builder("test", 1).queue(1 << 21).build().is_err());
    let wait = Bulkhead::builder("test", 1)
        .max_wait(Duration::ZERO)
        .build();
    assert_eq!(
        wait.unwrap_err().to_string(),
        "longest wait is 0ns, must be 1ns to 31536000s"
    );
    let bulkhead = bulkhead(1, 0);
    let registry = perf_core::Registry::new();
    bulkhead.register(&registry);
    let _place = bulkhead.try_enter().unwrap();
    assert!(bulkhead.try_enter().is_err());
    let shown = &registry.inspect()[0];
    assert_eq!((&*shown.name, shown.kind), ("test", "bulkhead"));
    assert_eq!(shown.health, Health::Degraded("full".into()));
    assert_eq!(
        figures(&shown.samples),
        ["under_way 1", "waiting 0", "refused 1"]
    );
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Arrive,
    Leave(usize),
}

proptest! {
    /// Against a list of who is in and a list of who waits.
    #[test]
    fn it_behaves_as_two_lists(
        places in 1..4_usize, queue in 0..4_usize,
        steps in prop::collection::vec(
            prop_oneof![Just(Step::Arrive), any::<usize>().prop_map(Step::Leave)], 1..60,
        ),
    ) {
        let bulkhead = bulkhead(places, queue);
        let mut calls = Vec::new();
        // By number of arrival.
        let (mut inside, mut line) = (Vec::new(), VecDeque::new());
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Arrive => {
                    let mut call = Box::pin(bulkhead.call(never()));
                    let refused = poll(&mut call).is_ready();
                    prop_assert_eq!(refused, inside.len() == places && line.len() == queue);
                    if !refused {
                        calls.push((number, call));
                        if inside.len() < places {
                            inside.push(number);
                        } else {
                            line.push_back(number);
                        }
                    }
                }
                Step::Leave(which) if !calls.is_empty() => {
                    let (number, call) = calls.swap_remove(which % calls.len());
                    drop(call);
                    line.retain(|waiting| *waiting != number);
                    let was_inside = inside.len();
                    inside.retain(|other| *other != number);
                    if inside.len() < was_inside && let Some(next) = line.pop_front() {
                        inside.push(next);
                        // It takes its place when it is polled.
                        let (_, call) = calls.iter_mut().find(|(n, _)| *n == next).unwrap();
                        prop_assert!(poll(call).is_pending());
                    }
                }
                Step::Leave(_) => {}
            }
            prop_assert_eq!(bulkhead.under_way(), inside.len());
            prop_assert_eq!(bulkhead.waiting(), line.len() as u64);
        }
    }
}
