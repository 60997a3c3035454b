//! No step gets more time than what is left of the whole.

use crate::support::{MS, SECOND};
use futures_util::FutureExt;
use perf_breaker::{ConfigError, Deadline, GuardError, Timeout};
use perf_core::ManualClock;
use proptest::prelude::*;
use std::future::pending;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

fn timeout(limit: Duration, clock: &ManualClock) -> Timeout<ManualClock> {
    Timeout::with_clock(limit, clock.clone()).unwrap()
}

async fn never() -> Result<(), ()> {
    pending().await
}

#[test]
fn a_call_ends_at_its_limit_and_not_before() {
    let clock = ManualClock::new();
    let mut call = pin!(timeout(SECOND, &clock).call(never()));
    let mut poll = || call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(poll().is_pending());
    clock.advance(999 * MS);
    assert!(poll().is_pending());
    clock.advance(MS);
    assert_eq!(
        poll(),
        Poll::Ready(Err(GuardError::Elapsed { limit: SECOND }))
    );
}

#[test]
fn a_call_after_the_deadline_is_never_polled() {
    let clock = ManualClock::new();
    let deadline = Deadline::after_on(SECOND, clock.clone());
    clock.advance(SECOND);
    assert!(deadline.is_over());
    let work = || async { panic!("it must not be made") as Result<(), ()> };
    let limit = timeout(SECOND, &clock);
    let error = deadline.clone().scope(limit.call(work())).now_or_never();
    let error = error.unwrap().unwrap_err();
    assert_eq!(error, GuardError::Expired);
    assert_eq!(
        (error.is_rejection(), error.retry_after()),
        (true, Some(Duration::ZERO))
    );
    assert_eq!(
        deadline.limit(work()).now_or_never(),
        Some(Err(GuardError::Expired))
    );
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_what_has_no_limit_of_its_own() {
    let reply = Deadline::after(SECOND).limit(never()).await;
    assert_eq!(reply, Err(GuardError::Elapsed { limit: SECOND }));
    let reply = Deadline::after(SECOND)
        .limit(async { Err::<(), _>("down") })
        .await;
    assert_eq!(reply, Err(GuardError::Inner("down")));
    assert!(Deadline::current().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_task_of_its_own_has_no_deadline_unless_it_is_given_one() {
    let left = Deadline::after(SECOND)
        .scope(async {
            let deadline = Deadline::current().unwrap();
            let without = tokio::spawn(async { Deadline::current().is_none() })
                .await
                .unwrap();
            let given = async { Deadline::current().unwrap().left() };
            (without, tokio::spawn(deadline.scope(given)).await.unwrap())
        })
        .await;
    assert_eq!(left, (true, SECOND));
}

#[test]
fn a_limit_of_nothing_is_an_error() {
    assert!(Timeout::new(Duration::ZERO).is_err());
    assert!(Timeout::new(Duration::MAX).is_err());
}

#[test]
fn headers_are_read_as_grpc_writes_them() {
    for (text, expected) in [
        ("1H", Duration::from_secs(3_600)),
        ("2M", Duration::from_secs(120)),
        ("3S", Duration::from_secs(3)),
        ("4m", Duration::from_millis(4)),
        ("5u", Duration::from_micros(5)),
        ("99999999n", Duration::from_nanos(99_999_999)),
        ("0S", Duration::ZERO),
    ] {
        assert_eq!(Deadline::parse_header(text), Ok(expected));
    }
    for text in [
        "",
        "m",
        "1",
        "1s",
        "-1m",
        "+1m",
        "1.5S",
        "123456789m",
        "1 m",
        "1µ",
        "é",
    ] {
        let Err(ConfigError::Deadline { .. }) = Deadline::parse_header(text) else {
            panic!("{text:?}");
        };
    }
    let long = Deadline::parse_header(&"9".repeat(1 << 20)).unwrap_err();
    assert!(long.to_string().len() < 200, "{long}");
}

proptest! {
    #[test]
    fn nested_scopes_leave_the_least(limits in prop::collection::vec(1..10_000_u64, 1..6), own in 1..10_000_u64) {
        let clock = ManualClock::new();
        let millis = Duration::from_millis;
        let call = timeout(millis(own), &clock).call(never());
        let mut whole: std::pin::Pin<Box<dyn Future<Output = _>>> = Box::pin(call);
        for limit in &limits {
            whole = Box::pin(Deadline::after_on(millis(*limit), clock.clone()).scope(whole));
        }
        let least = limits.iter().copied().min().unwrap().min(own);
        let mut poll = || whole.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        prop_assert!(poll().is_pending());
        clock.advance(millis(least) - Duration::from_nanos(1));
        prop_assert!(poll().is_pending());
        clock.advance(Duration::from_nanos(1));
        prop_assert_eq!(poll(), Poll::Ready(Err(GuardError::Elapsed { limit: millis(least) })));
    }

    /// Never more than there is, and never less by more than the unit's rounding.
    #[test]
    fn a_header_brings_over_what_is_left(nanos in 0..u64::MAX / 2) {
        let left = Duration::from_nanos(nanos);
        let header = Deadline::after_on(left, ManualClock::new()).to_header();
        prop_assert!(header.len() <= 9, "{}", header);
        let arrived = Deadline::parse_header(&header).unwrap();
        prop_assert!(arrived <= left);
        prop_assert!(left - arrived <= Duration::from_micros(1).max(left / 10_000), "{:?} {:?}", left, arrived);
    }
}
