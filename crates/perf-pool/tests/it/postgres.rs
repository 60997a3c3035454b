use crate::servers::{fails_at_once, server_suite};
use perf_pool::PostgresManager;
use perf_testkit::PostgresServer;

server_suite!(PostgresManager);

const SLEEP: &str = "SELECT pg_sleep(10)";
const SESSION: &str = "SELECT pg_backend_pid()::bigint";
const END: &str = "SELECT pg_terminate_backend(?)";

fn connect_through(max_size: u32) -> TestResult<(FaultProxy, Pool<PostgresManager>)> {
    let server = PostgresServer::shared()?;
    let proxy = FaultProxy::start(server.address())?;
    let manager = PostgresManager::from_url(&server.database()?.url_through(proxy.address()))?;
    Ok((proxy, Pool::builder(manager).max_size(max_size).build()?))
}

/// Statements of their own have transactions of their own.
async fn is_in_transaction(guard: &mut Pooled<PostgresManager>) -> sqlx::Result<bool> {
    let current = "SELECT txid_current()";
    let first: i64 = sqlx::query_scalar(current).fetch_one(&mut *guard).await?;
    let second: i64 = sqlx::query_scalar(current).fetch_one(guard).await?;
    Ok(first == second)
}

#[tokio::test]
async fn a_database_that_is_not_there_fails_at_once_with_the_cause() -> TestResult {
    let address = PostgresServer::shared()?.address();
    let manager = PostgresManager::from_url(&format!("postgres://postgres@{address}/nowhere"))?;
    fails_at_once(manager, "does not exist").await
}

/// Counts what is logged as a warning or worse.
#[derive(Clone, Default)]
struct Warnings(std::sync::Arc<std::sync::atomic::AtomicUsize>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::Id {
        tracing::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::Id, _: &tracing::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }

    fn enter(&self, _: &tracing::Id) {}

    fn exit(&self, _: &tracing::Id) {}
}

#[tokio::test]
async fn the_reset_of_a_connection_without_a_transaction_warns_nobody() -> TestResult {
    let warnings = Warnings::default();
    let _logged_here = tracing::subscriber::set_default(warnings.clone());
    let logged = || warnings.0.load(std::sync::atomic::Ordering::SeqCst);
    let (proxy, pool) = connect_through(1)?;
    let mut guard = pool.acquire().await?;
    sqlx::raw_sql("SELECT 1").execute(&mut *guard).await?;
    let trips = proxy.traffic().round_trips;
    drop(guard);
    let mut guard = pool.acquire().await?;
    assert_eq!((proxy.traffic().round_trips, logged()), (trips + 1, 0));
    // That the driver does log what the server warns of, and that an aborted transaction is still ended.
    sqlx::raw_sql("ROLLBACK").execute(&mut *guard).await?;
    assert_eq!(logged(), 1);
    let aborted = sqlx::raw_sql("BEGIN; SELECT 1 / 0").execute(&mut *guard);
    assert!(aborted.await.is_err());
    drop(guard);
    let mut guard = pool.acquire().await?;
    assert!(!is_in_transaction(&mut guard).await?);
    assert_eq!((logged(), pool.metrics().closed.len()), (1, 0));
    Ok(())
}

#[tokio::test]
async fn a_reset_clears_what_a_session_can_hold() -> TestResult {
    let (_proxy, pool) = connect_through(1)?;
    let mut guard = pool.acquire().await?;
    for sql in [
        "SET statement_timeout = 1234",
        "SELECT set_config('app.tenant', '42', false), pg_advisory_lock(7)",
        "CREATE TEMP TABLE secrets (x TEXT)",
        "LISTEN news",
    ] {
        sqlx::query(sql).execute(&mut guard).await?;
    }
    drop(guard);
    let left: String = sqlx::query_scalar(
        "SELECT concat_ws(' ', current_setting('statement_timeout'),
            nullif(current_setting('app.tenant', true), ''),
            to_regclass('pg_temp.secrets')::text,
            (SELECT min(channel) FROM pg_listening_channels() AS channel),
            (SELECT min(locktype) FROM pg_locks
                WHERE locktype = 'advisory' AND pid = pg_backend_pid()))",
    )
    .fetch_one(&pool)
    .await?;
    assert_eq!(left, "0");
    assert_eq!(pool.metrics().create.count, 1);
    Ok(())
}

#[tokio::test]
async fn wrong_credentials_and_urls_fail_at_once_with_the_cause() -> TestResult {
    let address = PostgresServer::shared()?.address();
    let manager = PostgresManager::from_url(&format!("postgres://nobody@{address}/postgres"))?;
    fails_at_once(manager, "nobody").await?;
    for url in [
        "",
        "localhost",
        "mysql://localhost",
        "postgres://localhost:port",
    ] {
        assert!(PostgresManager::from_url(url).is_err(), "{url}");
    }
    Ok(())
}
