//! How often a page asks its source.

use crate::rows::{Row, keyed};
use async_trait::async_trait;
use perf_paginate::{
    Condition, CountMode, Error, PageQuery, PageSource, Paginator, Plain, Schema, Selection,
    SliceSource,
};
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
