//! A connection for every query against a pool of four.

use crate::database::{self, Database};
use crate::report;
use anyhow::{Result, ensure};
use perfkit::core::Registry;
use perfkit::pool::{Pool, SqliteManager};
use perfkit::profile::profile;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};
use tokio::task::JoinSet;

const QUERIES: i64 = 500;
const SQL: &str = "SELECT distance FROM flights WHERE id = ?";

/// Runs the same queries in both ways.
pub(crate) async fn show(database: &Database, registry: &Registry) -> Result<Pool<SqliteManager>> {
    report::chapter("500 concurrent queries", "perf-pool");
    let options = database::options(&database.path);
    let (single, before) = report::timed(connect_each_time(&options)).await;
    report::line(
        "a connection for each query",
        before,
        format!("{QUERIES} connections"),
    );

    let pool = Pool::builder(SqliteManager::with_options(options))
        .name("flights")
        .max_size(4)
        .build()?;
    pool.register(registry);
    let (pooled, after) = report::timed(through(&pool)).await;
    let metrics = pool.metrics();
    let figures = format!(
        "{} connections, {} waits, p99 {:.1?}",
        metrics.create.count, metrics.wait.count, metrics.wait.p99
    );
    report::line("through a pool of 4", after, figures);
    ensure!(single? == pooled?, "the answers differ");
    report::gain(before, after, "the answers are equal");
    Ok(pool)
}

#[profile(crate = ::perfkit::profile)]
async fn connect_each_time(options: &SqliteConnectOptions) -> Result<i64> {
    let mut total = 0;
    for id in 1..=QUERIES {
        let mut connection = SqliteConnection::connect_with(options).await?;
        let distance: i64 = sqlx::query_scalar(SQL)
            .bind(id)
            .fetch_one(&mut connection)
            .await?;
        connection.close().await?;
        total += distance;
    }
    Ok(total)
}

#[profile(crate = ::perfkit::profile)]
async fn through(pool: &Pool<SqliteManager>) -> Result<i64> {
    let queries: JoinSet<_> = (1..=QUERIES)
        .map(|id| {
            let pool = pool.clone();
            async move { sqlx::query_scalar(SQL).bind(id).fetch_one(&pool).await }
        })
        .collect();
    let distances: sqlx::Result<Vec<i64>> = queries.join_all().await.into_iter().collect();
    Ok(distances?.iter().sum())
}
