//! A list beside a sort by another field: the same rows, for far less.

use crate::counters::{buffers, reads};
use crate::rows::Row;
use futures_util::TryStreamExt as _;
use perf_paginate::{
    Error, Field, Filter, PageQuery, PageSource, Paginator, Plain, Schema, Signed, SliceSource,
    SqlSource,
};
use perf_testkit::{MariaDbServer, PostgresServer};
use sqlx::mysql::{MySqlPool, MySqlPoolOptions};
use sqlx::postgres::PgPool;
use sqlx::{MySql, Postgres};

const ROWS: i64 = 20_000;

fn schema(leading: bool) -> Result<Schema<Row>, Error> {
    let field = Field::new("c", |row: &Row| row.c).filterable().sortable();
    Schema::builder("rows")
        .field(Field::new("id", |row: &Row| row.id).sortable())
        .field(Field::new("a", |row: &Row| row.a).sortable().filterable())
        .field(Field::new("b", |row: &Row| row.b.clone()).sortable())
        .field(if leading { field.leading() } else { field })
        .column("d")
        .key(["id"])
        .build()
}

/// A list's rows lie at the end of the sort, where reading along it finds them late.
fn row(id: i64) -> Row {
    Row {
        id,
        a: (id % 10 > 0).then_some(id / 2),
        b: Some(format!("b{}", id % 3)),
        c: if id < ROWS / 2 { 0 } else { id % 50 },
        d: true,
    }
}

fn queries() -> Vec<PageQuery> {
    let mut queries = Vec::new();
    for sort in ["id", "-a", "a:nulls_first", "a,-b", "c,a"] {
        for items in [2_i64, 3, 10] {
            let list = Filter::is_in("c", 1..=items);
            queries.push(PageQuery::new().sort(sort).filter(list).size(7));
        }
    }
    let list = || Filter::is_in("c", [1_i64, 2]);
    // An equal list that is only an alternative must stay a list.
    let either = Filter::any([list(), Filter::eq("a", 5_i64)]);
    queries.push(PageQuery::new().sort("id").filter(list()).filter(either));
    queries
}

/// Walks forward and backward, as rows in memory are walked.
async fn walks_alike<S: PageSource<Item = Row>>(source: S) {
    let rows: Vec<Row> = (0..ROWS).map(row).collect();
    let memory = SliceSource::new(schema(false).unwrap(), rows);
    let memory = Paginator::new(memory, Plain);
    let paginator = Paginator::new(source, Signed::new(&[7; 32]).unwrap());
    for query in queries() {
        let expected: Vec<Row> = memory
            .items(&query.clone().size(100))
            .unwrap()
            .try_collect()
            .await
            .unwrap();
        let mut page = paginator.page(&query).await.unwrap();
        let mut seen = std::mem::take(&mut page.items);
        for _ in 0..6 {
            let Some(next) = page.info.next.take() else {
                break;
            };
            page = paginator.page(&query.clone().cursor(next)).await.unwrap();
            seen.append(&mut page.items);
        }
        assert_eq!(seen, expected[..seen.len()]);
        let mut page = paginator.page(&query.clone().last()).await.unwrap();
        let mut seen = std::mem::take(&mut page.items);
        for _ in 0..3 {
            let Some(prev) = page.info.prev.take() else {
                break;
            };
            page = paginator.page(&query.clone().cursor(prev)).await.unwrap();
            seen.splice(0..0, std::mem::take(&mut page.items));
        }
        assert_eq!(seen, expected[expected.len() - seen.len()..]);
    }
}

