//! The stages of a guard, in their order.

mod leaks;

use crate::support::{MS, SECOND, TickingClock, builder};
use futures_util::FutureExt;
use perf_breaker::{
    AnyError, Bulkhead, CircuitBreaker, Deadline, Guard, GuardBuilder, GuardError, Hold,
    NoFallback, Outcome, OverloadCause, RateLimiter, Retry, State,
};
use perf_core::{Backoff, Clock, Inspect, ManualClock, Sample, Value};
use perf_testkit::allocations::count;
use proptest::prelude::*;
use std::cell::Cell;
use std::future::{pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

fn retry<K: Clock + Clone>(attempts: u32, clock: &K) -> Retry<K> {
    Retry::builder()
        .attempts(attempts)
        .backoff(Backoff::constant(10 * MS))
        .clock(clock.clone())
        .without_budget()
        .build()
        .unwrap()
}

fn limiter<K: Clock + Clone>(quota: &str, clock: &K) -> Arc<RateLimiter<K>> {
    Arc::new(RateLimiter::with_clock(
        &quota.parse().unwrap(),
        clock.clone(),
    ))
}

fn on<K: Clock + Clone>(clock: &K) -> GuardBuilder<AnyError, NoFallback, K> {
    Guard::builder().clock(clock.clone())
}

fn places(count: usize, queue: usize, clock: &ManualClock) -> Bulkhead<ManualClock> {
    let bulkhead = Bulkhead::builder("places", count).queue(queue);
    bulkhead.clock(clock.clone()).build().unwrap()
}

#[test]
fn without_stages_it_is_the_call() {
    let guard = Guard::builder().build().unwrap();
    let works = guard.call(|| async { Ok::<_, ()>(7) });
    assert_eq!(works.now_or_never(), Some(Ok(7)));
    let fails = guard.call_owned(|| async { Err::<(), _>("down") });
    assert_eq!(fails.now_or_never(), Some(Err(GuardError::Inner("down"))));
}

#[test]
fn the_fallback_is_asked_once_after_the_last_attempt() {
    let clock = TickingClock::new();
    let (attempts, asked) = (Cell::new(0), Cell::new(0));
    let guard = on(&clock)
        .retry(retry(3, &clock))
        .fallback(|error| {
            asked.set(asked.get() + 1);
            assert_eq!(error, GuardError::Inner("down"));
            ready(Ok(7))
        })
        .build()
        .unwrap();
    let reply = guard.call(|| {
        attempts.set(attempts.get() + 1);
        ready(Err("down"))
    });
    assert_eq!(reply.now_or_never(), Some(Ok(7)));
    assert_eq!((attempts.get(), asked.get()), (3, 1));
}

#[test]
fn every_attempt_takes_from_the_rate_limit_and_waits_for_it() {
    let clock = TickingClock::new();
    let limiter = limiter("2/second", &clock);
    let guard = on(&clock)
        .retry(retry(5, &clock))
        .rate(limiter.clone())
        .build()
        .unwrap();
    let start = clock.now();
    let made = Cell::new(0);
    let reply = guard.call(|| {
        made.set(made.get() + 1);
        ready(if made.get() < 3 { Err("down") } else { Ok(()) })
    });
    assert_eq!(reply.now_or_never(), Some(Ok(())));
    // Two at once, and the third when the limit allowed it.
    assert_eq!(made.get(), 3);
    assert!(clock.now().since(start) >= 500 * MS);
    let refused = on(&clock).rate(limiter.clone()).build().unwrap();
    assert!(limiter.check_cost(0).is_ok());
    let error = refused
        .call(|| ready(Ok::<_, ()>(())))
        .now_or_never()
        .unwrap()
        .unwrap_err();
    assert!(matches!(error, GuardError::RateLimited(_)) && error.retry_after().is_some());
}

#[test]
fn a_guard_may_wait_in_the_limiters_line() {
    let clock = ManualClock::new();
    let limiter = limiter("1/second", &clock);
    let denied = || {
        let mut samples = Vec::new();
        limiter.samples(&mut samples);
        let of_denied = |sample: &&Sample| sample.name == "denied";
        samples.iter().find(of_denied).unwrap().value.clone()
    };
    let guard = on(&clock)
        .rate_within(limiter.clone(), 3 * SECOND)
        .build()
        .unwrap();
    let call = || Box::pin(guard.call(|| ready(Ok::<_, ()>(()))));
    assert!(poll(&mut call()).is_ready());
    let mut waits = call();
    assert!(poll(&mut waits).is_pending());
    clock.advance(SECOND);
    assert_eq!(poll(&mut waits), Poll::Ready(Ok(())));
    assert_eq!(denied(), Value::Counter(0), "it only had to wait");
    let hurried = Deadline::after_on(500 * MS, clock.clone()).scope(call());
    let refused = hurried.now_or_never().unwrap();
    assert!(
        matches!(refused, Err(GuardError::RateLimited(_))),
        "{refused:?}"
    );
    assert_eq!(denied(), Value::Counter(1));
}

#[test]
fn an_open_breaker_turns_away_before_the_queue_and_a_full_queue_is_no_failure() {
    let clock = ManualClock::new();
    let (bulkhead, breaker) = (places(1, 0, &clock), builder(&clock).build().unwrap());
    let guard = on(&clock)
        .breaker(breaker.clone())
        .bulkhead(bulkhead.clone())
        .build()
        .unwrap();
    let place = bulkhead.try_enter().unwrap();
    let call = || {
        guard
            .call(|| ready(Ok::<_, ()>(())))
            .now_or_never()
            .unwrap()
    };
    let Err(GuardError::Overloaded(overload)) = call() else {
        panic!("the bulkhead is full");
    };
    assert_eq!(overload.cause, OverloadCause::QueueFull);
    assert_eq!(breaker.snapshot().calls, 0);
    breaker.hold(Hold::Open);
    assert!(matches!(call(), Err(GuardError::Rejected(_))));
    drop(place);
}

#[test]
fn time_in_the_queue_counts_neither_as_slow_nor_against_the_time_out() {
    let clock = ManualClock::new();
    let breaker = builder(&clock).slow_calls(SECOND, 0.9).build().unwrap();
    let bulkhead = places(1, 5, &clock);
    let guard = on(&clock)
        .breaker(breaker.clone())
        .bulkhead(bulkhead.clone())
        .timeout(SECOND)
        .build()
        .unwrap();
    let place = bulkhead.try_enter().unwrap();
    let mut waits = Box::pin(guard.call(|| ready(Ok::<_, ()>(7))));
    let mut gives_up = Box::pin(guard.call_owned(|| ready(Ok::<_, ()>(7))));
    assert!(poll(&mut waits).is_pending() && poll(&mut gives_up).is_pending());
    clock.advance(60 * SECOND);
    drop(gives_up);
    drop(place);
    assert_eq!(poll(&mut waits), Poll::Ready(Ok(7)));
    let now = breaker.snapshot();
    assert_eq!((now.calls, now.slow), (1, 0));
}

#[test]
fn the_shortest_limit_ends_the_call_and_only_the_callees_own_counts() {
    let clock = ManualClock::new();
    let breaker = builder(&clock).timeout(3 * SECOND).build().unwrap();
    let guard = |limit| {
        on(&clock)
            .breaker(breaker.clone())
            .timeout(limit)
            .build()
            .unwrap()
    };
    let never = || pending::<Result<(), ()>>();
    for (own, expected) in [(SECOND, SECOND), (5 * SECOND, 3 * SECOND)] {
        breaker.reset();
        let guard = guard(own);
        let mut call = Box::pin(guard.call(never));
        assert!(poll(&mut call).is_pending());
        clock.advance(expected - MS);
        assert!(poll(&mut call).is_pending());
        clock.advance(MS);
        assert_eq!(
            poll(&mut call),
            Poll::Ready(Err(GuardError::Elapsed { limit: expected }))
        );
        assert_eq!(breaker.snapshot().failures, 1);
    }
    breaker.reset();
    let guard = guard(SECOND);
    let deadline = Deadline::after_on(500 * MS, clock.clone());
    let mut call = Box::pin(deadline.scope(guard.call(never)));
    assert!(poll(&mut call).is_pending());
    clock.advance(500 * MS);
    let elapsed = GuardError::Elapsed { limit: 500 * MS };
    assert_eq!(poll(&mut call), Poll::Ready(Err(elapsed)));
    assert_eq!(breaker.snapshot().calls, 0, "its caller was in a hurry");
}

#[test]
fn after_the_deadline_nothing_is_asked() {
    let clock = ManualClock::new();
    let limiter = limiter("1/hour", &clock);
    let guard = on(&clock)
        .retry(retry(3, &clock))
        .rate(limiter.clone())
        .build()
        .unwrap();
    let over = Deadline::after_on(Duration::ZERO, clock.clone());
    let never = || async { panic!("it must not be made") as Result<(), ()> };
    let reply = over.scope(guard.call(never)).now_or_never();
    assert_eq!(reply, Some(Err(GuardError::Expired)));
    assert!(limiter.check().is_allowed());
}

#[test]
fn the_breakers_classifier_decides_what_is_repeated() {
    let clock = TickingClock::new();
    let breaker = CircuitBreaker::builder("test")
        .classify(|result: &Result<(), &str>| match result {
            Err("mine") => Outcome::Ignore,
            Err(_) => Outcome::Failure,
            Ok(()) => Outcome::Success,
        })
        .clock(clock.clone())
        .build()
        .unwrap();
    let guard = on(&clock)
        .retry(retry(3, &clock))
        .breaker(breaker.clone())
        .build()
        .unwrap();
    let made = Cell::new(0);
    let call = |error| {
        made.set(0);
        let reply = guard.call(|| {
            made.set(made.get() + 1);
            ready(Err::<(), _>(error))
        });
        assert_eq!(reply.now_or_never(), Some(Err(GuardError::Inner(error))));
        made.get()
    };
    assert_eq!((call("mine"), call("theirs")), (1, 3));
    assert_eq!(breaker.snapshot().failures, 3);
}

/// The owner panics while its call waits: that says nothing of the callee.
#[test]
fn a_call_dropped_while_its_owner_unwinds_is_judged_by_its_age() {
    let clock = ManualClock::new();
    let breaker = builder(&clock).build().unwrap();
    let guard = on(&clock).breaker(breaker.clone()).build().unwrap();
    let owner = || {
        let mut call = Box::pin(guard.call(pending::<Result<(), ()>>));
        assert!(poll(&mut call).is_pending());
        panic!("the owner's own fault");
    };
    assert!(catch_unwind(AssertUnwindSafe(owner)).is_err());
    assert_eq!(breaker.snapshot().calls, 0);
    let fault = || {
        guard
            .call(|| async { panic!("boom") as Result<(), ()> })
            .now_or_never()
    };
    assert!(catch_unwind(AssertUnwindSafe(fault)).is_err());
    assert_eq!(breaker.snapshot().failures, 1);
}

#[test]
fn a_healthy_call_allocates_nothing() {
    let guard = Guard::builder()
        .retry(Retry::builder().build().unwrap())
        .rate(Arc::new(RateLimiter::new(
            &"1000000/second".parse().unwrap(),
        )))
        .breaker(CircuitBreaker::new("test"))
        .bulkhead(Bulkhead::builder("test", 5).queue(5).build().unwrap())
        .timeout(SECOND)
        .build()
        .unwrap();
    let calls = || {
        for _ in 0..100 {
            let works = || ready(Ok::<_, ()>(7));
            assert_eq!(guard.call(works).now_or_never(), Some(Ok(7)));
            assert_eq!(guard.call_owned(works).now_or_never(), Some(Ok(7)));
        }
    };
    calls();
    assert_eq!(count(calls), 0);
}

proptest! {
    /// Against the same parts, called by hand one after the other.
    #[test]
    fn it_behaves_as_its_parts_in_their_order(
        attempts in 1..4_u32,
        calls in prop::collection::vec(
            (prop::collection::vec(any::<bool>(), 4), 0..4_000_u64), 1..60,
        ),
    ) {
        let (ours, theirs) = (TickingClock::new(), TickingClock::new());
        let breaker = |clock: &TickingClock| {
            CircuitBreaker::builder("test")
                .clock(clock.clone())
                .count_window(6)
                .min_calls(3)
                .open_for(2 * SECOND)
                .open_jitter(0.0)
                .probes(1)
                .build()
                .unwrap()
        };
        let (our_breaker, their_breaker) = (breaker(&ours), breaker(&theirs));
        let their_limiter = limiter("3/second", &theirs);
        let guard = on(&ours)
            .retry(retry(attempts, &ours))
            .rate(limiter("3/second", &ours))
            .breaker(our_breaker.clone())
            .build()
            .unwrap();
        for (script, wait) in calls {
            let made = Cell::new(0);
            let reply = guard.call(|| {
                made.set(made.get() + 1);
                ready(if script[made.get() - 1] { Ok(()) } else { Err(()) })
            });
            let reply = reply.now_or_never().unwrap().map_err(|error| error.retry_after());

            let mut their_made = 0;
            let mut attempt = 0;
            let expected = loop {
                attempt += 1;
                let result = their_limiter.check().into_result().and_then(|_| {
                    their_breaker.run(|| {
                        their_made += 1;
                        if script[their_made - 1] { Ok(()) } else { Err(()) }
                    })
                });
                let Err(error) = result else { break Ok(()) };
                let after = error.retry_after().unwrap_or_default();
                if attempt == attempts || after > 2 * SECOND {
                    break Err(error.retry_after());
                }
                theirs.0.advance(after.max(10 * MS));
            };
            prop_assert_eq!(reply, expected);
            prop_assert_eq!(made.get(), their_made);
            prop_assert_eq!(our_breaker.snapshot(), their_breaker.snapshot());
            prop_assert_eq!(ours.now(), theirs.now());
            ours.0.advance(Duration::from_millis(wait));
            theirs.0.advance(Duration::from_millis(wait));
        }
        prop_assert!(our_breaker.state() != State::Held(Hold::Open));
    }
}
