//! Quotas from outside: no text panics, and what is understood prints as itself.

#![no_main]

use libfuzzer_sys::fuzz_target;
use perf_breaker::{Quota, RateLimiter};

fuzz_target!(|text: &str| {
    if let Ok(quota) = text.parse::<Quota>() {
        assert_eq!(quota.to_string().parse(), Ok(quota.clone()));
        let limiter = RateLimiter::new(&quota);
        assert!(
            limiter.check().is_allowed(),
            "a fresh limiter admits at least one call"
        );
    }
});
