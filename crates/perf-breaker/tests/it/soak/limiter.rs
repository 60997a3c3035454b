//! Random schedules against a bucket that refills continuously.

use super::cases;
use perf_breaker::RateLimiter;
use perf_core::ManualClock;
use proptest::prelude::*;
use std::time::Duration;

/// What came back continuously, kept in exact fractions: the limiter's naive twin.
struct Bucket {
    /// In parts of a call, of which `count` come back every nanosecond.
    level: u128,
    last: u128,
    count: u128,
    /// Nanoseconds, and therefore the parts in a call.
    period: u128,
    burst: u128,
}

impl Bucket {
    fn take(&mut self, now: u128, cost: u128) -> bool {
        self.level = (self.level + (now - self.last) * self.count).min(self.burst * self.period);
        self.last = now;
        let price = cost * self.period;
        if price > self.level {
            return false;
        }
        self.level -= price;
        true
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(2_000)))]

    /// Never more than burst + rate × T, never a conforming call denied, and waiting always admits.
    #[test]
    fn it_decides_as_a_bucket_that_refills_continuously(
        count in 1..=64_u32, burst in 1..50_u32, period in 1..5_000_u64,
        calls in prop::collection::vec((0..200_000_000_u64, 0..60_u32, any::<bool>()), 1..60),
    ) {
        let period = Duration::from_millis(period);
        let limit = perf_breaker::Limit::new(count, period).unwrap().with_burst(burst).unwrap();
        let clock = ManualClock::new();
        let limiter = RateLimiter::with_clock(&limit.into(), clock.clone());
        let (count, period) = (u128::from(count), period.as_nanos());
        let level = u128::from(burst) * period;
        let mut bucket = Bucket { level, last: 0, count, period, burst: burst.into() };
        let mut now = 0;
        for (pause, cost, wait) in calls {
            clock.advance(Duration::from_nanos(pause));
            now += u128::from(pause);
            let Ok(decision) = limiter.check_cost(cost) else {
                prop_assert!(cost > burst);
                continue;
            };
            prop_assert_eq!(decision.is_allowed(), bucket.take(now, cost.into()));
            if !decision.is_allowed() && wait {
                let left = decision.retry_after();
                clock.advance(left - Duration::from_nanos(1));
                prop_assert!(!limiter.check_cost(cost).unwrap().is_allowed());
                clock.advance(Duration::from_nanos(1));
                now += left.as_nanos();
                prop_assert!(limiter.check_cost(cost).unwrap().is_allowed());
                prop_assert!(bucket.take(now, cost.into()));
            }
        }
    }
}
