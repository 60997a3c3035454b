//! The three forms of a call, and the ways in which one ends early.

use crate::support::{MS, SECOND, builder, fail, late_clock};
use perf_breaker::{CircuitBreaker, GuardError, Outcome, State};
use perf_core::ManualClock;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Waker};

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn explode() -> Result<(), ()> {
    panic!("boom")
}

async fn never() -> Result<(), &'static str> {
    pending().await
}

#[tokio::test]
async fn a_refused_call_is_never_polled() {
    let breaker = builder(&ManualClock::new())
        .consecutive_failures(1)
        .build()
        .unwrap();
    fail(&breaker);
    let error = breaker.call(async { explode() }).await;
    let Err(GuardError::Rejected(rejection)) = error else {
        panic!("{error:?}");
    };
    assert_eq!(rejection.state, State::Open);
    assert_eq!(&*rejection.name, "test");
    assert!(
        rejection
            .to_string()
            .starts_with("circuit breaker test is open and asks to wait 5.")
    );
}

#[tokio::test]
async fn a_call_beyond_its_limit_ends_and_has_failed() {
    let clock = late_clock();
    let breaker = builder(&clock)
        .timeout(SECOND)
        .consecutive_failures(1)
        .build()
        .unwrap();
    let mut call = Box::pin(breaker.call(never()));
    assert!(poll_once(call.as_mut()).is_pending());
    clock.advance(999 * MS);
    assert!(poll_once(call.as_mut()).is_pending());
    clock.advance(MS);
    assert_eq!(call.await, Err(GuardError::Elapsed { limit: SECOND }));
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn the_system_clock_ends_calls_as_well() {
    let breaker = CircuitBreaker::builder("test")
        .timeout(SECOND)
        .build()
        .unwrap();
    assert_eq!(
        breaker.call(never()).await,
        Err(GuardError::Elapsed { limit: SECOND })
    );
    assert_eq!(breaker.snapshot().failures, 1);
}

#[test]
fn outside_tokio_a_limit_panics_on_the_default_clock_alone() {
    let limited = || CircuitBreaker::builder("test").timeout(SECOND);
    let breaker = limited().build().unwrap();
    let mut call = Box::pin(breaker.call(never()));
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(call.as_mut()))).is_err());
    assert_eq!(breaker.snapshot().failures, 1);

    let breaker = limited().clock(ManualClock::new()).build().unwrap();
    let mut call = Box::pin(breaker.call(never()));
    assert!(poll_once(call.as_mut()).is_pending());
}

