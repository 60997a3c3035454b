//! Load tests as pictures.

use super::charts::{Curve, Scale, curves};
use crate::{LoadReport, LoadSlice, StressReport, StressStep};

pub(crate) fn load(report: &LoadReport) -> String {
    let over_time = |height: fn(&LoadSlice) -> f64| {
        let point = |slice: &LoadSlice| {
            (
                (slice.start + slice.length / 2).as_secs_f64(),
                height(slice),
            )
        };
        report.timeline.iter().map(point).collect()
    };
    let latency = [
        Curve {
            name: "p50",
            points: over_time(|slice| 1e3 * slice.latency.p50.as_secs_f64()),
        },
        Curve {
            name: "p99",
            points: over_time(|slice| 1e3 * slice.latency.p99.as_secs_f64()),
        },
    ];
    let rate = [Curve {
        name: "requests/s",
        points: over_time(|slice| slice.succeeded as f64 / slice.length.as_secs_f64()),
    }];
    let percentiles = |snapshot: &perf_core::Snapshot| {
        let shares = (0..=999).map(|share| f64::from(share) / 10.0);
        let value = |share: f64| 1e3 * snapshot.quantile(share / 100.0).as_secs_f64();
        shares.map(|share| (share, value(share))).collect()
    };
    let distribution = [
        Curve {
            name: "latency",
            points: percentiles(&report.latency),
        },
        Curve {
            name: "service",
            points: percentiles(&report.service),
        },
    ];
    let (time, milliseconds) = ("seconds", "milliseconds");
    [
        curves(
            "Latency over time",
            (time, milliseconds),
            &latency,
            Scale::Logarithmic,
        ),
        curves(
            "Throughput over time",
            (time, "a second"),
            &rate,
            Scale::Linear,
        ),
        curves(
            "Latency by percentile",
            ("percentile", milliseconds),
            &distribution,
            Scale::Logarithmic,
        ),
    ]
    .concat()
}

pub(crate) fn stress(report: &StressReport) -> String {
    let by_rate = |height: fn(&StressStep) -> f64| {
        report
            .steps
            .iter()
            .map(|step| (step.rate, height(step)))
            .collect()
    };
    let served = [
        Curve {
            name: "served",
            points: by_rate(|step| step.report.throughput()),
        },
        Curve {
            name: "offered",
            points: by_rate(|step| step.rate),
        },
    ];
    let p99 = [Curve {
        name: "p99",
        points: by_rate(|step| 1e3 * step.report.latency.quantile(0.99).as_secs_f64()),
    }];
    let offered = "offered a second";
    [
        curves("Throughput", (offered, "a second"), &served, Scale::Linear),
        curves(
            "99th percentile of latency",
            (offered, "milliseconds"),
            &p99,
            Scale::Logarithmic,
        ),
    ]
    .concat()
}
