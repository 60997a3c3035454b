//! From a request to SQL: ours begins with the text of the URL and verifies a cursor, the peer's with typed values.

use crate::sea;
use crate::table::{self, Event, RUNTIME};
use criterion::Criterion;
use futures_util::FutureExt as _;
use harness::Comparison;
use perf_paginate::{PageQuery, Resource as _, SliceSource, SqlSource};
use sqlx::postgres::PgPool;
use std::hint::black_box;

pub(crate) fn warm(criterion: &mut Criterion) {
    let text = request();
    let _entered = RUNTIME.enter();
    let unconnected = PgPool::connect_lazy("postgres://nowhere/nothing").expect("a URL");
    let source = SqlSource::<_, Event>::new(unconnected).expect("a sound declaration");
    let paginator = table::paginator(source);
    let recorder = sea::Recorder::default();
    let mut comparison = Comparison::new("paginate/build_sql/warm");
    comparison.add("perfkit", || {
        let query = PageQuery::parse(black_box(&text)).expect("a sound query");
        let request = paginator.check(&query).expect("a sound query");
        let statements = paginator.source().statements(&request);
        assert!(statements[0].ends_with("LIMIT 22"));
        statements
    });
    comparison.add("sea_orm", || {
        let row = black_box((1, 2, 3));
        let page = sea::filtered_page_after(&recorder, "event 3", row);
        let statement = page.now_or_never().expect("nothing is waited for");
        assert!(statement.sql.ends_with("LIMIT $8"), "{}", statement.sql);
        statement
    });
    comparison.run(criterion);
}

/// The text of a request for the second page.
fn request() -> String {
    let event = |id| Event {
        id,
        kind: 1,
        day: 2,
        note: "event 3".into(),
    };
    let events: Vec<Event> = (0..30).map(event).collect();
    let schema = Event::schema().expect("a sound declaration");
    let paginator = table::paginator(SliceSource::new(schema, events));
    let text = "sort=kind,day&filter[note]=event+3&size=20";
    let first = PageQuery::parse(text).expect("a sound query");
    let page = paginator.page(&first);
    let page = page.now_or_never().expect("memory does not wait");
    let next = page.expect("a page").info.next.expect("ten rows follow");
    format!("{text}&cursor={next}")
}
