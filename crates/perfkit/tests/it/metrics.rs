//! What is scraped, checked by a reader that knows nothing but the format.

use crate::parts::{Puppet, ask, get};
use axum::Router;
use axum::http::Method;
use perfkit::core::{Histogram, Registry, Sample};
use perfkit::endpoints::Endpoints;
use perfkit::profile::{Profiler, RequestScope};
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tracing_subscriber::layer::SubscriberExt;

const OPEN: &str = "application/openmetrics-text; version=1.0.0";

async fn scrape(registry: &Registry, accept: &str) -> String {
    let router: Router = Endpoints::builder(registry).build().router();
    ask(&router, Method::GET, "/metrics", &[("accept", accept)])
        .await
        .text
}

/// The series of a text by name and labels; panics where a scraper would refuse it.
fn read(text: &str) -> HashMap<String, f64> {
    let (mut families, mut series) = (HashSet::new(), HashMap::new());
    let mut family = String::new();
    assert!(text.is_empty() || text.ends_with('\n'));
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let words: Vec<_> = comment.split(' ').collect();
            if let ["TYPE", name, kind] = words[..] {
                assert!(
                    ["counter", "gauge", "summary", "histogram"].contains(&kind),
                    "{line}"
                );
                assert!(families.insert(name.to_owned()), "{name} comes twice");
                family = name.trim_end_matches("_total").to_owned();
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').expect("a value");
        let value: f64 = value.replace("Inf", "inf").parse().expect("a number");
        let (metric, labels) = name.split_once('{').expect("labels");
        assert!(metric.starts_with(&family), "{metric} stands in {family}");
        assert!(
            metric
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_'),
            "{metric}"
        );
        assert_quoted(labels.strip_suffix('}').expect("their end"));
        assert!(
            series.insert(name.to_owned(), value).is_none(),
            "{name} comes twice"
        );
    }
    series
}

/// `key="value",…`, quotes and backslashes escaped.
fn assert_quoted(mut labels: &str) {
    let mut keys = HashSet::new();
    loop {
        let (key, rest) = labels.split_once("=\"").expect("a key");
        assert!(
            key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
            "{key}"
        );
        assert!(keys.insert(key), "{key} comes twice");
        let mut letters = rest.char_indices();
        let end = loop {
            match letters.next().expect("a closing quote") {
                (_, '\\') => {
                    let (_, escaped) = letters.next().expect("what is escaped");
                    assert!(['\\', '"', 'n'].contains(&escaped), "\\{escaped}");
                }
                (at, '"') => break at,
                _ => {}
            }
        };
        match rest[end + 1..].strip_prefix(',') {
            Some(more) => labels = more,
            None => return assert!(rest[end + 1..].is_empty(), "{rest}"),
        }
    }
}

#[tokio::test]
async fn both_formats_say_the_same() {
    let waits = Histogram::new();
    waits.record_duration(Duration::from_millis(10));
    let mut part = Puppet::new("pool", "data \"base\"\n");
    part.samples = vec![
        Sample::counter("acquired", 3),
        Sample::gauge("resources", 2.0).with_label("state", "idle"),
        Sample::histogram("wait_seconds", waits.snapshot().summary()),
    ];
    let (registry, part) = (Registry::new(), Arc::new(part));
    registry.register(&part);
    let text = scrape(&registry, "*/*").await;
    let open = scrape(&registry, OPEN).await;
    assert_eq!(read(&text), read(&open));
    let series = read(&text);
    let name = r#"name="data \"base\"\n""#;
    assert_eq!(
        series[&format!("perfkit_pool_acquired_total{{{name}}}")],
        3.0
    );
    assert_eq!(
        series[&format!("perfkit_pool_resources{{{name},state=\"idle\"}}")],
        2.0
    );
    assert_eq!(
        series[&format!("perfkit_pool_wait_seconds_count{{{name}}}")],
        1.0
    );
    assert_eq!(
        series[&format!("perfkit_part_health{{kind=\"pool\",{name}}}")],
        0.0
    );

    assert!(
        text.contains("# TYPE perfkit_pool_acquired_total counter\n"),
        "{text}"
    );
    assert!(!text.contains("# EOF"), "{text}");
    assert!(
        open.contains("# TYPE perfkit_pool_acquired counter\n"),
        "{open}"
    );
    assert!(
        open.contains("# UNIT perfkit_pool_wait_seconds seconds\n"),
        "{open}"
    );
    assert!(open.ends_with("\n# EOF\n"), "{open}");
}

