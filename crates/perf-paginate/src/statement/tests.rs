//! The exact text for each database: a change of shape must be seen here.

use super::*;
use crate::condition::Author;
use crate::filter::Filter;
use crate::limits::Limits;
use crate::order::{Nulls, SortKey};
use crate::schema::{Field, Schema};
use crate::seek::{Manner, SeekForm, plan};
use crate::source::Position;

type Row = (i64, Option<i64>, String);

fn schema() -> Schema<Row> {
    Schema::builder("t")
        .field(Field::new("id", |row: &Row| row.0))
        .field(Field::new("n", |row: &Row| row.1).sortable().filterable())
        .field(
            Field::new("s", |row: &Row| row.2.clone())
                .sortable()
                .filterable(),
        )
        .key(["id"])
        .build()
        .unwrap()
}

fn rows(dialect: Dialect, sort: &[SortKey], values: Option<&[Value]>) -> Vec<String> {
    let schema = schema();
    let order = TotalOrder::resolve(schema.layout(), sort, 4).unwrap();
    let position = values.map(|values| Position {
        values,
        inclusive: true,
    });
    let manner = Manner {
        form: SeekForm::of(dialect),
        nulls_last: dialect.sorts_nulls_last(),
        merges: dialect == Dialect::Postgres,
    };
    let segments = plan(&order, position, manner);
    let condition = Condition::always();
    let shape = Shape {
        dialect,
        layout: schema.layout(),
        fields: None,
        condition: &condition,
        texts: &Texts::default(),
    };
    shape
        .rounds(&segments)
        .map(|round| {
            shape
                .rows(&order, round, 3)
                .sql
                .replace("\"id\", \"n\", \"s\"", "*")
                .replace("`id`, `n`, `s`", "*")
        })
        .collect()
}

fn filtered(dialect: Dialect, filter: &Filter) -> (String, Vec<Bind>) {
    let schema = schema();
    let filters = std::slice::from_ref(filter);
    let condition =
        Condition::resolve(schema.layout(), filters, Author::Client, &Limits::default()).unwrap();
    let statement = Shape {
        dialect,
        layout: schema.layout(),
        fields: None,
        condition: &condition,
        texts: &Texts::default(),
    }
    .count(None);
    let text = statement.sql.split_once(" WHERE ").unwrap().1.to_owned();
    (text, statement.binds)
}

fn mixed() -> [SortKey; 2] {
    [SortKey::descending("s"), SortKey::ascending("n")]
}

fn at(text: &str, n: Option<i64>) -> [Value; 3] {
    [text.into(), n.into(), Value::Int(9)]
}

