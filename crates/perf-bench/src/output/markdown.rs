use super::LoadOutcome;
use perf_profile::StressReport;
use std::fmt::Write as _;

pub(super) fn load(outcome: &LoadOutcome<'_>) -> String {
    let mut text = format!(
        "### {}\n\n| run | requests/s | p50 | p95 | p99 | p99.9 | max | failed |\n|---|---|---|---|---|---|---|---|\n",
        outcome.target
    );
    for (run, report) in outcome.reports.iter().enumerate() {
        let quantiles =
            [0.5, 0.95, 0.99, 0.999, 1.0].map(|quantile| report.latency.quantile(quantile));
        let quantiles = quantiles
            .map(|latency| format!("{latency:.1?}"))
            .join(" | ");
        let (rate, failed) = (report.throughput(), report.failed());
        let _infallible = writeln!(text, "| {} | {rate:.1} | {quantiles} | {failed} |", run + 1);
    }
    if let Some(comparison) = outcome.comparison {
        text.push_str(
            "\n| metric | against the baseline | interval | verdict |\n|---|---|---|---|\n",
        );
        for metric in &comparison.metrics {
            let ratio = metric
                .ratio
                .map_or_else(|| "–".into(), |ratio| format!("× {ratio:.2}"));
            let interval = metric.interval.map_or_else(
                || "–".into(),
                |(low, high)| format!("{low:.2} to {high:.2}"),
            );
            let _infallible = writeln!(
                text,
                "| {} | {ratio} | {interval} | {} |",
                metric.name, metric.verdict
            );
        }
    }
    for assertion in &outcome.failed_assertions {
        let _infallible = writeln!(text, "\n**`{assertion}` does not hold.**");
    }
    text
}

pub(super) fn stress(report: &StressReport) -> String {
    let mut text =
        String::from("| offered/s | served/s | p99 | failed | kept up |\n|---|---|---|---|---|\n");
    for step in &report.steps {
        let p99 = step.report.latency.quantile(0.99);
        let kept_up = if step.kept_up { "yes" } else { "no" };
        let (rate, served, failed) = (step.rate, step.report.throughput(), step.report.failed());
        let _infallible = writeln!(
            text,
            "| {rate:.1} | {served:.1} | {p99:.1?} | {failed} | {kept_up} |"
        );
    }
    text
}
