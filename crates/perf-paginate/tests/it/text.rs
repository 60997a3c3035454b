//! Requests as text: what they mean, and that hostile ones mean nothing.

use crate::rows::{self, Row, keyed};
use perf_paginate::{
    AggregateQuery, Error, Filter, FilterOp, Measure, PageQuery, Paginator, Plain, SortKey,
    SqlSource, Value,
};
use proptest::prelude::*;

fn refused(query: &str, message: &str) {
    let error = PageQuery::parse(query).unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.status()),
        (message, 400),
        "{query}"
    );
}

#[test]
fn every_spelling_means_the_same() {
    let same = |query: &str, expected: PageQuery| {
        assert_eq!(PageQuery::parse(query).unwrap(), expected, "{query}")
    };
    let query = PageQuery::new;
    same("", query());
    same("page=3&per_page=7", query().page(3).size(7));
    same("&limit=7&&offset=12&", query().offset(12).size(7));
    same("cursor=abc&utm_source=x&ids[]=3", query().cursor("abc"));
    same("sort=-a,b:nulls_first", query().sort("-a,b:nulls_first"));
    same(
        "sort_by=a&sort_order=desc",
        query().sort_by([SortKey::descending("a")]),
    );
    same("sort_by=a,b&sort_order=asc,desc", query().sort("a,-b"));
    same("sort_by=a,b", query().sort("a,b"));
    same(
        "filter[b]=x+y%26z",
        query().filter(Filter::eq("b", "x y&z")),
    );
    same(
        "filter%5Ba%5D%5Bgte%5D=1",
        query().filter(Filter::gte("a", "1")),
    );
    same(
        "filter[a][in]=1,2",
        query().filter(Filter::is_in("a", ["1", "2"])),
    );
    same(
        "filter[a][in]=",
        query().filter(Filter::is_in("a", Vec::<String>::new())),
    );
    same(
        "filter[a][between]=1,2",
        query().filter(Filter::between("a", "1", "2")),
    );
    same(
        "filter[a][is_null]=false",
        query().filter(Filter::not_null("a")),
    );
    same("filter[a][not_null]", query().filter(Filter::not_null("a")));
    let range = Filter::all([Filter::gte("a", 1_i64), Filter::lt("a", 5_i64)]);
    let Filter::All(range) = range else {
        unreachable!("made above")
    };
    let both = range.into_iter().fold(query(), PageQuery::filter);
    same(
        r#"filters={"a":[{"operator":"gte","value":1},{"operator":"lt","value":5}]}"#,
        both,
    );
    let json =
        r#"{"size": "7", "page": 2, "sort": ["-a", "b"], "cursor": null, "filters": {"b": "x"}}"#;
    let expected = query()
        .size(7)
        .page(2)
        .sort("-a,b")
        .filter(Filter::eq("b", "x"));
    assert_eq!(PageQuery::from_json(json).unwrap(), expected);
}

#[test]
fn what_cannot_be_read_is_refused() {
    for number in ["", "-1", "1.0", "+1", " 1", "0x1", "1e3", "one", "١"] {
        let encoded = number.replace('+', "%2B");
        refused(
            &format!("size={encoded}"),
            "field \"size\" expects a whole number",
        );
        refused(
            &format!("offset={encoded}"),
            "field \"offset\" expects a whole number",
        );
    }
    refused("size=1&limit=2", "field \"size\" expects one value");
    refused(
        "sort=a&sort_by=b",
        "field \"sort_by\" expects no sort beside it",
    );
    refused(
        "sort_order=desc",
        "field \"sort_order\" expects a sort_by beside it",
    );
    refused(
        "sort_by=a&sort_order=up",
        "field \"sort_order\" expects asc or desc",
    );
    refused(
        "sort_by=a&sort_order=asc,asc",
        "field \"sort_order\" expects one order, or one for each field",
    );
}

#[test]
fn a_filter_that_cannot_be_read_is_refused() {
    refused("filter[a][like]=x", "there is no operator \"like\"");
    refused(
        "filter[a][is_null]=maybe",
        "field \"a\" expects true or false",
    );
    for name in [
        "filter",
        "filter[",
        "filter[]",
        "filter[a",
        "filter[a][]",
        "filter[a][eq",
        "filter[a]x",
        "filter[a][eq][x]",
    ] {
        let error = PageQuery::parse(&format!("{name}=1")).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("expects the form filter[field] or filter[field][operator]")
        );
    }
    for filters in [
        "",
        "1",
        "[]",
        "{",
        r#"{"a":{"operator":"gte","value":{}}}"#,
        r#"{"a":[[]]}"#,
    ] {
        assert_eq!(
            PageQuery::parse(&format!("filters={filters}"))
                .unwrap_err()
                .status(),
            400
        );
    }
    refused("sort=%ff", "field \"query string\" expects UTF-8");
    for json in [
        "",
        "[]",
        "1",
        r#"{"size": true}"#,
        r#"{"sort": [1]}"#,
        r#"{"filters": 1}"#,
    ] {
        assert_eq!(PageQuery::from_json(json).unwrap_err().status(), 400);
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}", pairs in "((page|size|sort|filter\\[a\\]|filters|cursor)=[a-z0-9%{}\\[\\]\":,]{0,9}&){0,5}") {
        for query in [&text, &pairs] {
            for parsed in [PageQuery::parse(query), PageQuery::from_json(query)] {
                let checked = parsed.and_then(|query| {
                    let source = perf_paginate::SliceSource::new(keyed(&["id"])?, Vec::new());
                    Paginator::new(source, Plain).check(&query)
                });
                if let Err(error) = checked {
                    prop_assert_eq!(error.status(), 400);
                }
            }
        }
    }
}

