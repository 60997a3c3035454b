//! The one global subscriber of this binary, and databases.

use perf_core::Dialect;
use perf_profile::{Profiler, ProfilerBuilder, SlowQuery, Snapshot};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

static EXECUTIONS: Mutex<Vec<SlowQuery>> = Mutex::new(Vec::new());

/// A profiler that takes every execution for slow, so that [`executions`] shows it.
pub(crate) fn watching() -> ProfilerBuilder {
    Profiler::builder()
        .dialect(Dialect::Sqlite)
        .slow_query(Duration::ZERO)
        .on_slow_query(|query| EXECUTIONS.lock().unwrap().push(query.clone()))
        .max_statements(20_000)
        .max_request_names(5_000)
}

/// Wants every span and does nothing with them, so that the application's own spans exist.
struct AllSpans;

impl<S: Subscriber> Layer<S> for AllSpans {}

/// The profiler of the global subscriber.
pub(crate) fn profiler() -> &'static Profiler {
    static PROFILER: OnceLock<Profiler> = OnceLock::new();
    PROFILER.get_or_init(|| {
        let profiler = watching().build();
        tracing_subscriber::registry()
            .with(profiler.sql_layer())
            .with(AllSpans)
            .init();
        profiler
    })
}

/// How long a database driver may hold a request's span at most.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Waits for the requests that have begun.
pub(crate) async fn settle() {
    assert!(profiler().settled(LIMIT).await, "requests stay open");
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

/// The calls of the function of this name.
pub(crate) fn calls(snapshot: &Snapshot, name: &str) -> u64 {
    snapshot
        .functions()
        .iter()
        .filter(|function| function.name == name)
        .map(|f| f.calls)
        .sum()
}

/// Pools on fresh databases. All connections are open from the start, since what opening one runs would
/// count for the request that waits for it.
pub(crate) mod pools {
    use perf_testkit::{MariaDbServer, PostgresServer};
    use sqlx::pool::PoolOptions;
    use sqlx::{Database, MySqlPool, PgPool, Pool, SqlitePool};

    /// Of in-memory databases, one per connection.
    pub(crate) async fn sqlite(connections: u32) -> SqlitePool {
        open("sqlite::memory:", connections).await
    }

    pub(crate) async fn postgres(connections: u32) -> PgPool {
        let database = PostgresServer::shared().unwrap().database().unwrap();
        open(&database.url(), connections).await
    }

    pub(crate) async fn maria_db(connections: u32) -> MySqlPool {
        let database = MariaDbServer::shared().unwrap().database().unwrap();
        open(&database.url(), connections).await
    }

    pub(crate) async fn open<DB: Database>(url: &str, connections: u32) -> Pool<DB> {
        let pool = PoolOptions::new()
            .max_connections(connections)
            .connect(url)
            .await
            .unwrap();
        let mut open = Vec::new();
        for _ in 0..connections {
            open.push(pool.acquire().await.unwrap());
        }
        pool
    }
}
