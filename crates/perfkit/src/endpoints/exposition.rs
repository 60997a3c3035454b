//! Figures in the text formats of Prometheus and OpenMetrics.
//!
//! A scraper refuses a whole answer for one bad line, so what is written cannot be bad: names are reduced to the
//! letters that are allowed, label values are escaped and bounded, a family has one type, and no series comes
//! twice, whatever the parts call themselves.

mod accept;
mod family;
mod text;

use super::health::{Status, standing};
use super::report::Route;
use family::{Families, Kind, Labels};
use perf_core::inspect::Inspection;
use perf_core::{Sample, Summary, Value};
use std::time::Duration;

pub(super) use accept::Format;

/// Upper bounds of the buckets of latencies, in seconds: the same everywhere, so that instances add up.
const BOUNDS: [f64; 14] = [
    0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// All figures of `parts` and the latencies of `routes`.
pub(super) fn write(format: Format, parts: &[Inspection], routes: &[Route]) -> String {
    let mut families = Families::default();
    for (number, part) in parts.iter().enumerate() {
        // Parts come sorted, so namesakes stand side by side.
        let namesakes = parts[..number].iter().rev();
        let before = namesakes
            .take_while(|other| (other.kind, &other.name) == (part.kind, &part.name))
            .count();
        let name = match before {
            0 => part.name.clone(),
            more => format!("{} ({})", part.name, more + 1),
        };
        add_part(&mut families, part, &name);
    }
    for route in routes {
        add_route(&mut families, route);
    }
    families.write(format)
}

fn add_part(families: &mut Families, part: &Inspection, name: &str) {
    let health = match standing(&part.health).0 {
        Status::Healthy => 0,
        Status::Degraded => 1,
        Status::Unhealthy => 2,
    };
    let labels = Labels::new("kind", part.kind).with("name", name);
    families
        .family("perfkit_part_health", Kind::Gauge)
        .add("", &labels, health);
    for sample in &part.samples {
        add_sample(families, part.kind, name, sample);
    }
}

fn add_sample(families: &mut Families, kind: &str, name: &str, sample: &Sample) {
    let own = sample.name.strip_suffix("_total").unwrap_or(sample.name);
    let family = format!("perfkit_{kind}_{own}");
    let mut labels = Labels::new("name", name);
    if let Some((key, value)) = &sample.label {
        labels = labels.with_own(key, value);
    }
    match &sample.value {
        Value::Counter(count) => families
            .family(&family, Kind::Counter)
            .add("_total", &labels, count),
        Value::Gauge(gauge) => {
            let gauge = text::float(*gauge);
            families
                .family(&family, Kind::Gauge)
                .add("", &labels, gauge);
        }
        Value::Histogram(summary) => add_summary(families, &family, &labels, summary),
        _ => {}
    }
}

fn add_summary(families: &mut Families, name: &str, labels: &Labels, summary: &Summary) {
    let family = families.family(name, Kind::Summary);
    let quantiles: [(f64, Duration); 5] = [
        (0.5, summary.p50),
        (0.95, summary.p95),
        (0.99, summary.p99),
        (0.999, summary.p999),
        (1.0, summary.max),
    ];
    for (quantile, value) in quantiles {
        let labels = labels.clone().with("quantile", &text::float(quantile));
        family.add("", &labels, text::float(value.as_secs_f64()));
    }
    family.add("_sum", labels, text::float(summary.sum.as_secs_f64()));
    family.add("_count", labels, summary.count);
}

fn add_route(families: &mut Families, route: &Route) {
    let family = families.family("perfkit_request_duration_seconds", Kind::Histogram);
    let labels = Labels::new("route", &route.name);
    let within = |bound: f64| {
        let inside = route
            .distribution
            .iter()
            .filter(|(time, _)| time.as_secs_f64() <= bound);
        inside.map(|(_, count)| count).sum::<u64>()
    };
    for bound in BOUNDS.into_iter().chain([f64::INFINITY]) {
        let labels = labels.clone().with("le", &text::float(bound));
        family.add("_bucket", &labels, within(bound));
    }
    family.add("_sum", &labels, text::float(route.latency.total));
    family.add("_count", &labels, within(f64::INFINITY));
}
