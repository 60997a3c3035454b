//! What holds of a page from SQLite besides its rows: its cost, and its honesty under change.

use crate::rows::{self, Row};
use perf_paginate::{
    CountMode, Cursor, Nulls, Page, PageQuery, Paginator, Plain, SortKey, SqlSource, Total,
};
use sqlx::{Sqlite, SqlitePool};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const ROWS: i64 = 20_000;

async fn filled() -> SqlitePool {
    let pool = rows::table().await;
    let rows: Vec<Row> = (0..ROWS)
        .map(|id| {
            let mixed = id * 7_919 % ROWS;
            let a = (mixed % 10 > 2).then_some(mixed / 4);
            Row {
                id,
                a,
                b: Some(format!("{:05}", mixed / 3)),
                c: mixed / 5,
                d: id % 2 == 0,
            }
        })
        .collect();
    rows::fill(&pool, &rows).await;
    pool
}

fn paginator(pool: &SqlitePool) -> Paginator<SqlSource<Sqlite, Row>> {
    Paginator::new(SqlSource::new(pool.clone()).unwrap(), Plain)
}

/// Steps of SQLite's virtual machine from now on.
async fn steps(pool: &SqlitePool) -> Arc<AtomicU64> {
    let steps = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&steps);
    let mut connection = pool.acquire().await.unwrap();
    connection
        .lock_handle()
        .await
        .unwrap()
        .set_progress_handler(1, move || {
            counted.fetch_add(1, Ordering::Relaxed);
            true
        });
    steps
}

#[tokio::test]
async fn a_page_costs_the_same_at_any_depth() {
    let pool = filled().await;
    let paginator = paginator(&pool);
    let sorts = [
        vec![SortKey::ascending("a")],
        vec![SortKey::descending("a")],
        vec![SortKey::ascending("a").nulls(Nulls::First)],
        vec![SortKey::descending("a").nulls(Nulls::First)],
        vec![SortKey::ascending("b"), SortKey::ascending("a")],
        vec![
            SortKey::ascending("c"),
            SortKey::descending("a").nulls(Nulls::Last),
        ],
        vec![
            SortKey::descending("c"),
            SortKey::ascending("a").nulls(Nulls::First),
        ],
        vec![],
    ];
    for sort in sorts {
        let query = PageQuery::new().sort_by(sort.clone());
        let steps = steps(&pool).await;
        let first = paginator.page(&query).await.unwrap();
        let shallow = steps.swap(0, Ordering::Relaxed);

        let deep = cursor_at(&paginator, &query, 500).await;
        steps.store(0, Ordering::Relaxed);
        let page = paginator.page(&query.clone().cursor(deep)).await.unwrap();
        let deep = steps.load(Ordering::Relaxed);
        assert_eq!((first.items.len(), page.items.len()), (20, 20));
        assert!(
            deep <= 3 * shallow,
            "{deep} steps after {shallow} for {sort:?}"
        );

        steps.store(0, Ordering::Relaxed);
        let skipping = paginator.page(&query.clone().offset(10_000)).await.unwrap();
        assert_eq!(skipping.items, page.items);
        let skipping = steps.load(Ordering::Relaxed);
        assert!(
            skipping > 20 * deep,
            "{skipping} steps by offset, {deep} by cursor for {sort:?}"
        );
    }
}

async fn cursor_at(
    paginator: &Paginator<SqlSource<Sqlite, Row>>,
    query: &PageQuery,
    pages: u32,
) -> Cursor {
    let jump = query.clone().offset(u64::from(pages) * 20 - 20);
    paginator.page(&jump).await.unwrap().info.next.unwrap()
}

#[tokio::test]
async fn what_precedes_is_asked_when_the_cursors_row_is_gone() {
    let pool = rows::table().await;
    let row = |id| Row {
        id,
        a: Some(id),
        b: None,
        c: 0,
        d: true,
    };
    rows::fill(&pool, &[row(1), row(2), row(3), row(4)]).await;
    let paginator = paginator(&pool);
    let query = PageQuery::new().size(2);
    let page = async |cursor: Cursor| paginator.page(&query.clone().cursor(cursor)).await;
    let ids = |page: &Page<Row>| page.items.iter().map(|row| row.id).collect::<Vec<_>>();
    let next = paginator.page(&query).await.unwrap().info.next.unwrap();

    rows::fill(&pool, &[row(1), row(3), row(4)]).await;
    let second = page(next.clone()).await.unwrap();
    assert_eq!((ids(&second), second.info.has_prev), (vec![3, 4], true));
    let back = page(second.info.prev.unwrap()).await.unwrap();
    assert_eq!(
        (ids(&back), back.info.has_prev, back.info.has_next),
        (vec![1], false, true)
    );

    rows::fill(&pool, &[row(3), row(4)]).await;
    let second = page(next.clone()).await.unwrap();
    assert_eq!((ids(&second), second.info.has_prev), (vec![3, 4], false));

    rows::fill(&pool, &[row(1), row(2)]).await;
    let empty = page(next.clone()).await.unwrap();
    assert_eq!(
        (ids(&empty), empty.info.has_prev, empty.info.has_next),
        (vec![], true, false)
    );
    let back = page(empty.info.prev.unwrap()).await.unwrap();
    assert_eq!(ids(&back), [1, 2]);

    rows::fill(&pool, &[]).await;
    let empty = page(next).await.unwrap();
    assert_eq!((empty.info.has_prev, empty.info.has_next), (false, false));
}

