//! A page in the middle of a walk beside the same query written by hand: it too reads the row before the page and the
//! one behind it, by which a page knows what precedes and what follows.

use crate::table::{self, CONTENT, Event, RUNTIME};
use criterion::Criterion;
use harness::Comparison;
use perf_paginate::{CountMode, PageQuery, PageSource, Paginator, SqlSource};
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqlitePoolOptions;
use std::time::{Duration, Instant};

const ROWS: i64 = 100_000;

pub(crate) fn sqlite(criterion: &mut Criterion) {
    let pool = RUNTIME.block_on(async {
        let options = SqlitePoolOptions::new().max_connections(1);
        let pool = options.connect("sqlite::memory:").await.expect("memory");
        let fill = format!(
            "CREATE TABLE events (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, day INTEGER NOT NULL, note TEXT NOT NULL);
             INSERT INTO events WITH RECURSIVE ids (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM ids WHERE id < {ROWS})
             SELECT id, {CONTENT} FROM ids;
             CREATE INDEX by_day ON events (kind, day, id);"
        );
        let filled = sqlx::raw_sql(AssertSqlSafe(fill)).execute(&pool).await;
        filled.expect("a table");
        pool
    });
    let paginator = table::paginator(SqlSource::new(pool.clone()).expect("a sound declaration"));
    let (query, row) = RUNTIME.block_on(middle(&paginator));
    let mut comparison = Comparison::new("paginate/cursor_page/sqlite");
    comparison.add_timed("perfkit", |count| {
        time(count, async || page(&paginator, &query).await)
    });
    comparison.add_timed("raw_sqlx", |count| {
        time(count, async || {
            let rows: Vec<Event> = sqlx::query_as(
                "SELECT id, kind, day, note FROM events WHERE (kind, day, id) >= (?, ?, ?) ORDER BY kind, day, id LIMIT 22",
            )
            .bind(row.kind)
            .bind(row.day)
            .bind(row.id)
            .fetch_all(&pool)
            .await
            .expect("a page");
            rows.len() - 2
        })
    });
    comparison.run(criterion);
}

pub(crate) fn postgres(criterion: &mut Criterion) {
    let pool = RUNTIME.block_on(table::pool());
    let paginator = table::paginator(SqlSource::new(pool.clone()).expect("a sound declaration"));
    let (query, row) = RUNTIME.block_on(middle(&paginator));
    let mut comparison = Comparison::new("paginate/cursor_page/postgres");
    comparison.add_timed("perfkit", |count| {
        time(count, async || page(&paginator, &query).await)
    });
    comparison.add_timed("raw_sqlx", |count| {
        time(count, async || {
            let rows: Vec<Event> = sqlx::query_as(
                "SELECT id, kind, day, note FROM events WHERE (kind, day, id) >= ($1, $2, $3) ORDER BY kind, day, id LIMIT 22",
            )
            .bind(row.kind)
            .bind(row.day)
            .bind(row.id)
            .fetch_all(&pool)
            .await
            .expect("a page");
            rows.len() - 2
        })
    });
    comparison.run(criterion);
}

/// The query that continues in the middle of a table, and the row before it.
async fn middle<S: PageSource<Item = Event>>(paginator: &Paginator<S>) -> (PageQuery, Event) {
    let query = PageQuery::new().sort("kind,day");
    let jump = query.clone().offset(50_000).count(CountMode::None);
    let page = paginator.page(&jump).await.expect("a page");
    let next = page.info.next.expect("half of the table follows");
    (query.cursor(next), page.items[19].clone())
}

async fn page<S: PageSource<Item = Event>>(paginator: &Paginator<S>, query: &PageQuery) -> usize {
    let page = paginator.page(query).await.expect("a page");
    assert!(page.info.has_next && page.info.has_prev);
    page.items.len()
}

fn time(count: u64, mut page: impl AsyncFnMut() -> usize) -> Duration {
    RUNTIME.block_on(async {
        let start = Instant::now();
        for _ in 0..count {
            assert_eq!(page().await, 20);
        }
        start.elapsed()
    })
}