#[tokio::test]
async fn the_answer_says_which_format_it_has() {
    let router: Router = Endpoints::builder(&Registry::new()).build().router();
    let plain = get(&router, "/metrics").await;
    assert_eq!(
        plain.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    assert_eq!(plain.header("vary"), "accept");
    let open = ask(&router, Method::GET, "/metrics", &[("accept", OPEN)]).await;
    assert!(
        open.header("content-type")
            .starts_with("application/openmetrics-text; version=1.0.0")
    );
    assert_eq!(open.text, "# EOF\n");
}

#[tokio::test]
async fn latencies_of_routes_are_cumulative_buckets() {
    let profiler = Profiler::builder().build();
    let subscriber = tracing_subscriber::registry().with(profiler.sql_layer());
    let _guard = tracing::subscriber::set_default(subscriber);
    for _ in 0..5 {
        RequestScope::new("GET /flights").run(async {}).await;
    }
    assert!(profiler.settled(Duration::from_secs(30)).await);
    let router: Router = Endpoints::builder(&Registry::new())
        .profiler(&profiler)
        .build()
        .router();
    let series = read(&get(&router, "/metrics").await.text);
    let route = "perfkit_request_duration_seconds";
    let count = series[&format!("{route}_count{{route=\"GET /flights\"}}")];
    let bucket =
        |le: &str| series[&format!("{route}_bucket{{route=\"GET /flights\",le=\"{le}\"}}")];
    assert_eq!((count, bucket("+Inf")), (5.0, 5.0));
    let bounds = ["0.001", "0.005", "0.1", "1.0", "30.0", "+Inf"];
    assert!(bounds.map(bucket).is_sorted());
    assert!(series[&format!("{route}_sum{{route=\"GET /flights\"}}")] > 0.0);
}

#[tokio::test]
async fn namesakes_stay_apart() {
    let registry = Registry::new();
    let parts = [(); 3].map(|()| Arc::new(Puppet::new("cache", "users")));
    parts.iter().for_each(|part| registry.register(part));
    let series = read(&scrape(&registry, "*/*").await);
    assert_eq!(series.len(), 3);
    assert!(series.contains_key("perfkit_part_health{kind=\"cache\",name=\"users (3)\"}"));
}

fn any_sample() -> impl Strategy<Value = Sample> {
    const NAMES: &[&str] = &["hits", "hits_total", "wait_seconds", "9 lives", "", "le"];
    const KEYS: &[&str] = &["state", "name", "le", "quantile", "__x", "sta te"];
    let sample = (0..3, proptest::sample::select(NAMES), any::<f64>());
    (
        sample,
        proptest::option::of((proptest::sample::select(KEYS), "\\PC{0,5}|.{0,300}")),
    )
        .prop_map(|((kind, name, number), label)| {
            let sample = match kind {
                0 => Sample::counter(name, number.to_bits()),
                1 => Sample::gauge(name, number),
                _ => Sample::histogram(name, Histogram::new().snapshot().summary()),
            };
            match label {
                Some((key, value)) => sample.with_label(key, value),
                None => sample,
            }
        })
}

proptest! {
    /// No part can say anything that a scraper would refuse.
    #[test]
    fn whatever_parts_say_can_be_scraped(
        parts in proptest::collection::vec(
            (proptest::sample::select(&["cache", "po ol", "1", ""]), ".{0,4}", proptest::collection::vec(any_sample(), 0..6)),
            0..5,
        ),
        open in any::<bool>(),
    ) {
        let registry = Registry::new();
        let puppets: Vec<_> = parts
            .into_iter()
            .map(|(kind, name, samples)| Arc::new(Puppet { samples, ..Puppet::new(kind, &name) }))
            .collect();
        puppets.iter().for_each(|puppet| registry.register(puppet));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let text = runtime.block_on(scrape(&registry, if open { OPEN } else { "*/*" }));
        prop_assert!(read(&text).len() >= puppets.len());
    }
}
