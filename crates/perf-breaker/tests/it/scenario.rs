//! An hour in the life of a breaker, a limiter and a retrying caller, under manual time.

use crate::support::{SECOND, builder};
use perf_breaker::{RateLimiter, RetryBudget, State};
use perf_core::{Clock, ManualClock, RetryBudget as _};
use std::cell::Cell;

/// The upstream fails for ten minutes in the middle of the hour; ten calls a second, at most eight allowed.
#[test]
fn an_hour_passes_as_fast_as_its_calls() {
    let clock = ManualClock::new();
    let start = clock.now();
    let breaker = builder(&clock).build().unwrap();
    let limiter = RateLimiter::with_clock(&"8/second".parse().unwrap(), clock.clone());
    let budget = RetryBudget::with_clock(0.1, &"1/minute".parse().unwrap(), clock.clone()).unwrap();
    let (reached_while_down, limited, rejected) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let minutes = || clock.now().since(start).as_secs() / 60;
    let upstream = || {
        let down = (20..30).contains(&minutes());
        reached_while_down.set(reached_while_down.get() + u32::from(down));
        if down { Err("down") } else { Ok(()) }
    };
    for _ in 0..3_600 {
        for _ in 0..10 {
            if !limiter.check().is_allowed() {
                limited.set(limited.get() + 1);
                continue;
            }
            budget.deposit();
            if breaker
                .run(upstream)
                .is_err_and(|error| error.is_rejection())
            {
                rejected.set(rejected.get() + 1);
            } else if breaker.state() == State::Open && budget.withdraw() {
                assert!(breaker.run(upstream).is_err());
            }
        }
        clock.advance(SECOND);
    }
    assert_eq!(breaker.state(), State::Closed);
    // Two of ten in each second; the first second's burst is what a second gives.
    assert_eq!(limited.get(), 2 * 3_600);
    // Half a window of failures, then two probes after 5, 10, 20, 40 and at most every 60 s.
    let rounds = 4 + (600 - 75) / 60 + 1;
    assert!(
        reached_while_down.get() <= 80 + 2 * rounds,
        "{reached_while_down:?}"
    );
    assert!(rejected.get() > 4_000, "{rejected:?}");
    assert!(breaker.snapshot().opened > 5);
    assert_eq!(minutes(), 60);
}
