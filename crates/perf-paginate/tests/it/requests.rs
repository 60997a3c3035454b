//! Bad input: the right error, status 400, and the source is never asked.

use crate::rows::{Row, keyed};
use async_trait::async_trait;
use perf_paginate::{
    Condition, CountMode, Error, Field, Filter, FilterOp, PageQuery, PageSource, Paginator, Plain,
    Schema, Selection, SliceSource, Total, Value,
};

/// A source that must not be asked.
#[derive(Debug)]
struct Untouchable(Schema<Row>);

#[async_trait]
impl PageSource for Untouchable {
    type Item = Row;

    fn schema(&self) -> &Schema<Row> {
        &self.0
    }

    async fn rows(&self, _: &Selection<'_>) -> Result<Vec<Row>, Error> {
        panic!("the source was asked for rows")
    }

    async fn count(&self, _: &Condition, _: Option<u64>) -> Result<u64, Error> {
        panic!("the source was asked to count")
    }
}

fn schema() -> Schema<Row> {
    Schema::builder("rows")
        .field(Field::new("id", |row: &Row| row.id))
        .field(
            Field::new("a", |row: &Row| row.a)
                .sortable()
                .filterable_by([FilterOp::Eq, FilterOp::In]),
        )
        .field(Field::new("b", |row: &Row| row.b.clone()).filterable())
        .field(Field::new("c", |row: &Row| row.c).sortable())
        .key(["id"])
        .build()
        .unwrap()
}

