//! All figures as one document.

use super::Shared;
use super::figures::figures;
use super::health::{Status, Verdict, judge, standing};
use super::report::{MAX_ROWS, Problem, Query, Route};
use super::trail::{Percentiles, Point, PoolUse};
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
    /// What may be done, by part: `[{"kind", "name", "actions", "actions_of"}]`.
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
    actions_of: &'static [&'static str],
}

/// What a stream of events tells once a refresh.
#[derive(Serialize)]
struct Told<'s> {
    #[serde(flatten)]
    stats: &'s Stats,
    point: Point,
}

/// The figures of one reading that charts are drawn from.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// Seconds since the start.
    pub(super) at: f64,
    pub(super) requests: u64,
    pub(super) has_routes: bool,
    /// Requests a second and their latencies as a monitor of objectives sees them.
    pub(super) judged: Option<(f64, Percentiles)>,
    pub(super) latency: Vec<(f64, u64)>,
    pub(super) hits: f64,
    pub(super) misses: f64,
    pub(super) pools: PoolUse,
    /// How often somebody asked a pool, and how long they waited in all.
    pub(super) waits: f64,
    pub(super) waited: f64,
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
        let mut report = report.unwrap_or_default();
        report.findings.extend(shared.advice.lock().iter().cloned());
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

    /// What charts are drawn from.
    pub(super) fn figures(&self) -> Figures {
        let pools = || self.pools.iter().filter(|part| part.kind == "pool");
        let monitor = self.others.iter().find(|part| part.kind == "slo_monitor");
        let any = |value: f64| (pools().count() > 0).then_some(value);
        Figures {
            at: self.uptime_seconds,
            requests: self.requests,
            has_routes: !self.routes.is_empty(),
            judged: monitor.map(Part::judged),
            latency: self.latency.clone(),
            hits: sum(self.cache.iter(), "/hits"),
            misses: sum(self.cache.iter(), "/misses"),
            pools: PoolUse {
                used: any(sum(pools(), "/resources/in_use")),
                limit: any(sum(pools(), "/max_size")),
                waiting: any(sum(pools(), "/waiting")),
            },
            waits: sum(pools(), "/wait_seconds/count"),
            waited: sum(pools(), "/wait_seconds/sum"),
        }
    }

    /// The document and the charts' newest point as JSON, on one line.
    pub(super) fn told(&self, point: Point) -> String {
        serde_json::to_string(&Told { stats: self, point }).unwrap_or_default()
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

impl Part {
    /// The figure at this place, if there is one.
    fn figure(&self, place: &str) -> Option<f64> {
        let mut names = place.split('/').skip(1);
        let first = self.figures.get(names.next()?)?;
        names
            .try_fold(first, |value, name| value.get(name))?
            .as_f64()
    }

    fn judged(&self) -> (f64, Percentiles) {
        let latency = |name: &str| self.figure(&format!("/window_request_seconds/{name}"));
        let rate = self.figure("/window_requests_per_second");
        let latency = Percentiles {
            p50: latency("p50"),
            p95: latency("p95"),
            p99: latency("p99"),
        };
        (rate.unwrap_or(0.0), latency)
    }
}

fn sum<'p>(parts: impl Iterator<Item = &'p Part>, place: &str) -> f64 {
    parts.filter_map(|part| part.figure(place)).sum()
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
        actions_of: operable.actions_of(),
    };
    shared.operables.iter().map(operation).collect()
}
