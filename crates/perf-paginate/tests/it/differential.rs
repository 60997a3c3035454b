//! Random rows, sorts, filters, page sizes and moves: every source shows what the oracle says.

use crate::oracle;
use crate::rows::{self, Row, keyed};
use futures_util::TryStreamExt as _;
use perf_paginate::{
    Filter, Limits, Nulls, Page, PageQuery, PageSource, Paginator, Plain, SeekForm, Signed,
    SliceSource, SortKey, SqlSource,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

/// One walk, and what it walks over.
#[derive(Clone, Debug)]
struct Case {
    rows: Vec<Row>,
    sort: Vec<SortKey>,
    filter: Option<Filter>,
    size: u64,
    /// From wherever the walk stands: true follows `next`, false `prev`.
    moves: Vec<bool>,
    form: SeekForm,
}

#[test]
fn sqlite_and_memory_show_every_row_once_in_both_directions() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let pool = runtime.block_on(rows::table());
    let cases = std::env::var("PERF_SOAK_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    let config = Config {
        cases: cases.unwrap_or(256),
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&walks(), |case| {
            runtime.block_on(async {
                rows::fill(&pool, &case.rows).await;
                let schema = keyed(&["id"]).unwrap();
                let memory = SliceSource::new(schema.clone(), case.rows.clone());
                walk(&Paginator::new(memory, Plain), &case).await?;
                let sqlite = SqlSource::with_schema(pool.clone(), schema).with_seek_form(case.form);
                walk(
                    &Paginator::new(sqlite, Signed::new(&[7; 32]).unwrap()),
                    &case,
                )
                .await
            })
        })
        .unwrap();
}

async fn walk<S: PageSource<Item = Row>>(
    paginator: &Paginator<S>,
    case: &Case,
) -> Result<(), TestCaseError> {
    let paginator = paginator.clone().with_limits(Limits {
        max_filter_depth: 9,
        ..Limits::default()
    });
    let expected = oracle::expected(&case.rows, &case.sort, case.filter.as_ref());
    let mut query = PageQuery::new().sort_by(case.sort.clone()).size(case.size);
    query = case.filter.iter().cloned().fold(query, PageQuery::filter);

    let mut forward = Vec::new();
    let mut page = paginator.page(&query).await.unwrap();
    loop {
        check(&page, &expected, forward.len(), case.size)?;
        forward.extend(page.items);
        let Some(next) = page.info.next else { break };
        page = paginator.page(&query.clone().cursor(next)).await.unwrap();
    }
    prop_assert_eq!(&forward, &expected);

    let mut start = expected.len();
    let mut page = paginator.page(&query.clone().last()).await.unwrap();
    loop {
        start -= page.items.len();
        check(&page, &expected, start, case.size)?;
        let Some(prev) = page.info.prev else { break };
        page = paginator.page(&query.clone().cursor(prev)).await.unwrap();
    }
    prop_assert_eq!(start, 0);

    jump(&paginator, case, &query, &expected).await?;

    let streamed: Vec<Row> = paginator
        .items(&query)
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    prop_assert_eq!(&streamed, &expected);

    let offset = expected.len() / 2;
    let middle = paginator
        .page(&query.offset(offset.try_into().unwrap()))
        .await
        .unwrap();
    check(&middle, &expected, offset, case.size)
}

/// Moves to and fro; the walk's place in the expected rows is known at every step.
async fn jump<S: PageSource<Item = Row>>(
    paginator: &Paginator<S>,
    case: &Case,
    query: &PageQuery,
    expected: &[Row],
) -> Result<(), TestCaseError> {
    let mut start = 0;
    let mut page = paginator.page(query).await.unwrap();
    for forward in &case.moves {
        let info = &page.info;
        let Some(cursor) = (if *forward {
            info.next.clone()
        } else {
            info.prev.clone()
        }) else {
            continue;
        };
        let shown = page.items.len();
        page = paginator.page(&query.clone().cursor(cursor)).await.unwrap();
        start = if *forward {
            start + shown
        } else {
            start - page.items.len()
        };
        check(&page, expected, start, case.size)?;
    }
    Ok(())
}

