//! Settings from a file.

use perf_breaker::{
    AdaptiveSettings, BreakerSettings, BulkheadSettings, CircuitBreaker, GuardSettings,
    HedgeSettings, RetrySettings, ThrottleSettings,
};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;
use std::time::Duration;

fn read<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

/// The problem that building from a text reports.
fn problem<T: DeserializeOwned, P>(
    json: &str,
    build: impl FnOnce(T) -> Result<P, perf_breaker::ConfigError>,
) -> String {
    match build(read(json).unwrap()) {
        Ok(_) => panic!("{json} works"),
        Err(error) => error.to_string(),
    }
}

fn survives<T: Serialize + DeserializeOwned + PartialEq + Debug>(config: &T) -> String {
    let text = serde_json::to_string(config).unwrap();
    assert_eq!(&read::<T>(&text).unwrap(), config, "{text}");
    text
}

#[test]
fn an_empty_text_has_the_builders_defaults() {
    let config: BreakerSettings = read("{}").unwrap();
    assert_eq!(config, BreakerSettings::default());
    let (ours, usual) = (config.builder("test"), CircuitBreaker::builder("test"));
    assert_eq!(format!("{ours:?}"), format!("{usual:?}"));
    let usual = perf_breaker::Throttle::builder("test").build().unwrap();
    let ours = read::<ThrottleSettings>("{}")
        .unwrap()
        .build("test")
        .unwrap();
    let settings = |text: String| text.split("multiplier").nth(1).unwrap().to_owned();
    assert_eq!(
        settings(format!("{ours:?}")),
        settings(format!("{usual:?}"))
    );
    assert!(read::<RetrySettings>("{}").unwrap().build().is_ok());
    assert!(read::<HedgeSettings>("{}").unwrap().build().is_ok());
    assert!(read::<GuardSettings>("{}").unwrap().build("test").is_ok());
}

#[test]
fn every_setting_arrives() {
    let config: BreakerSettings = read(
        r#"{
            "window_calls": 50, "failure_rate": null, "slow_limit": "300ms", "slow_rate": 0.8,
            "consecutive_failures": 7, "min_calls": 10, "open_for": "1m 30s", "max_open": "2h",
            "open_jitter": 0.1, "probes": 4, "probe_successes": 1, "probe_lease": "7s",
            "timeout": "1s", "readmit_over": "20s"
        }"#,
    )
    .unwrap();
    let (millis, seconds) = (Duration::from_millis, Duration::from_secs);
    let expected = CircuitBreaker::builder("test")
        .time_window(seconds(10), 10)
        .count_window(50)
        .without_failure_rate()
        .slow_calls(millis(300), 0.8)
        .consecutive_failures(7)
        .min_calls(10)
        .open_for(seconds(90))
        .max_open(seconds(7_200))
        .open_jitter(0.1)
        .probes(4)
        .probe_successes(1)
        .probe_lease(seconds(7))
        .timeout(seconds(1))
        .readmit_over(seconds(20));
    assert_eq!(
        format!("{:?}", config.builder("test")),
        format!("{expected:?}")
    );
    assert!(survives(&config).contains(r#""open_for":"1m 30s""#));
}

#[test]
fn what_is_written_is_read_again() {
    let text = r#"{
        "retry": {"attempts": 2, "jitter": false, "budget": {"share": 0.1, "allowance": "5/second"}},
        "rate": "100/minute; 10/second", "rate_wait": "50ms",
        "breaker": {"window_time": "30s", "window_buckets": 6},
        "bulkhead": {"places": 3, "max_wait": "2s"}, "timeout": "250ms"
    }"#;
    let config: GuardSettings = read(text).unwrap();
    let text = survives(&config);
    assert!(
        text.contains(r#""rate":"100/minute; 10/second","rate_wait":"50ms""#),
        "{text}"
    );
    assert!(config.build("test").is_ok());
    survives(&read::<HedgeSettings>(r#"{"delay": "20ms"}"#).unwrap());
    survives(&read::<AdaptiveSettings>(r#"{"least": 1, "most": 2}"#).unwrap());
}

#[test]
fn what_makes_no_sense_is_an_error_when_it_is_read() {
    let error = read::<BreakerSettings>(r#"{"open_for": "5 fortnights"}"#).unwrap_err();
    assert!(
        error.starts_with(r#""5 fortnights" is no duration: "#),
        "{error}"
    );
    let error = read::<BreakerSettings>(r#"{"opne_for": "5s"}"#).unwrap_err();
    assert!(error.starts_with("unknown field `opne_for`"), "{error}");
    for (quota, problem) in [
        ("0/minute", "quota count is 0, must be 1 to 60000000"),
        (
            "5/fortnight",
            r#""5/fortnight" is no quota: the unit is none of "#,
        ),
    ] {
        let error = read::<GuardSettings>(&format!(r#"{{"rate": "{quota}"}}"#)).unwrap_err();
        assert!(error.starts_with(problem), "{error}");
    }
    let huge = format!(r#"{{"timeout": "{}"}}"#, "9".repeat(1 << 20));
    assert!(read::<GuardSettings>(&huge).unwrap_err().len() < 200);
    let huge = format!(r#"{{"rate": "{}"}}"#, "9".repeat(1 << 20));
    assert!(read::<GuardSettings>(&huge).unwrap_err().len() < 300);
    assert!(read::<BulkheadSettings>("{}").is_err());
}

#[test]
fn what_cannot_work_is_an_error_when_it_is_built() {
    let breaker = |json| problem(json, |config: BreakerSettings| config.build("test"));
    let rate = "failure rate is 1.5, must be above 0 and at most 1";
    assert_eq!(breaker(r#"{"failure_rate": 1.5}"#), rate);
    let window = "window is 0ns, must be 10ms to 31536000s";
    assert_eq!(breaker(r#"{"window_time": "0s"}"#), window);
    let window = "window of calls is 0, must be 1 to 1000000";
    assert_eq!(breaker(r#"{"window_calls": 0}"#), window);
    let rule = "no rule is set that could open the breaker";
    assert_eq!(
        breaker(r#"{"failure_rate": null, "consecutive_failures": 0}"#),
        rule
    );

    let guard = |json| problem(json, |config: GuardSettings| config.build("test"));
    assert_eq!(guard(r#"{"breaker": {"failure_rate": 1.5}}"#), rate);
    let limit = "call time-out is 0ns, must be 1ns to 31536000s";
    assert_eq!(guard(r#"{"timeout": "0s"}"#), limit);
    let places = "number of places is 0, must be 1 to 1048576";
    assert_eq!(guard(r#"{"bulkhead": {"places": 0}}"#), places);
    let attempts = "number of attempts is 0, must be 1 to 100";
    assert_eq!(guard(r#"{"retry": {"attempts": 0}}"#), attempts);

    let hedge = problem(r#"{"percentile": 0}"#, |config: HedgeSettings| {
        config.build()
    });
    assert_eq!(
        hedge,
        "hedge percentile is 0, must be above 0 and at most 1"
    );
    let throttle = problem(r#"{"multiplier": 0.5}"#, |config: ThrottleSettings| {
        config.build("test")
    });
    assert_eq!(throttle, "multiplier is 0.5, must be 1 to 100");
    let bounds = problem(r#"{"least": 6, "most": 5}"#, |config: AdaptiveSettings| {
        config.vegas()
    });
    assert_eq!(bounds, "lowest limit is 6, must be 1 to 5");
}
