//! Quotas as text.

use perf_breaker::{Limit, Quota};
use proptest::prelude::*;
use std::time::Duration;

#[test]
fn what_people_write_is_understood() {
    for (text, count, seconds, burst) in [
        ("5/hour", 5, 3600, 5),
        ("100/minute", 100, 60, 100),
        (" 10 / s ", 10, 1, 10),
        ("10/5 seconds", 10, 5, 10),
        ("1/day burst 3", 1, 86_400, 3),
        ("7/2h burst 1", 7, 7_200, 1),
    ] {
        let quota: Quota = text.parse().unwrap();
        let limit = quota.limits()[0];
        assert_eq!((limit.count(), limit.burst()), (count, burst), "{text}");
        assert_eq!(limit.period(), Duration::from_secs(seconds), "{text}");
    }
}

#[test]
fn what_cannot_be_meant_is_an_error() {
    for text in [
        "",
        ";",
        "5",
        "/minute",
        "0/minute",
        "5/fortnight",
        "5/0 minutes",
        "-5/minute",
        "5.5/minute",
        "5/minute burst",
        "5/minute burst 0",
        "99999999999/minute",
        "5/400 days",
        "4000000000/second",
        "5/minute;",
        "+5/minute",
        "5//minute",
        "5/4294967295 days",
        "1/second burst 4294967295",
        "1/s;1/s;1/s;1/s;1/s;1/s;1/s;1/s;1/s",
    ] {
        assert!(text.parse::<Quota>().is_err(), "{text:?}");
    }
    let long = "x".repeat(1 << 20);
    assert!(long.parse::<Quota>().unwrap_err().to_string().len() < 300);
}

proptest! {
    #[test]
    fn every_quota_prints_as_it_parses(
        limits in prop::collection::vec((1..1_000_000_u32, 1..=366_u64 * 24 * 3600, 0..4_usize, 1..1_000_u32), 1..=8),
    ) {
        let limits: Vec<_> = limits
            .into_iter()
            .filter_map(|(count, period, unit, burst)| {
                let period = Duration::from_nanos(period * [1, 1_000, 1_000_000, 1_000_000_000][unit]);
                let limit = Limit::new(count, period).ok()?;
                if burst % 2 == 0 { Some(limit) } else { limit.with_burst(burst).ok() }
            })
            .collect();
        if let Ok(quota) = Quota::all_of(&limits) {
            prop_assert_eq!(quota.to_string().parse::<Quota>().unwrap(), quota);
        }
    }

    #[test]
    fn no_text_panics(text in "[0-9/; a-zA-Z.µ-]{0,40}") {
        if let Ok(quota) = text.parse::<Quota>() {
            prop_assert_eq!(quota.to_string().parse::<Quota>().unwrap(), quota);
        }
    }
}
