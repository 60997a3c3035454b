use crate::support::{execute, installed};
use perf_core::{ManualClock, Registry, Value};
use perf_profile::{Profiler, RequestScope, Rule, span};
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

#[test]
fn the_report_for_people_has_five_parts_and_is_one_page() {
    let clock = ManualClock::new();
    let profiler = Profiler::builder().clock(clock.clone()).build();
    let drawn = span!("drawn");
    installed(&profiler, || {
        for _ in 0..3 {
            let request = RequestScope::new("GET /<reported>");
            request.in_scope(|| {
                clock.advance(Duration::from_secs(1));
                for number in 0..6 {
                    execute(
                        &format!("SELECT value FROM settings WHERE {number} < 7"),
                        0.002,
                    );
                    execute("SELECT value FROM settings", 0.002);
                }
            });
        }
    });
    drop(drawn);
    let snapshot = profiler.snapshot();
    let parts = [
        "Current Metrics",
        "Identified Issues",
        "Recommendations",
        "Implementation",
        "Expected Impact",
    ];
    let markdown = snapshot.markdown().to_string();
    let titles: Vec<_> = markdown
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    assert_eq!(titles, parts);
    assert!(markdown.contains("| 3 | 36 | 12 |"), "{markdown}");
    assert!(markdown.contains("use perf_cache::Cache"), "{markdown}");

    let html = snapshot.html().to_string();
    for part in parts {
        assert!(html.contains(&format!("<h2>{part}</h2>")), "{part}");
    }
    assert!(html.contains("GET /&lt;reported&gt;") && !html.contains("<reported>"));
    assert!(html.contains("<h3>Latency of GET /&lt;reported&gt;</h3><svg"));
    assert_eq!(html.matches("<figure>").count(), 2);
    assert!(html.contains("Own time of call paths"), "a flame graph");
    assert!(html.contains("Latency over time") && html.contains("Load over time"));
    for outside in ["src=", "href=\"http", "@import", "<script"] {
        assert!(!html.contains(outside), "{outside}");
    }
    let json = serde_json::to_value(&snapshot).unwrap();
    assert_eq!(json["requests"][0]["name"], "GET /<reported>");
    // The first second has none.
    let timeline = snapshot.timeline().iter();
    let timeline: Vec<_> = timeline
        .map(|slice| (slice.requests, slice.queries))
        .collect();
    assert_eq!(timeline, [(0, 0), (1, 12), (1, 12), (1, 12)]);
}

#[test]
fn what_is_accepted_is_no_finding() {
    let profiler = Profiler::builder()
        .accept(|finding| finding.rule == Rule::SelectStar)
        .build();
    installed(&profiler, || {
        let request = RequestScope::new("GET /accepted");
        request.in_scope(|| {
            for _ in 0..5 {
                execute("SELECT * FROM accepted", 0.002);
            }
        });
    });
    let snapshot = profiler.snapshot();
    let rules: Vec<_> = snapshot
        .findings()
        .iter()
        .map(|finding| finding.rule)
        .collect();
    assert_eq!(rules, [Rule::IdenticalReads]);
}
