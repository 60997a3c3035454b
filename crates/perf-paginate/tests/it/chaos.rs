//! Walks while others write: what stays is seen once, what comes and goes at most once.

use crate::rows::{self, Row};
use perf_paginate::{Cursor, Page, PageQuery, PageSource, Paginator, Signed, SqlSource};
use perf_testkit::{MariaDbServer, PostgresServer};
use sqlx::mysql::MySqlPool;
use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, MySql, Postgres, Sqlite};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Rows by what happens to them: a third stays, a third comes and goes, a third changes its place.
const ROWS: i64 = 300;

fn walks() -> usize {
    let asked = std::env::var("PERF_SOAK_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    asked.unwrap_or(40)
}

/// A row's values, of which a fifth is NULL in the first.
fn values(id: i64) -> String {
    let a = match id * 7 % 5 {
        0 => "NULL".to_owned(),
        a => a.to_string(),
    };
    format!("({id}, {a}, 'b{}', {}, true)", id * 11 % 13, id * 17 % 7)
}

fn filled(table: &str) -> String {
    let rows: Vec<String> = (0..ROWS).map(values).collect();
    format!("INSERT INTO {table} VALUES {}", rows.join(", "))
}

/// One row goes, one comes, one moves.
fn writes(table: &str, insert: &str, step: i64) -> [String; 3] {
    let id = step * 7_919 % ROWS / 3 * 3;
    let a = match step % 6 {
        0 => "NULL".to_owned(),
        a => a.to_string(),
    };
    let (goes, moves) = (id + 1, id + 2);
    let (b, c) = (step % 17, step % 9);
    [
        format!("DELETE FROM {table} WHERE id = {goes}"),
        insert.replace("VALUES", &format!("VALUES {}", values(goes))),
        format!("UPDATE {table} SET a = {a}, b = 'b{b}', c = {c} WHERE id = {moves}"),
    ]
}

async fn walk<S: PageSource<Item = Row>>(
    paginator: &Paginator<S>,
    sort: &str,
    forward: bool,
) -> HashMap<i64, u32> {
    let query = PageQuery::new().sort(sort).size(7);
    let page = async |query: PageQuery| paginator.page(&query).await.unwrap();
    let onward = |page: &Page<Row>| -> Option<Cursor> {
        if forward {
            page.info.next.clone()
        } else {
            page.info.prev.clone()
        }
    };
    let mut seen = HashMap::new();
    let mut current = page(if forward {
        query.clone()
    } else {
        query.clone().last()
    })
    .await;
    loop {
        for row in &current.items {
            *seen.entry(row.id).or_insert(0) += 1;
        }
        let Some(cursor) = onward(&current) else {
            return seen;
        };
        current = page(query.clone().cursor(cursor)).await;
    }
}

async fn walk_all<S: PageSource<Item = Row>>(paginator: Paginator<S>) {
    let sorts = ["id", "a", "-a:nulls_first", "b,-a", "-c,a:nulls_first,-b"];
    for round in 0..walks() {
        let sort = sorts[round % sorts.len()];
        let seen = walk(&paginator, sort, round % 2 == 0).await;
        for id in 0..ROWS {
            let times = seen.get(&id).copied().unwrap_or(0);
            match id % 3 {
                0 => assert_eq!(times, 1, "row {id} in round {round}, sorted by {sort}"),
                1 => assert!(times <= 1, "row {id} in round {round}, sorted by {sort}"),
                _ => {}
            }
        }
    }
}

/// Walks over a pool's table until all walks are done, while a task writes as fast as it can.
macro_rules! survive {
    ($database:ty, $pool:expr, $table:literal, $insert:literal) => {
        let pool: sqlx::Pool<$database> = $pool;
        let fill = sqlx::query(AssertSqlSafe(filled($table)))
            .execute(&pool)
            .await;
        fill.unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let written = Arc::new(AtomicU64::new(0));
        let writer = tokio::spawn({
            let (pool, stop, written) = (pool.clone(), Arc::clone(&stop), Arc::clone(&written));
            async move {
                let mut step = 0;
                while !stop.load(Ordering::Relaxed) {
                    step += 1;
                    for sql in writes($table, $insert, step) {
                        let wrote = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&pool).await;
                        wrote.unwrap();
                        written.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        });
        let source = SqlSource::<$database, Row>::new(pool).unwrap();
        walk_all(Paginator::new(source, Signed::new(&[7; 32]).unwrap())).await;
        stop.store(true, Ordering::Relaxed);
        writer.await.unwrap();
        let written = written.load(Ordering::Relaxed);
        assert!(
            written > 10 * u64::try_from(walks()).unwrap(),
            "only {written} writes disturbed the walks"
        );
    };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stays_is_seen_exactly_once_on_postgres() {
    let database = PostgresServer::shared().unwrap().database().unwrap();
    let pool = PgPool::connect(&database.url_unix()).await.unwrap();
    sqlx::raw_sql(
        r#"CREATE TABLE rows (id BIGINT PRIMARY KEY, a BIGINT, b TEXT COLLATE "C", c BIGINT NOT NULL, d BOOLEAN NOT NULL);
           CREATE INDEX ON rows (a, id);"#,
    )
    .execute(&pool)
    .await
    .unwrap();
    survive!(
        Postgres,
        pool,
        "rows",
        "INSERT INTO rows VALUES ON CONFLICT DO NOTHING"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stays_is_seen_exactly_once_on_mariadb() {
    let database = MariaDbServer::shared().unwrap().database().unwrap();
    let pool = MySqlPool::connect(&database.url_unix()).await.unwrap();
    sqlx::raw_sql(
        "CREATE TABLE `rows` (id BIGINT PRIMARY KEY, a BIGINT, b VARCHAR(20) COLLATE utf8mb4_nopad_bin, c BIGINT NOT NULL,
                              d BOOLEAN NOT NULL, KEY (a, id))",
    )
    .execute(&pool)
    .await
    .unwrap();
    survive!(MySql, pool, "`rows`", "INSERT IGNORE INTO `rows` VALUES");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stays_is_seen_exactly_once_on_sqlite() {
    let pool = rows::table().await;
    survive!(
        Sqlite,
        pool,
        "rows",
        "INSERT INTO rows VALUES ON CONFLICT DO NOTHING"
    );
}
