//! Limits from configuration files.

use perf_breaker::{Limit, LimiterSettings, MemoryStore, Quota, StorePolicy};
use std::time::Duration;

fn parse(text: &str) -> Result<LimiterSettings, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

#[test]
fn settings_survive_being_written() {
    let text = r#"{"quota":"100/minute; 10/second burst 3","capacity":7,"instances":4,
        "leases":2,"policy":"open","timeout":"1500 ms"}"#;
    let settings = parse(text).unwrap();
    assert_eq!(settings.policy, StorePolicy::Open);
    assert_eq!(settings.timeout, Duration::from_millis(1_500));
    let written = serde_json::to_string(&settings).unwrap();
    assert_eq!(parse(&written).unwrap(), settings);
    let plain = parse(r#"{"quota":"5/hour"}"#).unwrap();
    let defaults = (
        100_000,
        1,
        None,
        StorePolicy::Local,
        Duration::from_millis(100),
    );
    assert_eq!(
        (
            plain.capacity,
            plain.instances,
            plain.leases,
            plain.policy,
            plain.timeout
        ),
        defaults
    );
    assert_eq!(
        parse(&serde_json::to_string(&plain).unwrap()).unwrap(),
        plain
    );
}

#[test]
fn bad_settings_say_what_is_wrong() {
    for (text, complaint) in [
        ("{}", "missing field `quota`"),
        (r#"{"quota":"0/minute"}"#, "quota count is 0, must be 1 to"),
        (r#"{"quota":"5/fortnight"}"#, "the unit is none of"),
        (r#"{"quota":"5/minute","burst":3}"#, "unknown field `burst`"),
        (
            r#"{"quota":"5/minute","policy":"maybe"}"#,
            "unknown variant `maybe`",
        ),
        (
            r#"{"quota":"5/minute","timeout":"soon"}"#,
            r#""soon" is no duration"#,
        ),
        (
            r#"{"quota":"99999999999/minute"}"#,
            "a number is above 4,294,967,295",
        ),
        (r#"{"quota":5}"#, "expected a string"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(complaint), "{error}");
    }
    let settings = parse(r#"{"quota":"5/minute","instances":0}"#).unwrap();
    assert!(settings.shared("api", MemoryStore::new()).build().is_err());
    let settings = parse(r#"{"quota":"5/minute","capacity":0}"#).unwrap();
    assert!(settings.keyed().is_err());
}

#[test]
fn a_limit_is_one_limit() {
    let limit: Limit = serde_json::from_str(r#""5/hour burst 2""#).unwrap();
    assert_eq!(
        serde_json::to_string(&limit).unwrap(),
        r#""5/hour burst 2""#
    );
    assert!(serde_json::from_str::<Limit>(r#""5/hour; 6/day""#).is_err());
    assert!(serde_json::from_str::<Quota>(r#""5/hour; 6/day""#).is_ok());
}
