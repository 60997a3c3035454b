use crate::support::{execute, installed};
use perf_core::{Registry, Value};
use perf_profile::{Profiler, RequestScope};
use std::time::Duration;

#[test]
fn queries_and_requests_are_in_the_report_and_in_the_registry() {
    let profiler = Profiler::builder().build();
    installed(&profiler, || {
        let request = RequestScope::new("GET /reported");
        request.in_scope(|| execute("SELECT 'secret' AS reported", 0.001));
    });

    let text = profiler.snapshot().to_string();
    assert!(
        text.contains("SELECT ? AS reported") && !text.contains("secret"),
        "{text}"
    );
    assert!(text.contains("GET /reported"), "{text}");
    let json = serde_json::to_value(profiler.snapshot()).unwrap();
    assert!(
        json["queries"]
            .as_array()
            .unwrap()
            .iter()
            .any(|query| query["text"] == "SELECT ? AS reported")
    );

    let registry = Registry::new();
    profiler.register(&registry);
    let inspections = registry.inspect();
    assert_eq!(
        (inspections[0].kind, &*inspections[0].name),
        ("profiler", "profiler")
    );
    let sample = |name: &str, label: &str| {
        let matches = |sample: &&perf_core::Sample| {
            sample.name == name
                && sample
                    .label
                    .as_ref()
                    .is_some_and(|(_, value)| value == label)
        };
        inspections[0]
            .samples
            .iter()
            .find(matches)
            .map(|sample| sample.value.clone())
    };
    assert!(matches!(
        sample("request_queries", "GET /reported"),
        Some(Value::Counter(1))
    ));
    let Some(Value::Histogram(latency)) = sample("query_seconds", "SELECT ? AS reported") else {
        panic!()
    };
    assert_eq!(latency.count, 1);
    assert_eq!(inspections[0].health, perf_core::Health::Healthy);
    drop(profiler);
    assert!(registry.inspect().is_empty());
}

#[test]
fn what_is_told_of_slow_things_may_panic() {
    let profiler = Profiler::builder()
        .slow_query(Duration::ZERO)
        .slow_request(Duration::ZERO)
        .on_slow_query(|_| panic!("on purpose"))
        .on_slow_request(|_| panic!("on purpose"))
        .build();
    installed(&profiler, || {
        let request = RequestScope::new("GET /panicking");
        request.in_scope(|| execute("SELECT 1 AS panicking", 0.001));
    });
    let snapshot = profiler.snapshot();
    assert_eq!(snapshot.slow_queries().len(), 1);
    assert_eq!(snapshot.requests()[0].requests, 1);
}