#[test]
fn one_direction_is_one_row_value_where_it_seeks() {
    let sort = [SortKey::ascending("s")];
    let values: [Value; 2] = ["x".into(), Value::Int(9)];
    assert_eq!(
        rows(Dialect::Postgres, &sort, Some(&values)),
        [r#"SELECT * FROM "t" WHERE ("s", "id") >= ($1, $2) ORDER BY "s", "id" LIMIT $3"#]
    );
    assert_eq!(
        rows(Dialect::Sqlite, &sort, Some(&values)),
        [r#"SELECT * FROM "t" WHERE ("s", "id") >= (?, ?) ORDER BY "s", "id" LIMIT ?"#]
    );
    assert_eq!(
        rows(Dialect::MariaDb, &sort, Some(&values)),
        [
            "SELECT * FROM `t` WHERE `s` >= ? AND (`s` > ? OR (`s` = ? AND `id` >= ?)) ORDER BY `s`, `id` LIMIT ?"
        ]
    );
}

#[test]
fn mixed_directions_are_one_branch_per_run() {
    assert_eq!(
        rows(Dialect::Postgres, &mixed(), Some(&at("x", Some(4)))),
        [concat!(
            r#"SELECT * FROM (SELECT * FROM "t" WHERE "s" = $1 AND ("n", "id") >= ($2, $3) ORDER BY "n", "id" LIMIT $4) AS s0"#,
            r#" UNION ALL SELECT * FROM (SELECT * FROM "t" WHERE "s" = $5 AND "n" IS NULL ORDER BY "n", "id" LIMIT $6) AS s1"#,
            r#" UNION ALL SELECT * FROM (SELECT * FROM "t" WHERE "s" < $7 ORDER BY "s" DESC, "n", "id" LIMIT $8) AS s2"#,
            r#" LIMIT $9"#,
        )]
    );
    assert_eq!(
        rows(Dialect::MariaDb, &mixed(), Some(&at("x", Some(4)))),
        [
            concat!(
                "SELECT * FROM `t` JOIN (SELECT `id` FROM `t`",
                " WHERE `s` = ? AND `n` >= ? AND (`n` > ? OR (`n` = ? AND `id` >= ?)) ORDER BY `n`, `id` LIMIT ?)",
                " AS seek USING (`id`) ORDER BY `n`, `id`",
            ),
            "SELECT * FROM `t` WHERE `s` = ? AND `n` IS NULL ORDER BY `id` LIMIT ?",
            "SELECT * FROM `t` WHERE `s` < ? ORDER BY `s` DESC, `n` IS NULL, `n`, `id` LIMIT ?",
        ]
    );
}

#[test]
fn from_a_null_on_only_nulls_and_what_follows_them_remain() {
    let last = [SortKey::ascending("n")];
    let first = [SortKey::ascending("n").nulls(Nulls::First)];
    let values = [Value::Null, Value::Int(9)];
    assert_eq!(
        rows(Dialect::Postgres, &last, Some(&values)),
        [r#"SELECT * FROM "t" WHERE "n" IS NULL AND "id" >= $1 ORDER BY "n", "id" LIMIT $2"#]
    );
    assert_eq!(
        rows(Dialect::MySql, &first, Some(&values)),
        [
            concat!(
                "SELECT * FROM `t` JOIN (SELECT `id` FROM `t` WHERE `n` IS NULL AND `id` >= ? ORDER BY `id` LIMIT ?)",
                " AS seek USING (`id`) ORDER BY `id`",
            ),
            "SELECT * FROM `t` WHERE `n` IS NOT NULL ORDER BY `n`, `id` LIMIT ?",
        ]
    );
}

#[test]
fn a_walk_splits_off_its_nulls_only_where_the_index_has_them_at_the_other_end() {
    let sort = [SortKey::ascending("n")];
    assert_eq!(
        rows(Dialect::Postgres, &sort, None),
        [r#"SELECT * FROM "t" ORDER BY "n", "id" LIMIT $1"#]
    );
    assert_eq!(
        rows(Dialect::Sqlite, &sort, None),
        [concat!(
            r#"SELECT * FROM (SELECT * FROM "t" WHERE "n" IS NOT NULL ORDER BY "n", "id" LIMIT ?) AS s0"#,
            r#" UNION ALL SELECT * FROM (SELECT * FROM "t" WHERE "n" IS NULL ORDER BY "id" LIMIT ?) AS s1 LIMIT ?"#,
        )]
    );
}

#[test]
fn nulls_that_a_comparison_misses_are_merged_into_it() {
    let sort = [SortKey::ascending("s"), SortKey::ascending("n")];
    let values = ["a".into(), Value::Int(1), Value::Int(7)];
    assert_eq!(
        rows(Dialect::Postgres, &sort, Some(&values)),
        [concat!(
            r#"SELECT * FROM (SELECT * FROM (SELECT * FROM "t" WHERE ("s", "n", "id") >= ($1, $2, $3) ORDER BY "s", "n", "id" LIMIT $4)"#,
            r#" AS found UNION ALL SELECT * FROM (SELECT * FROM "t" WHERE "s" = ANY(ARRAY[$5]) AND "n" IS NULL ORDER BY "s", "n", "id" LIMIT $6)"#,
            r#" AS missed) AS merged ORDER BY "s", "n", "id" LIMIT $7"#,
        )]
    );
}

#[test]
fn an_offset_page_is_ordered_in_full() {
    let schema = schema();
    let order = TotalOrder::resolve(schema.layout(), &[SortKey::ascending("n")], 4).unwrap();
    let condition = Condition::always();
    let text = |dialect| {
        Shape {
            dialect,
            layout: schema.layout(),
            fields: None,
            condition: &condition,
            texts: &Texts::default(),
        }
        .page(&order, 3, 7)
        .sql
        .to_string()
    };
    assert_eq!(
        text(Dialect::Sqlite),
        concat!(
            r#"SELECT "id", "n", "s" FROM "t" JOIN (SELECT "id" FROM "t" ORDER BY "n" NULLS LAST, "id" LIMIT ? OFFSET ?)"#,
            r#" AS seek USING ("id") ORDER BY "n" NULLS LAST, "id""#,
        )
    );
    assert_eq!(
        text(Dialect::MySql),
        concat!(
            "SELECT `id`, `n`, `s` FROM `t` JOIN (SELECT `id` FROM `t` ORDER BY `n` IS NULL, `n`, `id` LIMIT ? OFFSET ?)",
            " AS seek USING (`id`) ORDER BY `n` IS NULL, `n`, `id`",
        )
    );
}

#[test]
fn a_list_of_any_length_is_one_parameter_or_padded() {
    let filter = Filter::is_in("n", [3_i64, 1, 2]);
    let numbers = [1, 2, 3].map(Value::Int);
    assert_eq!(
        filtered(Dialect::Postgres, &filter),
        (
            r#""n" = ANY($1)"#.to_owned(),
            vec![Bind::List(Kind::Int, numbers.to_vec())]
        )
    );
    assert_eq!(
        filtered(Dialect::Sqlite, &filter),
        (
            r#""n" IN (SELECT value FROM json_each(?))"#.to_owned(),
            vec![Bind::Value("[1,2,3]".into())]
        )
    );
    let (text, binds) = filtered(Dialect::MySql, &filter);
    assert_eq!(text, "`n` IN (?, ?, ?, ?)");
    assert_eq!(binds, [1, 2, 3, 3].map(|n| Bind::Value(Value::Int(n))));
}

#[test]
fn conditions_nest_and_bind_every_value() {
    let filter = Filter::any([
        Filter::between("n", 1_i64, 5_i64).negated(),
        Filter::all([Filter::starts_with("s", "50%"), Filter::not_null("n")]),
        Filter::any([]),
    ]);
    let (text, binds) = filtered(Dialect::Postgres, &filter);
    assert_eq!(
        text,
        r#"(NOT ("n" BETWEEN $1 AND $2) OR ("s" LIKE $3 ESCAPE '!' AND "n" IS NOT NULL) OR 1 = 0)"#
    );
    assert_eq!(binds.last(), Some(&Bind::Value("50!%%".into())));
    let (text, binds) = filtered(Dialect::Sqlite, &Filter::contains("s", "a*"));
    assert_eq!(
        (text.as_str(), binds),
        (r#""s" GLOB ?"#, vec![Bind::Value("*a[*]*".into())])
    );
}

#[test]
fn requests_of_one_shape_share_their_text() {
    for dialect in [Dialect::Postgres, Dialect::MySql, Dialect::Sqlite] {
        let text = |n: i64| {
            let values = [
                format!("s{n}").as_str().into(),
                Value::Int(n),
                Value::Int(n * 31),
            ];
            rows(dialect, &mixed(), Some(&values))
        };
        let first = text(0);
        assert!((1..10_000).all(|n| text(n) == first));
        let lists: std::collections::HashSet<String> = (1..=100_i64)
            .map(|n| filtered(dialect, &Filter::is_in("n", 0..n)).0)
            .collect();
        let most = if dialect == Dialect::MySql { 8 } else { 1 };
        assert!(lists.len() <= most, "{} texts on {dialect:?}", lists.len());
    }
}
