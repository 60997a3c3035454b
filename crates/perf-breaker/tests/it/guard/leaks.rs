//! What becomes of places and probes when guarded calls end early.

use super::{on, places, poll, retry};
use crate::support::{MS, builder, fail};
use perf_breaker::GuardError;
use perf_core::ManualClock;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

/// Calls that panic, hang, are polled and dropped at random: every place and every probe comes back.
#[test]
fn nothing_leaks_when_guarded_calls_are_dropped_at_random_polls() {
    let clock = ManualClock::new();
    let breaker = builder(&clock)
        .consecutive_failures(1)
        .probes(2)
        .build()
        .unwrap();
    let bulkhead = places(3, 3, &clock);
    let guard = on(&clock)
        .retry(retry(2, &clock))
        .breaker(breaker.clone())
        .bulkhead(bulkhead.clone())
        .timeout(50 * MS)
        .build()
        .unwrap();
    let mut random = fastrand::Rng::with_seed(17);
    std::panic::set_hook(Box::new(|_| {}));
    type Reply = Result<(), GuardError<()>>;
    let mut calls: Vec<Pin<Box<dyn Future<Output = Reply>>>> = Vec::new();
    for _ in 0..100_000 {
        if calls.len() < 20 {
            let (polls, end) = (random.u8(..4), random.u8(..8));
            let work = move || async move {
                for _ in 0..polls {
                    tokio::task::yield_now().await;
                }
                match end {
                    0 => panic!("boom"),
                    1 => pending().await,
                    2 => Err(()),
                    _ => Ok(()),
                }
            };
            calls.push(if random.bool() {
                Box::pin(guard.call(work))
            } else {
                Box::pin(guard.call_owned(work))
            });
        }
        clock.advance(MS * random.u32(..20));
        let chosen = random.usize(..calls.len());
        let polled = catch_unwind(AssertUnwindSafe(|| poll(&mut calls[chosen])));
        let ended = !matches!(polled, Ok(Poll::Pending));
        if ended || random.u8(..3) == 0 {
            drop(calls.swap_remove(chosen));
        }
        assert!(bulkhead.under_way() <= 3 && bulkhead.waiting() <= 3);
    }
    drop(calls);
    drop(std::panic::take_hook());
    assert_eq!((bulkhead.under_way(), bulkhead.waiting()), (0, 0));
    breaker.reset();
    fail(&breaker);
    clock.advance(breaker.admit().unwrap_err().retry_after);
    let probes: Vec<_> = std::iter::from_fn(|| breaker.admit().ok()).collect();
    assert_eq!(probes.len(), 2);
}
