//! The one global subscriber of this binary, and SQLite databases.

use perf_profile::{Profiler, SlowQuery, Snapshot};
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

static EXECUTIONS: Mutex<Vec<SlowQuery>> = Mutex::new(Vec::new());

/// The profiler of the global subscriber. It takes every execution for slow.
pub(crate) fn profiler() -> &'static Profiler {
    static PROFILER: OnceLock<Profiler> = OnceLock::new();
    PROFILER.get_or_init(|| {
        let profiler = Profiler::builder()
            .dialect(perf_core::Dialect::Sqlite)
            .slow_query(Duration::ZERO)
            .on_slow_query(|query| EXECUTIONS.lock().unwrap().push(query.clone()))
            .max_statements(20_000)
            .max_request_names(5_000)
            .build();
        tracing_subscriber::registry()
            .with(profiler.sql_layer())
            .init();
        profiler
    })
}

/// Every execution so far whose text contains `part`.
pub(crate) fn executions(part: &str) -> Vec<SlowQuery> {
    let executions = EXECUTIONS.lock().unwrap();
    executions
        .iter()
        .filter(|query| query.text.contains(part))
        .cloned()
        .collect()
}

/// A pool of in-memory databases, one per connection. All are open from the start, since what opening
/// one runs would count for the request that waits for it.
pub(crate) async fn sqlite(connections: u32) -> SqlitePool {
    let options = SqlitePoolOptions::new()
        .min_connections(connections)
        .max_connections(connections);
    options.connect("sqlite::memory:").await.unwrap()
}

/// The calls of the function of this name.
pub(crate) fn calls(snapshot: &Snapshot, name: &str) -> u64 {
    snapshot
        .functions()
        .iter()
        .filter(|function| function.name == name)
        .map(|f| f.calls)
        .sum()
}
