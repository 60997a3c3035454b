use super::LoadOutcome;
use perf_profile::StressReport;
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
        let _infallible = write!(body, "{}", last.charts());
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

pub(super) fn stress(report: &StressReport) -> String {
    let knee = report.knee().map_or_else(
        || "It did not keep up with the first rate.".into(),
        |knee| format!("It kept up with {knee:.1} requests a second."),
    );
    format!("<h1>{knee}</h1>{}", report.charts())
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
