//! Cases with few distinct values and many boundaries.

use super::Row;
use crate::{Filter, Nulls, SortKey};
use proptest::prelude::{Just, Strategy, prop};
use proptest::prop_oneof;

/// One walk, and what it walks over.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) rows: Vec<Row>,
    pub(super) key: &'static [&'static str],
    pub(super) sort: Vec<SortKey>,
    pub(super) filter: Option<Filter>,
    pub(super) size: u64,
    /// From wherever the walk stands: true follows `next`, false `prev`.
    pub(super) moves: Vec<bool>,
}

const KEYS: [&[&str]; 3] = [&["id"], &["c", "id"], &["id", "d"]];

pub(super) fn any() -> impl Strategy<Value = Case> {
    (
        prop::collection::vec(row(), 0..60),
        sort(),
        prop::option::of(filter()),
        1_u64..12,
        prop::collection::vec(proptest::arbitrary::any::<bool>(), 0..20),
        prop::sample::select(KEYS.to_vec()),
    )
        .prop_map(|(mut rows, sort, filter, size, moves, key)| {
            for (id, row) in rows.iter_mut().enumerate() {
                // Identities in no order that any other column has.
                row.id = i64::try_from(id * 37 % 101).unwrap_or(0) - 50;
            }
            Case {
                rows,
                sort,
                filter,
                size,
                moves,
                key,
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
        proptest::arbitrary::any::<bool>(),
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
    let fields = prop::sample::subsequence(vec!["a", "b", "c", "d", "id"], 0..=4).prop_shuffle();
    let details = prop::collection::vec(
        (
            proptest::arbitrary::any::<bool>(),
            proptest::arbitrary::any::<bool>(),
        ),
        4,
    );
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
        proptest::arbitrary::any::<bool>().prop_map(|value| Filter::eq("d", value)),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::All),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::Any),
            inner.prop_map(Filter::negated),
        ]
    })
}
