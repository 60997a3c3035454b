//! Objectives judged over time.

use async_trait::async_trait;
use parking_lot::Mutex;
use perf_core::{Health, ManualClock, Registry};
use perf_profile::{Alert, AlertSink, Level, Measure, Objective, SloMonitor};
use std::error::Error;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Alert>>>);

#[async_trait]
impl AlertSink for Kept {
    async fn send(&self, alert: &Alert) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.0.lock().push(alert.clone());
        Ok(())
    }
}

struct Broken;

#[async_trait]
impl AlertSink for Broken {
    async fn send(&self, _alert: &Alert) -> Result<(), Box<dyn Error + Send + Sync>> {
        Err("no route to host".into())
    }
}

struct Silent;

#[async_trait]
impl AlertSink for Silent {
    async fn send(&self, _alert: &Alert) -> Result<(), Box<dyn Error + Send + Sync>> {
        pending().await
    }
}

fn monitor(
    clock: &ManualClock,
    objectives: Vec<Objective>,
    sink: impl AlertSink + 'static,
) -> SloMonitor {
    let builder = SloMonitor::builder("api")
        .window(60 * SECOND)
        .objectives(objectives);
    builder.sink(sink).clock(clock.clone()).build()
}

#[tokio::test]
async fn an_incident_is_told_twice_when_it_begins_and_when_it_is_over() {
    let (clock, kept) = (ManualClock::new(), Kept::default());
    let monitor = monitor(&clock, Objective::web_service(), kept.clone());
    // Ten minutes of a request and a check a second; minutes 3 and 4 fail and take long.
    for second in 0..600 {
        let bad = (180..300).contains(&second);
        monitor.record(if bad { 3 * SECOND } else { SECOND / 100 }, bad);
        monitor.check().await;
        clock.advance(SECOND);
    }
    let alerts = kept.0.lock().clone();
    for objective in ["latency_p50_seconds", "latency_p99_seconds", "error_rate"] {
        let levels = alerts.iter().filter(|alert| alert.objective == objective);
        let levels: Vec<_> = levels.map(|alert| (alert.from, alert.to)).collect();
        assert_eq!(
            levels.first(),
            Some(&(Level::Met, Level::Critical)),
            "{objective}"
        );
        assert_eq!(
            levels.last().map(|last| last.1),
            Some(Level::Met),
            "{objective}"
        );
        assert_eq!(levels.len(), 2, "{objective}: {levels:?}");
    }
    assert_eq!(monitor.level(), Level::Met);
}

#[tokio::test]
async fn without_requests_a_level_stays() {
    let clock = ManualClock::new();
    let monitor = monitor(&clock, Objective::web_service(), Kept::default());
    monitor.record(SECOND, true);
    monitor.check().await;
    monitor.check().await;
    assert_eq!(monitor.level(), Level::Critical);
    clock.advance(3_600 * SECOND);
    for _ in 0..10 {
        assert!(monitor.check().await.is_empty());
    }
    assert_eq!(monitor.level(), Level::Critical);
    assert_eq!(monitor.stats().requests, 0);
    assert!(monitor.status().iter().all(|status| status.value.is_none()));
}

#[tokio::test]
async fn gauges_are_objectives_too() {
    let percent = Arc::new(AtomicU64::new(40));
    let reading = Arc::clone(&percent);
    let read = Measure::Gauge(Arc::new(move || Some(reading.load(Relaxed) as f64)));
    let memory = Objective::at_most("memory_percent", read, 80.0, 95.0).unwrap();
    let rate = Objective::at_least("throughput", Measure::Throughput, 1_000.0, 100.0).unwrap();
    let clock = ManualClock::new();
    let monitor = monitor(&clock, vec![memory, rate], Kept::default());
    clock.advance(SECOND);
    (0..2_000).for_each(|_| monitor.record(SECOND, false));
    percent.store(90, Relaxed);
    monitor.check().await;
    monitor.check().await;
    let levels: Vec<_> = monitor.status().iter().map(|status| status.level).collect();
    assert_eq!(levels, [Level::Missed, Level::Met]);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_fails_or_hangs_is_counted_and_keeps_nobody_else_from_hearing() {
    let (clock, kept, registry) = (ManualClock::new(), Kept::default(), Registry::new());
    let builder = SloMonitor::builder("api").objectives(Objective::web_service());
    let builder = builder.sink(Broken).sink(Silent).sink(kept.clone());
    let monitor = builder.clock(clock).build();
    monitor.register(&registry);
    monitor.record(SECOND, false);
    monitor.check().await;
    let alerts = monitor.check().await;
    assert_eq!(alerts.len(), 2, "{alerts:?}");
    assert_eq!(*kept.0.lock(), alerts);
    let inspection = &registry.inspect()[0];
    let json = serde_json::to_string(&inspection.samples).unwrap();
    assert!(
        json.contains(r#"{"name":"undelivered_alerts","value":{"counter":4}}"#),
        "{json}"
    );
    let health = Health::Unhealthy("critical: latency_p50_seconds".into());
    assert_eq!(inspection.health, health);
}
