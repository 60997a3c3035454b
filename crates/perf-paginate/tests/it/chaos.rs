//! Walks while others write: what stays is seen once, what comes and goes at most once.

use crate::rows::Row;
use perf_paginate::{Cursor, Page, PageQuery, Paginator, Signed, SqlSource};
use perf_testkit::PostgresServer;
use sqlx::Postgres;
use sqlx::postgres::PgPool;
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

async fn table() -> PgPool {
    let database = PostgresServer::shared().unwrap().database().unwrap();
    let pool = PgPool::connect(&database.url_unix()).await.unwrap();
    let fill = format!(
        r#"CREATE TABLE rows (id BIGINT PRIMARY KEY, a BIGINT, b TEXT COLLATE "C", c BIGINT NOT NULL, d BOOLEAN NOT NULL);
           INSERT INTO rows SELECT id, NULLIF(id * 7 % 5, 0), 'b' || id * 11 % 13, id * 17 % 7, true
           FROM generate_series(0::bigint, {ROWS} - 1) AS id;
           CREATE INDEX ON rows (a, id);"#
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(fill))
        .execute(&pool)
        .await
        .unwrap();
    pool
}

/// Writes until told to stop; returns how often.
async fn write(pool: PgPool, stop: Arc<AtomicBool>, writes: Arc<AtomicU64>) {
    let mut step = 0_i64;
    while !stop.load(Ordering::Relaxed) {
        step += 1;
        let id = step * 7_919 % ROWS / 3 * 3;
        let comes_and_goes = [
            "DELETE FROM rows WHERE id = $1 + 1 AND $2::bigint IS NOT NULL",
            "INSERT INTO rows VALUES ($1 + 1, NULLIF(($1 + 1) * 7 % 5, 0), 'b' || ($1 + 1) * 11 % 13, ($1 + 1) * 17 % 7, $2 > 0)
             ON CONFLICT DO NOTHING",
        ];
        let moves = "UPDATE rows SET a = NULLIF($2 % 6, 0), b = 'b' || $2 % 17, c = $2 % 9 WHERE id = $1 + 2";
        for sql in comes_and_goes.into_iter().chain([moves]) {
            sqlx::query(sql)
                .bind(id)
                .bind(step)
                .execute(&pool)
                .await
                .unwrap();
            writes.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn walk(
    paginator: &Paginator<SqlSource<Postgres, Row>>,
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stays_is_seen_exactly_once() {
    let pool = table().await;
    let stop = Arc::new(AtomicBool::new(false));
    let writes = Arc::new(AtomicU64::new(0));
    let writer = tokio::spawn(write(pool.clone(), Arc::clone(&stop), Arc::clone(&writes)));
    let paginator = Paginator::new(
        SqlSource::new(pool).unwrap(),
        Signed::new(&[7; 32]).unwrap(),
    );
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
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    let writes = writes.load(Ordering::Relaxed);
    assert!(
        writes > 10 * u64::try_from(walks()).unwrap(),
        "only {writes} writes disturbed the walks"
    );
}
