use crate::memory::MemoryStats;
use crate::sql::{Fingerprint, Shape};
use perf_core::Summary;
use std::time::Duration;

/// What one statement has done, whatever its values.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct QueryStats {
    /// What identifies it.
    pub fingerprint: Fingerprint,
    /// Its text without values; `"<other>"` sums the statements beyond the limit.
    pub text: String,
    /// Its traits.
    pub shape: Shape,
    /// Executions.
    pub count: u64,
    /// Rows that all executions returned.
    pub rows_returned: u64,
    /// Rows that all executions changed.
    pub rows_affected: u64,
    /// From sending to the last row taken: a consumer that dawdles over a stream is part of it.
    pub latency: Summary,
    /// Executions that failed; known of those through an executor of the profiler.
    pub errors: u64,
    /// Until the first row, of executions through an executor of the profiler that returned one.
    pub first_row: Summary,
    /// How often each profiled function ran it, the most frequent first; at most 16 functions.
    pub functions: Vec<(&'static str, u64)>,
}

/// One execution that has not ended.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct RunningQuery {
    /// What identifies the statement.
    pub fingerprint: Fingerprint,
    /// Its text without values.
    pub text: String,
    /// Since when it has been running.
    pub elapsed: Duration,
    /// The name of the request that it belongs to.
    pub request: Option<String>,
    /// The innermost profiled function that ran it.
    pub function: Option<&'static str>,
}

/// What the requests of one name have done.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct RequestStats {
    /// Their name.
    pub name: String,
    /// Requests that have ended.
    pub requests: u64,
    /// Queries that they ran.
    pub queries: u64,
    /// The most queries that one of them ran.
    pub max_queries: u64,
    /// From the scope's creation to the end of the last thing in it.
    pub latency: Summary,
    /// How many took how long, within 1.6 %, shortest first.
    pub distribution: Vec<(Duration, u64)>,
    /// What their scopes' own code has allocated.
    pub memory: MemoryStats,
}

/// One execution above the threshold.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct SlowQuery {
    /// What identifies the statement.
    pub fingerprint: Fingerprint,
    /// Its text without values.
    pub text: String,
    /// How long it took.
    pub elapsed: Duration,
    /// The rows it returned.
    pub rows_returned: u64,
    /// The name of the request that it belongs to.
    pub request: Option<String>,
    /// The innermost profiled function that ran it. sqlx's events of SQLite come from another thread and
    /// do not tell.
    pub function: Option<&'static str>,
}

/// One request above the threshold.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct SlowRequest {
    /// Its name.
    pub name: String,
    /// How long it took.
    pub elapsed: Duration,
    /// The queries that it ran.
    pub queries: u64,
    /// What its scope's own code has allocated.
    pub memory: MemoryStats,
}