async fn postgres() -> PgPool {
    let database = PostgresServer::shared().unwrap().database().unwrap();
    let pool = PgPool::connect(&database.url_unix()).await.unwrap();
    let fill = format!(
        r#"CREATE TABLE rows (id BIGINT PRIMARY KEY, a BIGINT, b TEXT COLLATE "C", c BIGINT NOT NULL, d BOOLEAN NOT NULL);
           INSERT INTO rows SELECT id, CASE WHEN id % 10 > 0 THEN id / 2 END, 'b' || id % 3,
                                   CASE WHEN id < {ROWS} / 2 THEN 0 ELSE id % 50 END, true
           FROM generate_series(0::bigint, {ROWS} - 1) AS id;
           CREATE INDEX ON rows (c, id);
           CREATE INDEX ON rows (c, a, id);
           CREATE INDEX ON rows (a, id);"#
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(fill))
        .execute(&pool)
        .await
        .unwrap();
    sqlx::raw_sql("VACUUM (ANALYZE) rows")
        .execute(&pool)
        .await
        .unwrap();
    pool
}

#[tokio::test]
async fn postgres_reads_a_range_for_each_item() {
    let pool = postgres().await;
    let source = |leading| {
        SqlSource::<Postgres, Row>::with_schema(pool.clone(), schema(leading).unwrap()).unwrap()
    };
    walks_alike(source(true)).await;
    let query = PageQuery::new()
        .sort("id")
        .filter(Filter::is_in("c", 1_i64..=10));
    let mut read = Vec::new();
    for leading in [true, false] {
        let paginator = Paginator::new(source(leading), Plain);
        let request = paginator.check(&query).unwrap();
        read.push(buffers(
            &paginator.source().explain(&request).await.unwrap()[0],
        ));
        assert!(!leading || paginator.seek(&query).await.unwrap().is_sought());
    }
    // Ten descents of three, and a heap block for each of at most 21 rows a branch.
    assert!(read[0] <= 10 * (3 + 21), "{read:?}");
    let texts: std::collections::HashSet<_> = (2..=100_i64)
        .flat_map(|items| {
            let paginator = Paginator::new(source(true), Plain);
            let query = PageQuery::new()
                .sort("id")
                .filter(Filter::is_in("c", 0..items));
            let request = paginator.check(&query).unwrap();
            paginator.source().statements(&request)
        })
        .collect();
    assert_eq!(texts.len(), 1);
}

async fn mariadb() -> MySqlPool {
    let database = MariaDbServer::shared().unwrap().database().unwrap();
    // One connection, because its counters are a session's.
    let options = MySqlPoolOptions::new().max_connections(1);
    let pool = options.connect(&database.url_unix()).await.unwrap();
    let fill = format!(
        "CREATE TABLE `rows` (id BIGINT PRIMARY KEY, a BIGINT, b VARCHAR(20) COLLATE utf8mb4_nopad_bin, c BIGINT NOT NULL, d BOOLEAN NOT NULL,
                              KEY (c, id), KEY (c, a, id), KEY (a, id));
         INSERT INTO `rows` SELECT seq, IF(seq % 10 > 0, seq DIV 2, NULL), CONCAT('b', seq % 3), IF(seq < {ROWS} / 2, 0, seq % 50), true
         FROM seq_0_to_{};
         ANALYZE TABLE `rows`;",
        ROWS - 1
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(fill))
        .execute(&pool)
        .await
        .unwrap();
    pool
}

#[tokio::test]
async fn mariadb_reads_a_range_for_each_item() {
    let pool = mariadb().await;
    let source = |leading| {
        SqlSource::<MySql, Row>::with_schema(pool.clone(), schema(leading).unwrap()).unwrap()
    };
    walks_alike(source(true)).await;
    let query = PageQuery::new()
        .sort("id")
        .filter(Filter::is_in("c", 1_i64..=10));
    let mut read = Vec::new();
    for leading in [true, false] {
        let before = reads(&pool).await;
        Paginator::new(source(leading), Plain)
            .page(&query)
            .await
            .unwrap();
        read.push(reads(&pool).await - before);
    }
    // Each branch's rows are read from the index, from their table, and from what was merged.
    assert!(read[0] <= 16 * (4 * 21), "{read:?}");
    assert!(read[1] > 2 * read[0], "{read:?}");
}
