//! What a profiler tells, whichever it is.

use serde::Serialize;
use std::time::Duration;

/// Where routes, queries, findings and call paths come from.
pub(super) trait Source: Send + Sync {
    /// Everything but the call paths.
    fn report(&self) -> Report;

    /// The call paths, each after the one that it extends.
    fn frames(&self) -> Vec<Frame>;
}

/// How many rows of a table are told, those that took longest in total.
pub(super) const MAX_ROWS: usize = 100;

#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) routes: Vec<Route>,
    pub(super) queries: Vec<Query>,
    pub(super) findings: Vec<Problem>,
}

/// What the requests of one name have done. Times are in seconds, as everywhere in what is told.
#[derive(Debug, Serialize)]
pub(super) struct Route {
    pub(super) name: String,
    pub(super) requests: u64,
    pub(super) queries: u64,
    pub(super) max_queries: u64,
    #[serde(flatten)]
    pub(super) latency: Latency,
    /// How many took how long, shortest first.
    #[serde(skip)]
    pub(super) distribution: Vec<(Duration, u64)>,
}

/// What one statement has done.
#[derive(Debug, Serialize)]
pub(super) struct Query {
    pub(super) text: String,
    pub(super) count: u64,
    pub(super) rows: u64,
    pub(super) errors: u64,
    #[serde(flatten)]
    pub(super) latency: Latency,
}

/// Something to improve.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    pub(super) rule: &'static str,
    pub(super) title: String,
    pub(super) route: String,
    pub(super) requests: u64,
    pub(super) repeats: u64,
    pub(super) rows: u64,
    pub(super) seconds: f64,
    pub(super) avoidable_seconds: f64,
    pub(super) statement: String,
    pub(super) cause: Option<String>,
    pub(super) function: Option<&'static str>,
    pub(super) cure: String,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Latency {
    pub(super) total: f64,
    pub(super) p50: f64,
    pub(super) p95: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

/// One call path.
#[derive(Debug, Serialize)]
pub(super) struct Frame {
    pub(super) name: &'static str,
    /// The index of the path that it extends.
    pub(super) parent: Option<usize>,
    pub(super) calls: u64,
    /// Its own time, that of its callees excluded.
    pub(super) own: f64,
}

impl From<&perf_core::Summary> for Latency {
    fn from(summary: &perf_core::Summary) -> Self {
        Self {
            total: summary.sum.as_secs_f64(),
            p50: summary.p50.as_secs_f64(),
            p95: summary.p95.as_secs_f64(),
            p99: summary.p99.as_secs_f64(),
            max: summary.max.as_secs_f64(),
        }
    }
}
