use super::LoadOutcome;
use perf_core::Snapshot;
use perf_profile::{LoadReport, StressReport};
use serde_json::{Value, json};

pub(super) fn load(outcome: &LoadOutcome<'_>) -> Value {
    json!({
        "target": outcome.target,
        "runs": outcome.reports.iter().map(report).collect::<Vec<_>>(),
        "comparison": outcome.comparison,
        "failed_assertions": outcome.failed_assertions,
    })
}

pub(super) fn stress(report: &StressReport) -> Value {
    let steps = report.steps.iter().map(|step| {
        json!({"rate": step.rate, "kept_up": step.kept_up, "report": self::report(&step.report)})
    });
    json!({"knee": report.knee(), "steps": steps.collect::<Vec<_>>()})
}

fn report(report: &LoadReport) -> Value {
    let timeline = report.timeline.iter().map(|slice| {
        json!({
            "start_seconds": slice.start.as_secs_f64(),
            "requests_per_second": slice.succeeded as f64 / slice.length.as_secs_f64(),
            "p50_seconds": slice.latency.p50.as_secs_f64(),
            "p99_seconds": slice.latency.p99.as_secs_f64(),
        })
    });
    json!({
        "elapsed_seconds": report.elapsed.as_secs_f64(),
        "succeeded": report.succeeded,
        "failures": report.failures,
        "delayed": report.delayed,
        "requests_per_second": report.throughput(),
        "latency_seconds": quantiles(&report.latency),
        "service_seconds": quantiles(&report.service),
        "lag_seconds": quantiles(&report.lag),
        "timeline": timeline.collect::<Vec<_>>(),
    })
}

fn quantiles(snapshot: &Snapshot) -> Value {
    let seconds = |quantile| snapshot.quantile(quantile).as_secs_f64();
    json!({
        "mean": snapshot.mean().as_secs_f64(),
        "p50": seconds(0.5), "p90": seconds(0.9), "p95": seconds(0.95), "p99": seconds(0.99),
        "p999": seconds(0.999), "max": seconds(1.0),
    })
}
