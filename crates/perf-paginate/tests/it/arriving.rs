//! Exports read rows as they arrive: no more of them than are used, and nothing of a statement is left behind.

use crate::rows::{self, Row, keyed};
use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _};
use perf_paginate::{
    Backend, Condition, EachItem, Error, PageQuery, PageSource, Paginator, Plain, Runner, Schema,
    Selection, SliceSource, SqlSource,
};
use perf_testkit::{MariaDbServer, PostgresServer};
use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{FromRow, MySql, Pool, Postgres, Sqlite};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Counts the rows that it hands over.
struct Counting {
    inner: SliceSource<Row>,
    handed: AtomicUsize,
}

#[async_trait]
impl PageSource for Counting {
    type Item = Row;

    fn schema(&self) -> &Schema<Row> {
        self.inner.schema()
    }

    async fn rows(&self, selection: &Selection<'_>) -> Result<Vec<Row>, Error> {
        self.inner.rows(selection).await
    }

    async fn each(&self, selection: &Selection<'_>, each: EachItem<'_, Row>) -> Result<(), Error> {
        for row in self.rows(selection).await? {
            self.handed.fetch_add(1, Relaxed);
            each(row).keep().await;
        }
        Ok(())
    }

    async fn count(&self, _: &Condition, _: Option<u64>) -> Result<u64, Error> {
        panic!("nothing is counted")
    }
}

#[tokio::test]
async fn rows_are_taken_as_they_are_written_and_no_faster() {
    let counting = Counting {
        inner: SliceSource::new(keyed(&["id"]).unwrap(), rows::counted(20_000)),
        handed: AtomicUsize::new(0),
    };
    let paginator = Paginator::new(counting, Plain);
    let handed = || paginator.source().handed.load(Relaxed);
    let mut export = paginator.export(&PageQuery::new()).unwrap();
    assert_eq!(handed(), 0, "nothing is read before it is asked for");
    let mut lines = 0;
    while let Some(piece) = export.try_next().await.unwrap() {
        lines += piece.split(|byte| *byte == b'\n').count() - 1;
        assert!(handed() <= lines, "{} rows for {lines} lines", handed());
    }
    assert_eq!((handed(), lines), (20_000, 20_000 + 20 + 1));
}

/// Drops an export within its first statement; the pool has one connection, for which the rest of the rows is still on its
/// way.
async fn leave_and_return<DB>(pool: Pool<DB>)
where
    DB: Backend,
    Row: for<'r> FromRow<'r, DB::Row>,
    Pool<DB>: Runner<DB>,
{
    let source = SqlSource::<DB, Row>::with_schema(pool, keyed(&["id"]).unwrap()).unwrap();
    let paginator = Paginator::new(source, Plain);
    let query = PageQuery::new();
    let mut whole = Vec::new();
    for _ in 0..3 {
        let mut export = paginator.export(&query).unwrap();
        let piece = export.next().await.unwrap().unwrap();
        assert!(piece.starts_with(b"{\"id\":1,") && !piece.ends_with(b"}}\n"));
        drop(export);
        let page = paginator.page(&PageQuery::new().size(3)).await.unwrap();
        assert_eq!(
            page.items.iter().map(|row| row.id).collect::<Vec<_>>(),
            [1, 2, 3]
        );
        let export = paginator.export(&query).unwrap();
        let again = export.try_collect::<Vec<_>>().await.unwrap().concat();
        assert!(whole.is_empty() || whole == again);
        whole = again;
    }
    assert!(whole.ends_with(b"{\"$end\":{\"rows\":4000}}\n"));
}

const COLUMNS: &str =
    "id BIGINT PRIMARY KEY, a BIGINT, b VARCHAR(20), c BIGINT NOT NULL, d BOOLEAN NOT NULL";

async fn filled<DB: sqlx::Database>(pool: Pool<DB>, table: &str, numbers: &str) -> Pool<DB>
where
    for<'c> &'c mut DB::Connection: sqlx::Executor<'c, Database = DB>,
{
    let fill = format!(
        "CREATE TABLE {table} ({COLUMNS});
         INSERT INTO {table} SELECT n, n, 'text', n, n = n FROM {numbers};"
    );
    let ran = sqlx::raw_sql(sqlx::AssertSqlSafe(fill))
        .execute(&pool)
        .await;
    ran.unwrap();
    pool
}

#[tokio::test]
async fn a_dropped_export_leaves_its_connection_in_step_on_postgres() {
    let database = PostgresServer::shared().unwrap().database().unwrap();
    let options = PgPoolOptions::new().max_connections(1);
    let pool: Pool<Postgres> = options.connect(&database.url_unix()).await.unwrap();
    leave_and_return(filled(pool, "rows", "generate_series(1::bigint, 4000) AS n").await).await;
}

#[tokio::test]
async fn a_dropped_export_leaves_its_connection_in_step_on_mariadb() {
    let database = MariaDbServer::shared().unwrap().database().unwrap();
    let options = MySqlPoolOptions::new().max_connections(1);
    let pool: Pool<MySql> = options.connect(&database.url_unix()).await.unwrap();
    let numbers = "(SELECT seq AS n FROM seq_1_to_4000) AS numbers";
    leave_and_return(filled(pool, "`rows`", numbers).await).await;
}

#[tokio::test]
async fn a_dropped_export_leaves_its_connection_in_step_on_sqlite() {
    let options = SqlitePoolOptions::new().max_connections(1);
    let pool: Pool<Sqlite> = options.connect("sqlite::memory:").await.unwrap();
    let numbers = "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 4000) SELECT n FROM s)";
    leave_and_return(filled(pool, "rows", numbers).await).await;
}
