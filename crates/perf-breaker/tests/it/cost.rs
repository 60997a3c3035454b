//! What a call allocates and what a breaker weighs.

use crate::support::MS;
use futures_util::FutureExt;
use perf_breaker::{CircuitBreaker, Hold, RateLimiter};
use perf_testkit::allocations::{count, peak_bytes};

#[test]
fn calls_allocate_nothing() {
    for builder in [
        CircuitBreaker::builder("test").count_window(100),
        CircuitBreaker::builder("test")
            .slow_calls(100 * MS, 0.9)
            .timeout(100 * MS),
    ] {
        let breaker = builder.build().unwrap();
        let calls = || {
            for _ in 0..1_000 {
                let reply = breaker.call(async { Ok::<_, ()>(7) }).now_or_never();
                assert_eq!(reply, Some(Ok(7)));
                assert_eq!(breaker.run(|| Ok::<_, ()>(7)), Ok(7));
                drop(breaker.admit());
            }
        };
        calls();
        assert_eq!(count(calls), 0);
        breaker.hold(Hold::Open);
        assert_eq!(count(|| assert!(breaker.admit().is_err())), 0);
    }
}

#[test]
fn a_breaker_with_a_window_of_100_weighs_at_most_704_bytes() {
    let weight = peak_bytes(|| {
        std::mem::forget(
            CircuitBreaker::builder("test")
                .count_window(100)
                .build()
                .unwrap(),
        );
    });
    assert!(weight <= 704, "{weight}");
    assert!(weight > 400, "{weight}: less than its slots");
}

#[test]
fn a_check_allocates_nothing() {
    let limiters = ["1000/second", "1000/second; 5000/minute"]
        .map(|quota| RateLimiter::new(&quota.parse().unwrap()));
    for limiter in limiters {
        assert_eq!(
            count(|| (0..2_000).for_each(|_| _ = limiter.check().is_allowed())),
            0
        );
    }
}
