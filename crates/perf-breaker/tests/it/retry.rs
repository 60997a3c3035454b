//! How often a call is repeated, and when.

use crate::support::{MS, SECOND, TickingClock};
use futures_util::FutureExt;
use perf_breaker::{AnyError, Deadline, Outcome, Retry, RetryBudget, RetryBuilder};
use perf_core::{Backoff, Clock};
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reply {
    Works,
    Fails,
    Mine,
    Asks(Duration),
}

fn judge(result: &Result<(), Reply>) -> Outcome {
    match result {
        Ok(()) => Outcome::Success,
        Err(Reply::Mine) => Outcome::Ignore,
        Err(Reply::Asks(time)) => Outcome::OpenFor(*time),
        Err(_) => Outcome::Failure,
    }
}

fn builder() -> RetryBuilder<TickingClock> {
    Retry::builder()
        .backoff(Backoff::constant(10 * MS))
        .clock(TickingClock::new())
}

/// Calls an upstream that replies as scripted; what came of it and after how many attempts.
fn call(retry: &Retry<TickingClock>, script: &[Reply]) -> (Result<(), Reply>, usize) {
    let script = RefCell::new(script.iter().copied().collect::<VecDeque<_>>());
    let attempts = Cell::new(0);
    let make = || {
        attempts.set(attempts.get() + 1);
        let reply = script.borrow_mut().pop_front().unwrap_or(Reply::Fails);
        async move {
            if reply == Reply::Works {
                Ok(())
            } else {
                Err(reply)
            }
        }
    };
    let result = retry.call(make, &judge).now_or_never().unwrap();
    (result, attempts.get())
}

#[test]
fn failures_alone_are_repeated() {
    let retry = builder().attempts(5).build().unwrap();
    use Reply::{Fails, Mine, Works};
    assert_eq!(call(&retry, &[Works]), (Ok(()), 1));
    assert_eq!(call(&retry, &[Fails, Fails, Works]), (Ok(()), 3));
    assert_eq!(call(&retry, &[Fails, Mine, Works]), (Err(Mine), 2));
    assert_eq!(call(&retry, &[]), (Err(Fails), 5));
    assert_eq!(retry.retries(), 2 + 1 + 4);
}

#[test]
fn a_callee_that_asks_for_time_gets_it_or_is_left_alone() {
    let clock = TickingClock::new();
    let retry = Retry::builder()
        .backoff(Backoff::constant(10 * MS))
        .longest_wait(SECOND)
        .clock(clock.clone())
        .build()
        .unwrap();
    let start = clock.now();
    let asks = Reply::Asks(SECOND);
    assert_eq!(call(&retry, &[asks, Reply::Works]), (Ok(()), 2));
    assert_eq!(clock.now().since(start), SECOND);
    let too_much = Reply::Asks(SECOND + MS);
    assert_eq!(call(&retry, &[too_much, Reply::Works]), (Err(too_much), 1));
}

#[test]
fn nothing_is_repeated_after_the_deadline() {
    let clock = TickingClock::new();
    let retry = Retry::builder()
        .attempts(50)
        .backoff(Backoff::constant(300 * MS))
        .clock(clock.clone())
        .build()
        .unwrap();
    let attempts = Cell::new(0);
    let make = || {
        attempts.set(attempts.get() + 1);
        std::future::ready(Err::<(), _>("down"))
    };
    let deadline = Deadline::after_on(SECOND, clock.clone());
    let result = deadline.scope(retry.call(make, &AnyError)).now_or_never();
    assert_eq!((result, attempts.get()), (Some(Err("down")), 4));
}

#[test]
fn without_budget_left_the_first_failure_is_the_last() {
    let clock = TickingClock::new();
    let none = RetryBudget::with_clock(0.0, &"1/hour".parse().unwrap(), clock.clone()).unwrap();
    let retry = builder()
        .clock(clock)
        .budget(Arc::new(none))
        .build()
        .unwrap();
    let calls: usize = (0..100).map(|_| call(&retry, &[]).1).sum();
    assert_eq!(calls, 101);
    assert_eq!((retry.retries(), retry.refused_by_budget()), (1, 100));
}

#[test]
fn settings_are_checked() {
    for attempts in [0, 101] {
        assert!(Retry::builder().attempts(attempts).build().is_err());
    }
    assert!(
        Retry::builder()
            .longest_wait(Duration::MAX)
            .build()
            .is_err()
    );
}

fn reply() -> impl Strategy<Value = Reply> {
    prop_oneof![
        3 => Just(Reply::Works),
        6 => Just(Reply::Fails),
        1 => Just(Reply::Mine),
        1 => (0..3_000_u64).prop_map(|millis| Reply::Asks(Duration::from_millis(millis))),
    ]
}

proptest! {
    /// Against a loop that reads as the documentation does.
    #[test]
    fn it_behaves_as_a_plain_loop(
        attempts in 1..6_u32, share in 0..=4_u32,
        scripts in prop::collection::vec(prop::collection::vec(reply(), 0..8), 1..40),
    ) {
        let clock = TickingClock::new();
        let allowance = "3/hour".parse().unwrap();
        let budget = RetryBudget::with_clock(f64::from(share) / 4.0, &allowance, clock.clone()).unwrap();
        let retry = Retry::builder()
            .attempts(attempts)
            .backoff(Backoff::constant(10 * MS))
            .clock(clock)
            .budget(Arc::new(budget))
            .build()
            .unwrap();
        let (mut quarters, mut allowance, mut repeated) = (0, 3, 0);
        for script in &scripts {
            quarters = (quarters + share).min(400);
            let mut made = 0;
            let expected = loop {
                let reply = script.get(made).copied().unwrap_or(Reply::Fails);
                made += 1;
                let gives_up = match reply {
                    Reply::Works => break Ok(()),
                    Reply::Mine => true,
                    Reply::Asks(time) => time > 2 * SECOND,
                    Reply::Fails => false,
                };
                if gives_up || made == attempts as usize {
                    break Err(reply);
                }
                if quarters >= 4 {
                    quarters -= 4;
                } else if allowance > 0 {
                    allowance -= 1;
                } else {
                    break Err(reply);
                }
                repeated += 1;
            };
            prop_assert_eq!(call(&retry, script), (expected, made));
        }
        prop_assert_eq!(retry.retries(), repeated);
    }
}