fn check(page: &Page<Row>, expected: &[Row], start: usize, size: u64) -> Result<(), TestCaseError> {
    let end = start + page.items.len();
    prop_assert_eq!(&page.items, &expected[start..end]);
    prop_assert_eq!(page.info.has_prev, start > 0 && !expected.is_empty());
    prop_assert_eq!(page.info.has_next, end < expected.len());
    prop_assert_eq!(page.info.next.is_some(), page.info.has_next);
    prop_assert_eq!(page.info.prev.is_some(), page.info.has_prev);
    prop_assert!(page.items.len() <= usize::try_from(size).unwrap());
    Ok(())
}

fn walks() -> impl Strategy<Value = Case> {
    (
        prop::collection::vec(row(), 0..60),
        sort(),
        prop::option::of(filter()),
        1_u64..12,
        prop::collection::vec(any::<bool>(), 0..20),
        prop::sample::select(vec![
            SeekForm::RowValue,
            SeekForm::GuardedOr,
            SeekForm::Segments,
        ]),
    )
        .prop_map(|(mut rows, sort, filter, size, moves, form)| {
            for (id, row) in rows.iter_mut().enumerate() {
                // Identities in no order that any other column has.
                row.id = (i64::try_from(id).unwrap() * 37) % 101 - 50;
            }
            Case {
                rows,
                sort,
                filter,
                size,
                moves,
                form,
            }
        })
}

/// Few distinct values, so that ties and NULLs meet every boundary.
fn row() -> impl Strategy<Value = Row> {
    let texts = ["", "a", "A", "ab", "é", "%_", "*[", "\u{10ffff}"];
    (
        prop::option::weighted(0.7, -2_i64..3),
        prop::option::weighted(0.7, prop::sample::select(texts.to_vec())),
        prop_oneof![Just(i64::MIN), Just(0), Just(1), Just(i64::MAX)],
        any::<bool>(),
    )
        .prop_map(|(a, b, c, d)| Row {
            id: 0,
            a,
            b: b.map(str::to_owned),
            c,
            d,
        })
}

fn sort() -> impl Strategy<Value = Vec<SortKey>> {
    let fields = prop::sample::subsequence(vec!["a", "b", "c", "d"], 0..=4).prop_shuffle();
    let details = prop::collection::vec((any::<bool>(), any::<bool>()), 4);
    (fields, details).prop_map(|(fields, details)| {
        let key = |(field, (descending, first)): (&'static str, (bool, bool))| {
            let key = if descending {
                SortKey::descending(field)
            } else {
                SortKey::ascending(field)
            };
            key.nulls(if first { Nulls::First } else { Nulls::Last })
        };
        fields.into_iter().zip(details).map(key).collect()
    })
}

fn filter() -> impl Strategy<Value = Filter> {
    let number = -3_i64..4;
    let text = prop::sample::select(vec!["", "a", "A", "%", "_", "*", "[", "é"]);
    let leaf = prop_oneof![
        number.clone().prop_map(|n| Filter::eq("a", n)),
        number.clone().prop_map(|n| Filter::ne("a", n)),
        number.clone().prop_map(|n| Filter::lt("a", n)),
        number.clone().prop_map(|n| Filter::gte("a", n)),
        (number.clone(), number.clone()).prop_map(|(low, high)| Filter::between("a", low, high)),
        prop::collection::vec(number, 0..5).prop_map(|list| Filter::is_in("a", list)),
        prop::collection::vec(text.clone(), 0..4).prop_map(|list| Filter::is_in("b", list)),
        text.clone().prop_map(|text| Filter::contains("b", text)),
        text.clone().prop_map(|text| Filter::starts_with("b", text)),
        text.clone().prop_map(|text| Filter::ends_with("b", text)),
        text.prop_map(|text| Filter::lte("b", text)),
        Just(Filter::is_null("a")),
        Just(Filter::not_null("b")),
        any::<bool>().prop_map(|value| Filter::eq("d", value)),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::All),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::Any),
            inner.prop_map(Filter::negated),
        ]
    })
}
