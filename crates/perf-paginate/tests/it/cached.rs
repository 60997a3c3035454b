//! What is remembered, for whom, and how often the source is asked.

use crate::rows::{Row, keyed};
use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use futures_util::future::join_all;
use perf_paginate::{
    AggregateQuery, AggregateSource, Aggregation, Cached, Condition, CountMode, Counted, Error,
    Filter, Group, Measure, PageQuery, PageSource, Paginator, Plain, Schema, Selection,
    SliceSource, Total,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

/// Counts what it is asked, and lets others go first.
#[derive(Debug)]
struct Counting {
    inner: SliceSource<Row>,
    rows: Arc<AtomicU32>,
    counts: Arc<AtomicU32>,
}

#[async_trait]
impl PageSource for Counting {
    type Item = Row;

    fn schema(&self) -> &Schema<Row> {
        self.inner.schema()
    }

    async fn rows(&self, selection: &Selection<'_>) -> Result<Vec<Row>, Error> {
        self.rows.fetch_add(1, Ordering::Relaxed);
        self.inner.rows(selection).await
    }

    async fn count(&self, condition: &Condition, at_most: Option<u64>) -> Result<u64, Error> {
        self.counts.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        self.inner.count(condition, at_most).await
    }
}

fn source() -> (Counting, Arc<AtomicU32>, Arc<AtomicU32>) {
    let row = |id| Row {
        id,
        a: Some(id % 5),
        b: None,
        c: id % 2,
        d: true,
    };
    let rows: Vec<Row> = (0..100).map(row).collect();
    let source = Counting {
        inner: SliceSource::new(keyed(&["id"]).unwrap(), rows),
        rows: Arc::default(),
        counts: Arc::default(),
    };
    let (rows, counts) = (Arc::clone(&source.rows), Arc::clone(&source.counts));
    (source, rows, counts)
}

#[tokio::test]
async fn however_many_ask_at_once_the_source_counts_once() {
    let (source, _, counts) = source();
    let paginator = Paginator::new(Counted::new(source, HOUR).unwrap(), Plain);
    let query = PageQuery::new().size(1).count(CountMode::Exact);
    let pages = join_all((0..50).map(|_| paginator.page(&query))).await;
    assert!(
        pages
            .into_iter()
            .all(|page| page.unwrap().total == Total::Exact(100))
    );
    assert_eq!(counts.load(Ordering::Relaxed), 1);

    // Another condition, restriction or cap is another count.
    let total = async |paginator: &Paginator<Counted<Counting>>, query: &PageQuery| {
        paginator.page(query).await.unwrap().total
    };
    let odd = query.clone().filter(Filter::eq("c", 1_i64));
    assert_eq!(total(&paginator, &odd).await, Total::Exact(50));
    let restricted = paginator.restricted(&Filter::eq("a", 1_i64)).unwrap();
    assert_eq!(total(&restricted, &query).await, Total::Exact(20));
    assert_eq!(total(&restricted, &odd).await, Total::Exact(10));
    let capped = query.clone().count(CountMode::Capped(7));
    assert_eq!(total(&paginator, &capped).await, Total::AtLeast(7));
    assert_eq!(counts.load(Ordering::Relaxed), 5);
    assert_eq!(total(&restricted, &odd).await, Total::Exact(10));
    assert_eq!(counts.load(Ordering::Relaxed), 5);
}

#[tokio::test]
async fn a_cached_page_is_the_page_that_was_asked_for() {
    let (source, rows, _) = source();
    let cached = Paginator::new(Cached::new(source, HOUR).unwrap(), Plain);
    let plain = Paginator::new(self::source().0, Plain);
    let mut queries = vec![
        PageQuery::new(),
        PageQuery::new().last(),
        PageQuery::new().sort("a"),
        PageQuery::new().sort("-a"),
        PageQuery::new().size(5),
        PageQuery::new().offset(3),
        PageQuery::new().filter(Filter::eq("c", 1_i64)),
        PageQuery::new().filter(Filter::eq("c", 0_i64)),
    ];
    for place in 0..queries.len() {
        let page = plain.page(&queries[place]).await.unwrap();
        let query = queries[place].clone();
        queries.extend(page.info.next.map(|next| query.cursor(next)));
    }
    // Offsets and cursors exclude each other.
    queries.retain(|query| plain.check(query).is_ok());
    for _ in 0..3 {
        for query in &queries {
            assert_eq!(
                cached.page(query).await.unwrap(),
                plain.page(query).await.unwrap()
            );
            assert_eq!(
                cached.records(query).await.unwrap(),
                plain.records(query).await.unwrap()
            );
        }
    }
    let asked = rows.load(Ordering::Relaxed);
    assert_eq!(usize::try_from(asked).unwrap(), 2 * queries.len());
    cached.source().clear().await.unwrap();
    cached.page(&queries[0]).await.unwrap();
    assert_eq!(rows.load(Ordering::Relaxed), asked + 1);
}

#[async_trait]
impl AggregateSource for Counting {
    async fn aggregate(&self, aggregation: &Aggregation<'_>) -> Result<Vec<Group>, Error> {
        self.counts.fetch_add(1, Ordering::Relaxed);
        self.inner.aggregate(aggregation).await
    }
}

#[tokio::test]
async fn cached_figures_are_those_that_were_asked_for() {
    let (source, _, counts) = source();
    let cached = Paginator::new(Cached::new(source, HOUR).unwrap(), Plain);
    let plain = Paginator::new(self::source().0, Plain);
    let queries = [
        AggregateQuery::new(),
        AggregateQuery::new().group_by("b"),
        AggregateQuery::new().measure(Measure::Min, "b"),
        AggregateQuery::new().measure(Measure::Max, "b"),
        AggregateQuery::new()
            .measure(Measure::Max, "b")
            .measure(Measure::Min, "b"),
        AggregateQuery::new()
            .measure(Measure::Max, "b")
            .group_by("b"),
        AggregateQuery::new().filter(Filter::eq("c", 1_i64)),
    ];
    let asked = u32::try_from(queries.len()).unwrap();
    for _ in 0..3 {
        for query in &queries {
            assert_eq!(
                cached.aggregate(query).await.unwrap(),
                plain.aggregate(query).await.unwrap()
            );
        }
    }
    assert_eq!(counts.load(Ordering::Relaxed), asked);
    let restricted = cached.restricted(&Filter::eq("a", 1_i64)).unwrap();
    let rows = restricted.aggregate(&queries[0]).await.unwrap()[0].rows;
    assert_eq!((rows, counts.load(Ordering::Relaxed)), (20, asked + 1));
    cached.source().clear().await.unwrap();
    cached.aggregate(&queries[0]).await.unwrap();
    assert_eq!(counts.load(Ordering::Relaxed), asked + 2);
}

#[tokio::test]
async fn an_export_is_not_remembered() {
    let (source, rows, _) = source();
    let paginator = Paginator::new(Cached::new(source, HOUR).unwrap(), Plain);
    for exports in 1..=3 {
        let export = paginator.export(&PageQuery::new()).unwrap();
        let text = export.try_collect::<Vec<_>>().await.unwrap().concat();
        assert!(text.ends_with(b"{\"$end\":{\"rows\":100}}\n"));
        assert_eq!(rows.load(Ordering::Relaxed), exports);
    }
}
