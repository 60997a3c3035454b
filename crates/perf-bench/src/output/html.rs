use super::LoadOutcome;
use super::plot::{Curve, curves};
use perf_profile::{LoadReport, StressReport};
use std::fmt::Write as _;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;\
color:#222;background:#fff}table{border-collapse:collapse}th,td{padding:.3rem .8rem;text-align:right;\
border-bottom:1px solid #ccc}th:first-child,td:first-child{text-align:left}figure{margin:1rem 0}\
.bad{color:#a11;font-weight:600}";

/// A page that needs nothing else.
pub(super) fn page(body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>perf-bench</title>\
        <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body>{body}</body></html>"
    )
}

pub(super) fn load(outcome: &LoadOutcome<'_>) -> String {
    let mut body = format!("<h1>{}</h1>", escaped(&outcome.target));
    for assertion in &outcome.failed_assertions {
        let _infallible = write!(
            body,
            "<p class=\"bad\">{} does not hold.</p>",
            escaped(assertion)
        );
    }
    body.push_str("<table><thead><tr><th scope=\"col\">run</th>");
    for name in ["requests/s", "p50", "p95", "p99", "p99.9", "max", "failed"] {
        let _infallible = write!(body, "<th scope=\"col\">{name}</th>");
    }
    body.push_str("</tr></thead><tbody>");
    for (run, report) in outcome.reports.iter().enumerate() {
        let _infallible = write!(
            body,
            "<tr><td>{}</td><td>{:.1}</td>",
            run + 1,
            report.throughput()
        );
        for quantile in [0.5, 0.95, 0.99, 0.999, 1.0] {
            let _infallible = write!(body, "<td>{:.1?}</td>", report.latency.quantile(quantile));
        }
        let _infallible = write!(body, "<td>{}</td></tr>", report.failed());
    }
    body.push_str("</tbody></table>");
    comparison(&mut body, outcome);
    if let Some(last) = outcome.reports.last() {
        body.push_str(&plots(last));
    }
    body
}

fn comparison(body: &mut String, outcome: &LoadOutcome<'_>) {
    let Some(comparison) = outcome.comparison else {
        return;
    };
    body.push_str("<h2>Against the baseline</h2><table><tbody>");
    for metric in &comparison.metrics {
        let ratio = metric
            .ratio
            .map_or_else(|| "–".into(), |ratio| format!("× {ratio:.2}"));
        let (name, verdict) = (escaped(&metric.name), metric.verdict);
        let _infallible = write!(
            body,
            "<tr><td>{name}</td><td>{ratio}</td><td>{verdict}</td></tr>"
        );
    }
    body.push_str("</tbody></table>");
}

fn plots(report: &LoadReport) -> String {
    let milliseconds = |seconds: f64| seconds * 1e3;
    let middle = |slice: &perf_profile::LoadSlice| (slice.start + slice.length / 2).as_secs_f64();
    let over_time = |read: fn(&perf_profile::LoadSlice) -> f64| -> Vec<(f64, f64)> {
        report
            .timeline
            .iter()
            .map(|slice| (middle(slice), read(slice)))
            .collect()
    };
    let latency = [
        Curve {
            name: "p50",
            points: over_time(|slice| slice.latency.p50.as_secs_f64() * 1e3),
        },
        Curve {
            name: "p99",
            points: over_time(|slice| slice.latency.p99.as_secs_f64() * 1e3),
        },
    ];
    let rate = [Curve {
        name: "requests/s",
        points: over_time(|slice| slice.succeeded as f64 / slice.length.as_secs_f64()),
    }];
    let percentile = |snapshot: &perf_core::Snapshot| -> Vec<(f64, f64)> {
        let shares = (0..=999).map(|share| f64::from(share) / 10.0);
        let value = |share: f64| milliseconds(snapshot.quantile(share / 100.0).as_secs_f64());
        shares.map(|share| (share, value(share))).collect()
    };
    let distribution = [
        Curve {
            name: "latency",
            points: percentile(&report.latency),
        },
        Curve {
            name: "service",
            points: percentile(&report.service),
        },
    ];
    [
        curves(
            "Latency over time",
            "seconds",
            "milliseconds",
            &latency,
            true,
        ),
        curves(
            "Throughput over time",
            "seconds",
            "requests a second",
            &rate,
            false,
        ),
        curves(
            "Latency by percentile",
            "percentile",
            "milliseconds",
            &distribution,
            true,
        ),
    ]
    .concat()
}

pub(super) fn stress(report: &StressReport) -> String {
    let knee = report.knee().map_or_else(
        || "It did not keep up with the first rate.".into(),
        |knee| format!("It kept up with {knee:.1} requests a second."),
    );
    let step = |read: fn(&perf_profile::StressStep) -> f64| -> Vec<(f64, f64)> {
        report
            .steps
            .iter()
            .map(|step| (step.rate, read(step)))
            .collect()
    };
    let served = [
        Curve {
            name: "served",
            points: step(|step| step.report.throughput()),
        },
        Curve {
            name: "offered",
            points: step(|step| step.rate),
        },
    ];
    let p99 = [Curve {
        name: "p99",
        points: step(|step| step.report.latency.quantile(0.99).as_secs_f64() * 1e3),
    }];
    [
        format!("<h1>{knee}</h1>"),
        curves("Served", "offered a second", "a second", &served, false),
        curves(
            "99th percentile",
            "offered a second",
            "milliseconds",
            &p99,
            true,
        ),
    ]
    .concat()
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