/// Pieces that break out of one context or another, in every combination of three.
fn hostile() -> Vec<String> {
    let openings = [
        "", "'", "\"", "`", "\\", "\\'", "')", "\")", "%", "_", "[", "*", "1", "$1", "?", "!",
    ];
    let payloads = [
        "",
        " OR 1=1",
        "; DROP TABLE rows",
        " UNION SELECT 1,2,3,4,5",
        " OR SLEEP(9)",
        "||pg_sleep(9)",
        "/**/OR/**/1",
        ") OR (1=1",
        " ASC, (SELECT 1)",
        "::int",
    ];
    let endings = ["", "--", "#", "/*", "'"];
    let mut texts = Vec::new();
    for opening in openings {
        for payload in payloads {
            texts.extend(endings.map(|ending| format!("{opening}{payload}{ending}")));
        }
    }
    texts
}

#[tokio::test]
async fn hostile_text_is_a_value_or_an_error_in_every_field() {
    let pool = rows::table().await;
    let row = |id, b: &str| Row {
        id,
        a: Some(id),
        b: Some(b.to_owned()),
        c: 0,
        d: true,
    };
    rows::fill(&pool, &[row(1, "one"), row(2, "two")]).await;
    let paginator = Paginator::new(SqlSource::new(pool.clone()).unwrap(), Plain);
    let hostile = hostile();
    assert!(hostile.len() >= 500);
    for (id, text) in hostile.iter().enumerate() {
        let id = i64::try_from(id).unwrap() + 10;
        rows::fill(&pool, &[row(1, "one"), row(2, "two"), row(id, text)]).await;
        as_value(&paginator, id, text).await;
        as_name(&paginator, text).await;
    }
}

/// As a value, the text finds the one row that holds it and no other.
async fn as_value(paginator: &Paginator<SqlSource<sqlx::Sqlite, Row>>, id: i64, text: &str) {
    let found = async |filter: Filter| {
        let page = paginator
            .page(&PageQuery::new().filter(filter))
            .await
            .unwrap();
        page.items
            .iter()
            .map(|row: &Row| row.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(found(Filter::eq("b", text)).await, [id]);
    assert_eq!(found(Filter::is_in("b", [text])).await, [id]);
    for operator in [FilterOp::Contains, FilterOp::StartsWith, FilterOp::EndsWith] {
        let found = found(Filter::compare("b", operator, [Value::from(text)])).await;
        let expected = if text.is_empty() {
            vec![1, 2, id]
        } else {
            vec![id]
        };
        assert_eq!(found, expected, "{operator} {text:?}");
    }
    let query = AggregateQuery::new()
        .filter(Filter::eq("b", text))
        .measure(Measure::Max, "b")
        .group_by("b");
    let groups = paginator.aggregate(&query).await.unwrap();
    assert_eq!(groups.len(), 1);
    assert_eq!((&groups[0].key, groups[0].rows), (&text.into(), 1));
    assert_eq!(groups[0].values, [Value::from(text)]);
    // As a boundary, it splits rows by its bytes.
    let query = PageQuery::new().sort("b").size(1);
    let mut page = paginator.page(&query).await.unwrap();
    let mut shown = 1;
    while let Some(next) = page.info.next {
        page = paginator.page(&query.clone().cursor(next)).await.unwrap();
        shown += page.items.len();
    }
    assert_eq!(shown, 3);
}

/// As a name, a number or a cursor, the text is an error; no statement is made of it.
async fn as_name(paginator: &Paginator<SqlSource<sqlx::Sqlite, Row>>, text: &str) {
    let name = text.to_owned();
    let queries = [
        Ok(PageQuery::new().sort_by([SortKey::ascending(format!("x{name}"))])),
        Ok(PageQuery::new().sort_by([SortKey::ascending(format!("a{name} "))])),
        Ok(PageQuery::new().filter(Filter::eq(format!("x{name}"), 1_i64))),
        Ok(PageQuery::new().filter(Filter::eq("a", format!("x{name}")))),
        Ok(PageQuery::new().cursor(format!("x{name}"))),
        PageQuery::parse(&format!("size=x{name}")),
        PageQuery::parse(&format!("page=x{name}")),
        PageQuery::parse(&format!("offset=x{name}")),
        PageQuery::parse(&format!("sort_by=a&sort_order=x{name}")),
        PageQuery::parse(&format!("filter[a][x{name}]=1")),
        PageQuery::parse(&format!("filter[x{name}]=1")),
        PageQuery::parse(&format!("filters=x{name}")),
    ];
    for query in queries {
        let error: Error = match query {
            Ok(query) => paginator.page(&query).await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.status(), 400, "{text:?}: {error}");
    }
    for name in [format!("x{name}"), format!("b{name} ")] {
        let sparse = PageQuery::new().fields([name.clone()]);
        let error = paginator.records(&sparse).await.unwrap_err();
        assert_eq!(error.status(), 400, "{text:?}: {error}");
        let figures = AggregateQuery::new;
        for query in [
            figures().measure(Measure::Max, name.clone()),
            figures().group_by(name.clone()),
            figures().filter(Filter::eq(name.clone(), "1")),
        ] {
            let error = paginator.aggregate(&query).await.unwrap_err();
            assert_eq!(error.status(), 400, "{text:?}: {error}");
        }
    }
}