#[tokio::test]
async fn a_failed_statement_is_the_backends_fault() {
    let pool = rows::table().await;
    sqlx::query("DROP TABLE rows").execute(&pool).await.unwrap();
    let error = paginator(&pool).page(&PageQuery::new()).await.unwrap_err();
    assert_eq!((error.status(), error.is_transient()), (500, false));
    assert!(
        std::error::Error::source(&error)
            .unwrap()
            .to_string()
            .contains("no such table")
    );
}

/// Two groups of equal `c`, a third of each NULL in `a`.
async fn grouped() -> SqlitePool {
    let pool = rows::table().await;
    let rows: Vec<Row> = (0..ROWS)
        .map(|id| Row {
            id,
            a: (id % 3 > 0).then_some(id % 97),
            b: None,
            c: id % 2,
            d: true,
        })
        .collect();
    rows::fill(&pool, &rows).await;
    pool
}

/// The most steps that any page of a walk takes: the first, the last, and those at the edges between NULLs,
/// values and groups.
async fn worst(pool: &SqlitePool, sort: &str) -> u64 {
    let paginator = paginator(pool);
    let query = PageQuery::new().sort(sort);
    let steps = steps(pool).await;
    let mut worst = 0;
    let mut queries = vec![query.clone(), query.clone().last()];
    for pages in [1, 160, 166, 167, 250, 333, 334, 490, 500] {
        queries.push(
            query
                .clone()
                .cursor(cursor_at(&paginator, &query, pages).await),
        );
    }
    for query in queries {
        steps.store(0, Ordering::Relaxed);
        assert_eq!(paginator.page(&query).await.unwrap().items.len(), 20);
        worst = worst.max(steps.load(Ordering::Relaxed));
    }
    worst
}

#[tokio::test]
async fn a_page_of_an_indexed_sort_costs_its_rows_however_large_a_group() {
    let pool = grouped().await;
    let served = [
        "id",
        "a",
        "-a",
        "a:nulls_first",
        "-a:nulls_first",
        "c,a:nulls_first",
        "-c,-a",
        "c,-a",
        "-c,a:nulls_first",
    ];
    for sort in served {
        let steps = worst(&pool, sort).await;
        assert!(steps < 3_000, "{steps} steps for {sort:?}");
    }
}

#[tokio::test]
async fn nulls_where_no_column_has_them_cost_a_group_or_an_index_on_where_they_are() {
    let pool = grouped().await;
    for (sort, index) in [
        ("c,a", "c, a IS NULL, a, id"),
        ("-c,-a:nulls_first", "c, a IS NULL, a, id"),
        ("c,-a:nulls_first", "c, a IS NULL DESC, a DESC, id DESC"),
    ] {
        let unserved = worst(&pool, sort).await;
        let text = format!("CREATE INDEX placed ON rows ({index})");
        sqlx::query(sqlx::AssertSqlSafe(text))
            .execute(&pool)
            .await
            .unwrap();
        let served = worst(&pool, sort).await;
        sqlx::query("DROP INDEX placed")
            .execute(&pool)
            .await
            .unwrap();
        assert!(unserved > 100_000, "{unserved} steps for {sort:?} without");
        assert!(served < 3_000, "{served} steps for {sort:?} with {index}");
    }
}

#[tokio::test]
async fn a_cap_beyond_what_a_database_counts_caps_nothing() {
    let pool = rows::table().await;
    let row = |id| Row {
        id,
        a: None,
        b: None,
        c: 0,
        d: true,
    };
    rows::fill(&pool, &[row(1), row(2), row(3)]).await;
    let paginator = paginator(&pool);
    let most = i64::MAX.unsigned_abs();
    for cap in [most - 1, most, most + 1, u64::MAX] {
        let query = PageQuery::new().size(1).count(CountMode::Capped(cap));
        let page = paginator.page(&query).await.unwrap();
        assert_eq!(page.total, Total::Exact(3), "{cap}");
    }
}
