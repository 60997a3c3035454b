//! Exports read rows as they arrive: no more of them than are used, and nothing of a statement is left behind.

use crate::rows::{self, Row, keyed};
use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _};
use perf_paginate::{
    Backend, Condition, EachItem, Error, Field, PageQuery, PageSource, Paginator, Plain, Runner,
    Schema, Selection, SliceSource, SqlSource,
};
use perf_testkit::{MariaDbServer, PostgresServer};
use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{FromRow, MySql, Pool, Postgres, Sqlite};
use std::sync::Arc;
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

/// A source that hands rows over as every source does, and says how many it was asked for at once.
struct Plainest {
    inner: SliceSource<Row>,
    most: Arc<AtomicUsize>,
}

#[async_trait]
impl PageSource for Plainest {
    type Item = Row;

    fn schema(&self) -> &Schema<Row> {
        self.inner.schema()
    }

    async fn rows(&self, selection: &Selection<'_>) -> Result<Vec<Row>, Error> {
        let limit = usize::try_from(selection.limit).unwrap();
        self.most.fetch_max(limit, Relaxed);
        self.inner.rows(selection).await
    }

    async fn count(&self, _: &Condition, _: Option<u64>) -> Result<u64, Error> {
        panic!("nothing is counted")
    }
}

async fn exported<S: PageSource<Item: serde::Serialize>>(source: S, query: &PageQuery) -> Vec<u8> {
    let export = Paginator::new(source, Plain).export(query).unwrap();
    export.try_collect::<Vec<_>>().await.unwrap().concat()
}

#[tokio::test]
async fn a_source_that_reads_before_it_hands_over_reads_a_part_at_a_time() {
    // With NULLs and ties, and parts that end where the rows do.
    for count in [0, 1, 9_999, 10_000, 10_001, 25_000] {
        let mut rows = rows::counted(count);
        for row in &mut rows {
            row.a = Some(row.id % 7).filter(|a| *a > 0);
        }
        let query = PageQuery::new().sort("-a").sort("c");
        let schema = || keyed(&["id"]).unwrap();
        let most = Arc::new(AtomicUsize::new(0));
        let plainest = Plainest {
            inner: SliceSource::new(schema(), rows.clone()),
            most: Arc::clone(&most),
        };
        let (whole, expected) = (
            exported(plainest, &query).await,
            exported(SliceSource::new(schema(), rows), &query).await,
        );
        assert!(whole == expected, "{count} rows");
        assert_eq!(most.load(Relaxed), 10_000);
    }
}

/// A row that counts its copies.
#[derive(serde::Serialize)]
struct Copied {
    id: i64,
    #[serde(skip)]
    copies: Arc<AtomicUsize>,
}

impl Clone for Copied {
    fn clone(&self) -> Self {
        self.copies.fetch_add(1, Relaxed);
        Self {
            id: self.id,
            copies: Arc::clone(&self.copies),
        }
    }
}

#[tokio::test]
async fn rows_in_memory_are_copied_as_they_are_written() {
    let copies = Arc::new(AtomicUsize::new(0));
    let rows: Vec<_> = (0..20_000)
        .map(|id| Copied {
            id,
            copies: Arc::clone(&copies),
        })
        .collect();
    let id = Field::new("id", |row: &Copied| row.id);
    let schema = Schema::builder("rows").field(id).key(["id"]).build();
    let paginator = Paginator::new(SliceSource::new(schema.unwrap(), rows), Plain);
    let mut export = paginator.export(&PageQuery::new()).unwrap();
    let mut lines = 0;
    while let Some(piece) = export.try_next().await.unwrap() {
        lines += piece.split(|byte| *byte == b'\n').count() - 1;
        let copied = copies.load(Relaxed);
        assert!(copied <= lines, "{copied} copies for {lines} lines");
    }
    assert_eq!(copies.load(Relaxed), 20_000);
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
