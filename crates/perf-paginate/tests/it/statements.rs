//! How often a page asks its source.

use crate::rows::{Row, keyed};
use async_trait::async_trait;
use perf_paginate::{
    Backend, Condition, CountMode, Error, Filter, PageQuery, PageRequest, PageSource, Paginator,
    Plain, Resource, Runner, Schema, Selection, SliceSource, SqlSource,
};
use sqlx::mysql::MySqlPool;
use sqlx::postgres::PgPool;
use sqlx::sqlite::SqlitePool;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts what it is asked.
#[derive(Debug)]
struct Counting {
    inner: SliceSource<Row>,
    asked: AtomicU32,
}

#[async_trait]
impl PageSource for Counting {
    type Item = Row;

    fn schema(&self) -> &Schema<Row> {
        self.inner.schema()
    }

    async fn rows(&self, selection: &Selection<'_>) -> Result<Vec<Row>, Error> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.inner.rows(selection).await
    }

    async fn count(&self, condition: &Condition, at_most: Option<u64>) -> Result<u64, Error> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.inner.count(condition, at_most).await
    }
}

#[tokio::test]
async fn a_page_without_total_asks_once() {
    let rows: Vec<Row> = (0..50)
        .map(|id| Row {
            id,
            a: (id % 3 > 0).then_some(id),
            b: None,
            c: 0,
            d: true,
        })
        .collect();
    let inner = SliceSource::new(keyed(&["id"]).unwrap(), rows);
    let paginator = Paginator::new(
        Counting {
            inner,
            asked: AtomicU32::new(0),
        },
        Plain,
    );
    let asks = async |query: &PageQuery| {
        let before = paginator.source().asked.load(Ordering::Relaxed);
        let page = paginator.page(query).await.unwrap();
        (
            paginator.source().asked.load(Ordering::Relaxed) - before,
            page,
        )
    };
    let query = PageQuery::new().sort("-a").size(7);
    let (mut asked, mut page) = asks(&query).await;
    while let Some(next) = page.info.next {
        assert_eq!(asked, 1);
        (asked, page) = asks(&query.clone().cursor(next)).await;
    }
    while let Some(prev) = page.info.prev {
        assert_eq!(asked, 1);
        (asked, page) = asks(&query.clone().cursor(prev)).await;
    }
    assert_eq!(asked, 1);
    assert_eq!(asks(&query.clone().last()).await.0, 1);
    assert_eq!(
        asks(&query.clone().page(2).count(CountMode::None)).await.0,
        1
    );
    assert_eq!(asks(&query.clone().page(2)).await.0, 2);
    // The end is in sight, so nothing is left to count; beyond it, whether rows precede is asked.
    assert_eq!(asks(&query.clone().page(8)).await.0, 1);
    assert_eq!(asks(&query.page(9).count(CountMode::None)).await.0, 2);
}

/// A request of one shape and some size, whose values are as good as random.
fn random(seed: i64, size: u64) -> PageQuery {
    let filters = Filter::all([
        Filter::gte("c", seed * 7_919 % 101),
        Filter::contains("b", format!("{}", seed % 13)).negated(),
        Filter::is_in("d", [true]),
    ]);
    PageQuery::new().sort("a,-b").filter(filters).size(size)
}

/// The distinct texts of many requests.
async fn texts<DB: Backend, E: Runner<DB>>(
    source: SqlSource<DB, Row, E>,
    check: impl Fn(&PageQuery) -> PageRequest,
    size: impl Fn(i64) -> u64,
) -> HashSet<Arc<str>> {
    let mut texts = HashSet::new();
    for seed in 1..=10_000 {
        texts.extend(source.statements(&check(&random(seed, size(seed)))));
    }
    texts
}

#[tokio::test]
async fn ten_thousand_requests_of_one_shape_are_one_text() {
    let memory = SliceSource::new(Row::schema().unwrap(), Vec::new());
    let paginator = Paginator::new(memory, Plain);
    let check = |query: &PageQuery| paginator.check(query).unwrap();
    let postgres = || {
        let pool = PgPool::connect_lazy("postgres://nowhere/nothing").unwrap();
        SqlSource::<_, Row>::new(pool).unwrap()
    };
    let sqlite = SqlitePool::connect_lazy("sqlite::memory:").unwrap();
    let sqlite = SqlSource::<_, Row>::new(sqlite).unwrap();
    let mysql = MySqlPool::connect_lazy("mysql://nowhere/nothing").unwrap();
    let mysql = SqlSource::<_, Row>::new(mysql).unwrap();
    assert_eq!(texts(postgres(), check, |_| 20).await.len(), 1);
    assert_eq!(texts(sqlite, check, |_| 20).await.len(), 1);
    // One statement for the values, one for the NULLs.
    assert_eq!(texts(mysql, check, |_| 20).await.len(), 2);
    // Sizes that many clients ask for are part of the text, all others share one.
    let sizes = |seed: i64| u64::try_from(seed % 100).unwrap() + 1;
    let sized = texts(postgres(), check, sizes).await.len();
    assert!(sized <= 16, "{sized} texts");

    // A text of a known shape is not written again.
    let source = postgres();
    let [first, second] = [1, 2].map(|seed| source.statements(&check(&random(seed, 20))));
    assert!(Arc::ptr_eq(&first[0], &second[0]));
}
