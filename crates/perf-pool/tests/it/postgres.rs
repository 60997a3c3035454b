use crate::servers::server_suite;
use perf_pool::PostgresManager;
use perf_testkit::PostgresServer;

server_suite!(PostgresManager);

const SLEEP: &str = "SELECT pg_sleep(10)";

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
    let pool = Pool::builder(manager).build()?;
    let error = pool.acquire().await.map(drop).unwrap_err();
    assert!(
        matches!(&error, perf_pool::PoolError::Create(_)),
        "{error:?}"
    );
    let source = std::error::Error::source(&error).ok_or("no source")?;
    assert!(source.to_string().contains("does not exist"), "{source}");
    Ok(())
}