/// An outer time-out drops the call: it must not blind the breaker.
#[tokio::test(start_paused = true)]
async fn a_hundred_calls_dropped_beyond_the_slow_limit_open_it() {
    let breaker = CircuitBreaker::builder("test")
        .count_window(100)
        .min_calls(100)
        .slow_calls(50 * MS, 0.9)
        .build()
        .unwrap();
    for _ in 0..100 {
        assert_eq!(breaker.state(), State::Closed);
        let outer = tokio::time::timeout(60 * MS, breaker.call(never())).await;
        assert!(outer.is_err());
    }
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_dropped_call_is_judged_by_its_age() {
    let clock = ManualClock::new();
    let breaker = builder(&clock)
        .timeout(10 * SECOND)
        .slow_calls(SECOND, 0.9)
        .build()
        .unwrap();
    for (age, expected) in [
        (999 * MS, (0, 0, 0)),
        (SECOND, (1, 0, 1)),
        (10 * SECOND, (1, 1, 1)),
    ] {
        breaker.reset();
        let mut call = Box::pin(breaker.call(never()));
        assert!(poll_once(call.as_mut()).is_pending());
        clock.advance(age);
        drop(call);
        let after = breaker.snapshot();
        assert_eq!(
            (after.calls, after.failures, after.slow),
            expected,
            "{age:?}"
        );
    }
}

#[test]
fn a_call_that_is_dropped_before_its_first_poll_was_not_made() {
    let clock = ManualClock::new();
    let breaker = builder(&clock).timeout(MS).build().unwrap();
    let call = breaker.call(never());
    clock.advance(SECOND);
    drop(call);
    assert_eq!(breaker.snapshot().calls, 0);
}

#[tokio::test]
async fn a_panic_counts_as_a_failure_and_goes_on() {
    let breaker = builder(&ManualClock::new()).build().unwrap();
    let task = tokio::spawn(breaker.call_owned(async { explode() }));
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(breaker.snapshot().failures, 1);

    let panics = || breaker.run(explode);
    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    assert_eq!(breaker.snapshot().failures, 2);

    let manual = || {
        let _permit = breaker.admit().unwrap();
        panic!("boom")
    };
    assert!(catch_unwind(AssertUnwindSafe(manual)).is_err());
    assert_eq!(breaker.snapshot().failures, 3);
}

#[test]
fn a_panic_of_the_classifier_counts_as_a_failure() {
    let judge = |_: &Result<(), ()>| -> Outcome { panic!("boom") };
    let breaker = builder(&ManualClock::new())
        .classify(judge)
        .build()
        .unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| breaker.run(|| Ok(())))).is_err());
    let mut call = Box::pin(breaker.call(async { Ok(()) }));
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(call.as_mut()))).is_err());
    drop(call);
    assert_eq!(
        (breaker.snapshot().calls, breaker.snapshot().failures),
        (2, 2)
    );
}

/// The owner panics while its call waits: that says nothing of the callee.
#[test]
fn a_call_dropped_while_its_owner_unwinds_is_judged_by_its_age() {
    let breaker = builder(&ManualClock::new()).build().unwrap();
    let owner = || {
        let mut call = Box::pin(breaker.call(never()));
        assert!(poll_once(call.as_mut()).is_pending());
        panic!("the owner's own fault");
    };
    assert!(catch_unwind(AssertUnwindSafe(owner)).is_err());
    assert_eq!(breaker.snapshot().calls, 0);
}

#[tokio::test]
async fn a_fallback_sees_the_reason_and_may_decline() {
    let breaker = builder(&ManualClock::new())
        .consecutive_failures(1)
        .build()
        .unwrap();
    let cached = |error: GuardError<&'static str>| async move {
        if error.is_rejection() {
            Ok(7)
        } else {
            Err(error)
        }
    };
    let first = breaker
        .call_or_else(async { Err::<i32, _>("down") }, cached)
        .await;
    assert_eq!(first, Err(GuardError::Inner("down")));
    let second = breaker
        .call_or_else(async { Err::<i32, _>("down") }, cached)
        .await;
    assert_eq!(second, Ok(7));
}

#[test]
fn a_fallback_stands_in_for_a_closure_and_a_value_for_a_future() {
    let breaker = builder(&ManualClock::new()).build().unwrap();
    let reply = breaker.run_or_else(|| Err::<i32, _>("down"), |_| Ok(7));
    assert_eq!(reply, Ok(7));
    let declined = breaker.run_or_else(|| Err::<i32, _>("down"), Err);
    assert_eq!(declined, Err(GuardError::Inner("down")));
    let value = breaker.call_or(async { Err("down") }, 7);
    assert_eq!(futures_util::FutureExt::now_or_never(value), Some(7));
    assert_eq!(breaker.snapshot().failures, 3);
}

#[tokio::test]
async fn clones_share_one_breaker() {
    let breaker = builder(&ManualClock::new())
        .consecutive_failures(1)
        .build()
        .unwrap();
    fail(&breaker.clone());
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn polling_a_finished_call_panics() {
    let breaker = CircuitBreaker::new("test");
    let mut call = Box::pin(breaker.call(async { Ok::<_, ()>(()) }));
    assert!(poll_once(call.as_mut()).is_ready());
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(call.as_mut()))).is_err());
}
