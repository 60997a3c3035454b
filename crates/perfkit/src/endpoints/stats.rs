//! All figures as one document.

use super::Shared;
use super::figures::figures;
use super::health::{Status, Verdict, judge, standing};
use super::report::{MAX_ROWS, Problem, Query, Route};
use perf_core::inspect::Inspection;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Debug, Serialize)]
pub(super) struct Stats {
    uptime_seconds: f64,
    refresh_seconds: f64,
    health: Verdict,
    cache: Vec<Part>,
    breakers: Vec<Part>,
    pools: Vec<Part>,
    limiter: Vec<Part>,
    others: Vec<Part>,
    routes: Vec<Route>,
    queries: Vec<Query>,
    findings: Vec<Problem>,
    /// Requests that have ended, over all routes.
    requests: u64,
    /// How many of them took how many seconds, shortest first.
    latency: Vec<(f64, u64)>,
    /// What may be done, by part: `[{"kind", "name", "actions"}]`.
    actions: Vec<Operations>,
}

#[derive(Debug, Serialize)]
struct Part {
    kind: &'static str,
    name: String,
    status: Status,
    reason: String,
    figures: Map<String, Value>,
}

#[derive(Debug, Serialize)]
struct Operations {
    kind: &'static str,
    name: String,
    actions: &'static [&'static str],
}

/// Where a part stands in the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    Cache,
    Breakers,
    Pools,
    Limiter,
    Others,
}

impl Stats {
    pub(super) fn read(shared: &Shared) -> Self {
        let inspections = shared.registry.inspect();
        let report = shared.source.as_ref().map(|source| source.report());
        let report = report.unwrap_or_default();
        let health = judge(&inspections, &shared.required);
        let mut parts: Vec<_> = inspections
            .into_iter()
            .map(|part| (group(part.kind), Part::from(part)))
            .collect();
        let mut take = |wanted| {
            let taken = parts.extract_if(.., |(group, _)| *group == wanted);
            taken.map(|(_, part)| part).collect()
        };
        Self {
            uptime_seconds: shared.clock.now().since(shared.started).as_secs_f64(),
            refresh_seconds: shared.refresh.as_secs_f64(),
            health,
            cache: take(Group::Cache),
            breakers: take(Group::Breakers),
            pools: take(Group::Pools),
            limiter: take(Group::Limiter),
            others: take(Group::Others),
            requests: report.routes.iter().map(|route| route.requests).sum(),
            latency: merged(&report.routes),
            actions: operations(shared),
            routes: first(report.routes),
            queries: first(report.queries),
            findings: first(report.findings),
        }
    }

    /// The document as JSON, on one line.
    pub(super) fn json(&self) -> String {
        // Maps of strings to numbers and texts can always be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl From<Inspection> for Part {
    fn from(inspection: Inspection) -> Self {
        let (status, reason) = standing(&inspection.health);
        // Its figures are those of the routes and queries, once for each.
        let own =
            |sample: &perf_core::Sample| inspection.kind != "profiler" || sample.label.is_none();
        let samples: Vec<_> = inspection
            .samples
            .iter()
            .filter(|sample| own(sample))
            .cloned()
            .collect();
        Self {
            kind: inspection.kind,
            status,
            reason: reason.to_owned(),
            figures: figures(&samples),
            name: inspection.name,
        }
    }
}

fn group(kind: &str) -> Group {
    match kind {
        "cache" => Group::Cache,
        "circuit_breaker"
        | "circuit_breaker_registry"
        | "bulkhead"
        | "adaptive_limit"
        | "throttle" => Group::Breakers,
        "rate_limiter" | "keyed_limiter" | "shared_limiter" => Group::Limiter,
        kind if kind.ends_with("pool") => Group::Pools,
        _ => Group::Others,
    }
}

fn first<T>(mut rows: Vec<T>) -> Vec<T> {
    rows.truncate(MAX_ROWS);
    rows
}

/// The latencies of all routes together.
fn merged(routes: &[Route]) -> Vec<(f64, u64)> {
    let mut buckets: BTreeMap<Duration, u64> = BTreeMap::new();
    for (duration, count) in routes.iter().flat_map(|route| &route.distribution) {
        *buckets.entry(*duration).or_default() += count;
    }
    let seconds = |(duration, count): (Duration, u64)| (duration.as_secs_f64(), count);
    buckets.into_iter().map(seconds).collect()
}

fn operations(shared: &Shared) -> Vec<Operations> {
    if shared.guard.is_none() {
        return Vec::new();
    }
    let operation = |operable: &std::sync::Arc<dyn super::Operable>| Operations {
        kind: operable.kind(),
        name: operable.name(),
        actions: operable.actions(),
    };
    shared.operables.iter().map(operation).collect()
}
