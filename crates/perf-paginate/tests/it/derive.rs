//! The derived declaration is the written one.

use crate::rows::{self, Row};
use perf_paginate::{
    AggregateQuery, Filter, Measure, PageQuery, Paginator, Plain, Resource, SqlSource, Value,
};
use sqlx::Sqlite;

#[derive(Debug, Resource, sqlx::FromRow)]
#[resource(table = "rows")]
struct Derived {
    #[resource(key)]
    id: i64,
    #[resource(sort, filter(eq, is_null), column = "a")]
    #[sqlx(rename = "a")]
    amount: Option<i64>,
    b: Option<String>,
    #[resource(skip)]
    #[sqlx(skip)]
    note: u8,
}

#[tokio::test]
async fn a_derived_resource_reads_its_table() {
    let pool = rows::table().await;
    let row = |id, a| Row {
        id,
        a,
        b: Some(format!("b{id}")),
        c: 0,
        d: true,
    };
    rows::fill(&pool, &[row(1, None), row(2, Some(5)), row(3, Some(7))]).await;
    let source = SqlSource::<Sqlite, Derived>::new(pool).unwrap();
    let paginator = Paginator::new(source, Plain);

    let page = paginator
        .page(&PageQuery::new().sort("-amount"))
        .await
        .unwrap();
    let shown: Vec<_> = page
        .items
        .iter()
        .map(|row| (row.id, row.amount, row.note))
        .collect();
    assert_eq!(shown, [(3, Some(7), 0), (2, Some(5), 0), (1, None, 0)]);
    assert_eq!(page.items[0].b.as_deref(), Some("b3"));

    let null = PageQuery::new().filter(Filter::is_null("amount"));
    assert_eq!(paginator.page(&null).await.unwrap().items[0].id, 1);
    for hidden in ["a", "b", "note", "id"] {
        assert!(paginator.check(&PageQuery::new().sort(hidden)).is_err());
    }
    assert!(
        paginator
            .check(&PageQuery::new().filter(Filter::gt("amount", 1_i64)))
            .is_err()
    );
}

/// A row of `rows` with what another row of it says, under names of the API's own.
#[derive(Debug, Resource, sqlx::FromRow)]
#[resource(
    table = "rows",
    name = "entries",
    join(table = "notes", own = "c", other = "id")
)]
struct Noted {
    #[resource(key)]
    id: i64,
    #[resource(aggregate, filter(in), leading, name = "group")]
    c: i64,
    #[resource(of = "notes", column = "text", sort, filter, aggregate)]
    note: Option<String>,
}

#[tokio::test]
async fn a_derived_resource_joins_aggregates_and_leads() {
    let pool = rows::table().await;
    let row = |id, c| Row {
        id,
        a: None,
        b: None,
        c,
        d: true,
    };
    rows::fill(&pool, &[row(1, 7), row(2, 8), row(3, 7)]).await;
    sqlx::raw_sql("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT); INSERT INTO notes VALUES (7, 'seven')")
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(Noted::schema().unwrap().name(), "entries");
    let source = SqlSource::<Sqlite, Noted>::new(pool).unwrap();
    let paginator = Paginator::new(source, Plain);
    let page = paginator
        .page(&PageQuery::new().sort("note"))
        .await
        .unwrap();
    let shown: Vec<_> = page
        .items
        .iter()
        .map(|row| (row.id, row.c, row.note.as_deref()))
        .collect();
    assert_eq!(
        shown,
        [(1, 7, Some("seven")), (3, 7, Some("seven")), (2, 8, None)]
    );
    let groups = AggregateQuery::new()
        .measure(Measure::Sum, "group")
        .group_by("note");
    let groups = paginator.aggregate(&groups).await.unwrap();
    assert_eq!(groups[0].values, [Value::Decimal(14.into())]);

    // What leads an index is first in the one that is advised.
    let listed = PageQuery::new().filter(Filter::is_in("group", [7_i64, 8]));
    let request = paginator.check(&listed).unwrap();
    let advised = paginator.source().advise(&request).ddl;
    assert_eq!(advised, [r#"CREATE INDEX "by_c_id" ON "rows" ("c", "id")"#]);
    assert!(paginator.check(&PageQuery::new().sort("c")).is_err());
}

/// The crate under another path, as an umbrella has it.
mod umbrella {
    pub(super) use perf_paginate as paginate;
}

#[derive(Debug, Resource)]
#[resource(table = "archive.rows", crate = umbrella::paginate)]
struct Elsewhere {
    #[resource(key, sort)]
    c: i64,
    #[resource(key)]
    r#type: String,
}

#[test]
fn a_derived_resource_may_reach_the_crate_by_any_path() {
    let schema = Elsewhere::schema().unwrap();
    assert_eq!(
        (schema.name(), schema.table()),
        ("archive.rows", "archive.rows")
    );
    assert_eq!(schema.columns().collect::<Vec<_>>(), ["c", "type"]);
}
