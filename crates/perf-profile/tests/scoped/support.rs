//! Events without a database, under a subscriber of this thread.

use perf_profile::Profiler;
use tracing_subscriber::layer::SubscriberExt;

/// What sqlx emits for a statement, at this latency.
pub(crate) fn execute(sql: &str, seconds: f64) {
    tracing::debug!(
        target: "sqlx::query",
        summary = "SELECT …",
        db.statement = sql,
        rows_affected = 0_u64,
        rows_returned = 1_u64,
        elapsed_secs = seconds,
    );
}

/// Runs `work` under a subscriber of this thread alone, for what emits its events itself.
pub(crate) fn installed<T>(profiler: &Profiler, work: impl FnOnce() -> T) -> T {
    tracing::subscriber::with_default(
        tracing_subscriber::registry().with(profiler.sql_layer()),
        work,
    )
}
