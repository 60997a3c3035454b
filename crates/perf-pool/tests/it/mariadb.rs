use crate::servers::{fails_at_once, server_suite};
use perf_pool::MySqlManager;
use perf_testkit::MariaDbServer;

server_suite!(MySqlManager);

const SLEEP: &str = "SELECT sleep(10)";
const SESSION: &str = "SELECT CAST(connection_id() AS SIGNED)";
const END: &str = "KILL ?";

fn connect_through(max_size: u32) -> TestResult<(FaultProxy, Pool<MySqlManager>)> {
    let server = MariaDbServer::shared()?;
    let proxy = FaultProxy::start(server.address())?;
    let manager = MySqlManager::from_url(&server.database()?.url_through(proxy.address()))?;
    Ok((proxy, Pool::builder(manager).max_size(max_size).build()?))
}

async fn is_in_transaction(guard: &mut Pooled<MySqlManager>) -> sqlx::Result<bool> {
    let open: u64 = sqlx::query_scalar("SELECT @@in_transaction")
        .fetch_one(guard)
        .await?;
    Ok(open != 0)
}

#[tokio::test]
async fn wrong_credentials_and_urls_fail_at_once_with_the_cause() -> TestResult {
    let address = MariaDbServer::shared()?.address();
    let manager = MySqlManager::from_url(&format!("mysql://nobody:wrong@{address}/mysql"))?;
    fails_at_once(manager, "Access denied").await?;
    for url in [
        "",
        "localhost",
        "postgres://localhost",
        "mysql://localhost:port",
    ] {
        assert!(MySqlManager::from_url(url).is_err(), "{url}");
    }
    Ok(())
}