async fn refused(cases: impl IntoIterator<Item = (PageQuery, &str)>) {
    let paginator = Paginator::new(Untouchable(schema()), Plain);
    for (query, message) in cases {
        let error = paginator.page(&query).await.unwrap_err();
        assert_eq!((error.to_string().as_str(), error.status()), (message, 400));
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn a_bad_size_start_or_sort_is_refused_before_the_source_is_asked() {
    let query = PageQuery::new;
    refused([
        (query().size(0), "size must be from 1 to 100"),
        (query().page(0), "page must be from 1 to 501"),
        (
            query().page(502),
            "offset pages end at row 10000; continue with a cursor",
        ),
        (
            query().page(u64::MAX),
            "offset pages end at row 10000; continue with a cursor",
        ),
        (
            query().offset(10_001),
            "offset pages end at row 10000; continue with a cursor",
        ),
        (
            query().page(1).offset(0),
            "only one of page, offset and cursor may say where to start",
        ),
        (
            query().offset(0).cursor("x"),
            "only one of page, offset and cursor may say where to start",
        ),
        (
            query().cursor("x").last(),
            "only one of page, offset and cursor may say where to start",
        ),
        (query().cursor(""), "the cursor is invalid: malformed"),
        (
            query().cursor("no token"),
            "the cursor is invalid: malformed",
        ),
        (
            query().cursor("AAAA"),
            "the cursor is invalid: unsupported version",
        ),
        (
            query().cursor("A".repeat(1_025)),
            "the cursor is invalid: malformed",
        ),
        (query().sort("x"), "there is no field \"x\""),
        (query().sort("A"), "there is no field \"A\""),
        (query().sort(""), "there is no field \"\""),
        (query().sort("id"), "field \"id\" cannot be sorted by"),
        (query().sort("b"), "field \"b\" cannot be sorted by"),
        (query().sort("a,-a"), "field \"a\" is sorted by twice"),
        (query().sort("a,a,a,a,a"), "more than 4 sort keys"),
        (
            query().sort("a; DROP TABLE rows"),
            "there is no field \"a; DROP TABLE rows\"",
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_bad_filter_is_refused_before_the_source_is_asked() {
    let query = PageQuery::new;
    let eq = |field: &'static str, value: &str| query().filter(Filter::eq(field, value));
    let deep = (0..9).fold(Filter::eq("a", 1_i64), |filter, _| filter.negated());
    refused([
        (eq("x", "1"), "there is no field \"x\""),
        (eq("c", "1"), "field \"c\" cannot be filtered by"),
        (eq("a", "one"), "field \"a\" expects an integer"),
        (
            eq("a", "9223372036854775808"),
            "field \"a\" expects an integer",
        ),
        (eq("b", "nul\0"), "field \"b\" expects text"),
        (
            eq("b", &"x".repeat(1_001)),
            "more than 1000 bytes in a value",
        ),
        (
            query().filter(Filter::eq("a", Value::Null)),
            "field \"a\" expects an integer",
        ),
        (
            query().filter(Filter::gt("a", 1_i64)),
            "field \"a\" does not allow operator gt",
        ),
        (
            query().filter(Filter::is_null("a")),
            "field \"a\" does not allow operator is_null",
        ),
        (
            query().filter(Filter::is_in("a", 0..101_i64)),
            "more than 100 items in a list",
        ),
        (query().filter(deep), "more than 4 levels of filters"),
        (
            query().filter(Filter::any((0..21).map(|n: i64| Filter::eq("a", n)))),
            "more than 20 filters in a group",
        ),
        (
            query().filter(Filter::compare("b", FilterOp::Between, ["x".into()])),
            "field \"b\" expects 2 values for between",
        ),
        (
            query().filter(Filter::compare("b", FilterOp::IsNull, ["x".into()])),
            "field \"b\" expects 0 values for is_null",
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_request_for_too_many_rows_gets_what_is_allowed() {
    let paginator = Paginator::new(Untouchable(schema()), Plain);
    assert_eq!(
        paginator
            .check(&PageQuery::new().size(u64::MAX))
            .unwrap()
            .size(),
        100
    );
    assert_eq!(paginator.check(&PageQuery::new()).unwrap().size(), 20);
}

#[test]
fn a_declaration_that_contradicts_itself_is_refused() {
    let id = || Field::new("id", |row: &Row| row.id);
    let a = || Field::new("a", |row: &Row| row.a);
    let cases = [
        (
            Schema::builder("rows").field(id()).build(),
            "resource \"rows\" has no key",
        ),
        (
            Schema::builder("rows").field(id()).key(["x"]).build(),
            "key field \"x\" is not declared",
        ),
        (
            Schema::builder("rows").field(a()).key(["a"]).build(),
            "key field \"a\" may be NULL or is not exact",
        ),
        (
            Schema::builder("rows")
                .field(id())
                .key(["id", "id"])
                .build(),
            "key field \"id\" is named twice",
        ),
        (
            Schema::builder("rows")
                .field(id())
                .field(id())
                .key(["id"])
                .build(),
            "column \"id\" is empty or declared twice",
        ),
        (
            Schema::builder("rows")
                .field(id())
                .column("id")
                .key(["id"])
                .build(),
            "column \"id\" is empty or declared twice",
        ),
        (
            Schema::builder("").field(id()).key(["id"]).build(),
            "column \"\" is empty or declared twice",
        ),
        (
            Schema::builder("rows")
                .field(id().filterable_by([FilterOp::Contains]))
                .key(["id"])
                .build(),
            "an operator does not suit field \"id\"",
        ),
        (
            Schema::builder("rows")
                .field(id())
                .field(Field::new("half", |row: &Row| row.id as f32).sortable())
                .key(["id"])
                .build(),
            "field \"half\" is not exact, so cannot sort",
        ),
    ];
    for (schema, message) in cases {
        let error = schema.unwrap_err();
        assert_eq!((error.to_string().as_str(), error.status()), (message, 500));
    }
}

#[tokio::test]
async fn a_request_is_good_for_its_own_resource_only() {
    let request = Paginator::new(Untouchable(schema()), Plain)
        .check(&PageQuery::new())
        .unwrap();
    let other = Paginator::new(SliceSource::new(keyed(&["c", "id"]).unwrap(), []), Plain);
    assert!(matches!(
        other.fetch(&request).await,
        Err(Error::ForeignRequest)
    ));
}

#[tokio::test]
async fn a_total_says_how_well_it_is_known() {
    let rows: Vec<Row> = (0..50)
        .map(|id| Row {
            id,
            a: Some(id % 5),
            b: None,
            c: 0,
            d: true,
        })
        .collect();
    let paginator = Paginator::new(SliceSource::new(keyed(&["id"]).unwrap(), rows), Plain);
    let total = async |query: PageQuery| paginator.page(&query).await.unwrap().total;
    let query = || PageQuery::new().size(10);
    assert_eq!(total(query()).await, Total::Unknown);
    assert_eq!(total(query().page(1)).await, Total::Exact(50));
    assert_eq!(
        total(query().count(CountMode::Exact)).await,
        Total::Exact(50)
    );
    assert_eq!(
        total(query().count(CountMode::Capped(49))).await,
        Total::AtLeast(49)
    );
    assert_eq!(
        total(query().count(CountMode::Capped(50))).await,
        Total::Exact(50)
    );
    assert_eq!(
        total(query().page(5).count(CountMode::None)).await,
        Total::Exact(50)
    );
    assert_eq!(
        total(query().page(9).count(CountMode::None)).await,
        Total::Unknown
    );
    assert_eq!(
        total(query().filter(Filter::eq("a", 3_i64)).page(1)).await,
        Total::Exact(10)
    );
}

#[tokio::test]
async fn a_request_is_good_for_its_own_restriction_and_scope_only() {
    let rows: Vec<Row> = (0..10)
        .map(|id| Row {
            id,
            a: Some(id % 2),
            b: None,
            c: 0,
            d: true,
        })
        .collect();
    let all = Paginator::new(SliceSource::new(keyed(&["id"]).unwrap(), rows), Plain);
    let even = all.restricted(&Filter::eq("a", 0_i64)).unwrap();
    let odd = all.restricted(&Filter::eq("a", 1_i64)).unwrap();
    let paginators = [&all, &even, &odd, &all.scoped("me"), &even.scoped("me")];
    let asked = PageQuery::new().filter(Filter::eq("a", 1_i64));
    for (own, checked) in paginators.iter().enumerate() {
        // Asking for what the restriction says does not make a request restricted.
        for query in [&PageQuery::new(), &asked] {
            let request = checked.check(query).unwrap();
            for (position, fetched) in paginators.iter().enumerate() {
                let page = fetched.fetch(&request).await;
                assert_eq!(page.is_ok(), position == own, "{own} by {position}");
                assert!(position == own || matches!(page, Err(Error::ForeignRequest)));
            }
        }
    }
    let again = all.restricted(&Filter::is_in("a", ["0"])).unwrap();
    let same = all.restricted(&Filter::is_in("a", [0_i64, 0])).unwrap();
    let request = again.check(&PageQuery::new()).unwrap();
    assert_eq!(same.fetch(&request).await.unwrap().items.len(), 5);
}

#[test]
fn filters_side_by_side_nest_no_deeper_than_alone() {
    let paginator = Paginator::new(Untouchable(schema()), Plain);
    let nested = |n: i64| {
        let levels = 1..4;
        levels.fold(Filter::eq("a", n), |filter, _| filter.negated())
    };
    let one = PageQuery::new().filter(nested(1));
    let two = one.clone().filter(nested(2));
    assert!(paginator.check(&one).is_ok());
    assert!(paginator.check(&two).is_ok());
    // Their comparisons are still counted together.
    let many = (0..21).fold(PageQuery::new(), |query, n: i64| {
        query.filter(Filter::eq("a", n))
    });
    let error = paginator.check(&many).unwrap_err().to_string();
    assert_eq!(error, "more than 20 filters in a group");
    let eleven = || Filter::all((0..11).map(|n: i64| Filter::eq("a", n)));
    let error = paginator.check(&PageQuery::new().filter(eleven()).filter(eleven()));
    assert_eq!(error.unwrap_err().to_string(), "more than 20 conditions");
}

#[test]
fn a_service_compares_only_text_with_parts_of_text() {
    let paginator = Paginator::new(Untouchable(schema()), Plain);
    for operator in [FilterOp::Contains, FilterOp::StartsWith, FilterOp::EndsWith] {
        let part = |field| Filter::compare(field, operator, ["1".into()]);
        let error = paginator.restricted(&part("id").negated()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("field \"id\" does not allow operator {operator}")
        );
        assert!(paginator.restricted(&part("b").negated()).is_ok());
    }
}
