use perf_core::Dialect;
use perf_profile::{Fingerprint, Statement, Verb};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const DIALECTS: [Dialect; 4] = [
    Dialect::Postgres,
    Dialect::MySql,
    Dialect::MariaDb,
    Dialect::Sqlite,
];

fn text(sql: &str) -> String {
    Statement::parse(sql, Dialect::Postgres).text().to_owned()
}

fn id(sql: &str) -> Fingerprint {
    Statement::parse(sql, Dialect::Postgres).fingerprint()
}

#[test]
fn texts_read_as_they_were_written_without_their_values() {
    let cases = [
        (
            "SELECT a, b FROM t WHERE a = 'x' AND b > -1.5e3",
            "SELECT a, b FROM t WHERE a = ? AND b > ?",
        ),
        ("select  count(*)\nfrom t;", "select count(*) from t"),
        (
            "SELECT t.a::int FROM s.t WHERE id IN ($1, $2,$3)",
            "SELECT t.a::int FROM s.t WHERE id IN (?, ...)",
        ),
        ("SELECT 1 WHERE id IN (7)", "SELECT ? WHERE id IN (?)"),
        (
            "SELECT 1 WHERE (a, b) IN ((1, 2), (3, 4))",
            "SELECT ? WHERE (a, b) IN ((?, ?), ...)",
        ),
        (
            "SELECT 1 WHERE id = ANY(ARRAY[1, 2, 3])",
            "SELECT ? WHERE id = ANY(ARRAY[?, ...])",
        ),
        (
            "INSERT INTO t (a, b) VALUES (1, now()), (2, now())",
            "INSERT INTO t (a, b) VALUES (?, now()), ...",
        ),
        (
            "INSERT INTO t VALUES (1), (DEFAULT)",
            "INSERT INTO t VALUES (?), (DEFAULT)",
        ),
        (
            "UPDATE \"odd \"\"name\" SET a = $$it's$$ -- 'secret",
            "UPDATE \"odd \"\"name\" SET a = ?",
        ),
        (
            "SELECT a->>'k', b @> '{}' FROM t LIMIT 5 OFFSET 10",
            "SELECT a ->> ?, b @> ? FROM t LIMIT ? OFFSET ?",
        ),
    ];
    for (sql, expected) in cases {
        assert_eq!(text(sql), expected, "{sql}");
    }
}

#[test]
fn what_differs_keeps_its_own_fingerprint() {
    let distinct = [
        "SELECT a FROM t WHERE x = 1",
        "SELECT b FROM t WHERE x = 1",
        "SELECT a FROM t WHERE x = 1 AND y = 1",
        "SELECT a FROM t WHERE x > 1",
        "SELECT a FROM t WHERE x IN (1)",
        "SELECT a FROM t WHERE x IN (1, 2)",
        "SELECT a FROM t WHERE x IN (1, y)",
        "SELECT a FROM t WHERE x IS NULL",
        "SELECT a FROM \"T\" WHERE x = 1",
        "SELECT f(1) FROM t",
        "SELECT f(1, 2) FROM t",
        "SELECT f(1, 2, 3) FROM t",
        "SELECT ab c FROM t",
        "SELECT a bc FROM t",
    ];
    let ids: std::collections::HashSet<_> = distinct.map(id).into_iter().collect();
    assert_eq!(ids.len(), distinct.len());
}

#[test]
fn fingerprints_are_the_same_in_every_version() {
    // Stored baselines compare them across releases.
    assert_eq!(id("SELECT 1").to_string(), "165e1b1e8e81b5dc");
}

#[test]
fn shapes_answer_what_lints_ask() {
    let shape = |sql| Statement::parse(sql, Dialect::Sqlite).shape();
    let lookup = shape("SELECT p.* FROM planes p WHERE tailnum = ?");
    assert!(lookup.star && lookup.filter && lookup.key_lookup && !lookup.key_list && !lookup.limit);
    assert!(shape("SELECT a FROM t WHERE k IN (?)").key_lookup);
    assert!(shape("SELECT a FROM t WHERE k IN (?, ?)").key_list);
    assert!(!shape("SELECT a FROM t WHERE k IN (?, ?)").key_lookup);
    assert!(shape("SELECT a FROM t WHERE k = ANY($1)").key_list);
    assert!(!shape("SELECT a FROM t WHERE k NOT IN (?, ?)").key_list);
    assert!(!shape("SELECT CASE WHEN k = ? THEN 1 END FROM t").key_lookup);
    assert!(shape("SELECT a FROM t JOIN u ON u.k = ?").key_lookup);
    assert!(shape("SELECT a FROM t WHERE k = lower(?)").key_parameter);
    assert!(shape("SELECT a FROM t WHERE (k, l) = (?, ?)").key_parameter);
    assert!(shape("SELECT a FROM t WHERE (k, l) IN ((?, ?), (?, ?))").list_parameter);
    let literals = shape("SELECT a FROM t WHERE k = 'x' AND l IN (1, 2) LIMIT 1");
    assert!(literals.key_lookup && literals.key_list && literals.single);
    assert!(!literals.key_parameter && !literals.list_parameter);
    assert!(shape("SELECT a FROM t WHERE k > ? LIMIT 3").range);
    assert!(shape("SELECT a FROM t WHERE (k, l) > (?, ?)").range);
    assert!(shape("SELECT a FROM t WHERE k < now()").range);
    assert!(shape("SELECT a FROM t WHERE k >= ?").range);
    assert!(!shape("SELECT a FROM t WHERE k <> ?").key_lookup);
    assert!(shape("SELECT a FROM t LIMIT 5 OFFSET 10").offset);
    assert!(shape("SELECT a FROM t LIMIT 5, 10").offset);
    assert!(shape("SELECT count(*) FROM t").aggregate && !shape("SELECT count(*) FROM t").star);
    assert!(!shape("SELECT a * 2 FROM t").star);
    let verbs = [
        ("WITH x AS (SELECT 1) SELECT * FROM x", Verb::Select),
        (
            "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x",
            Verb::Insert,
        ),
        ("REPLACE INTO t VALUES (1)", Verb::Insert),
        ("SELECT a FROM t FOR UPDATE", Verb::Select),
        ("UPDATE t SET a = 1", Verb::Update),
        ("DELETE FROM t", Verb::Delete),
        ("BEGIN", Verb::Other),
    ];
    for (sql, verb) in verbs {
        assert_eq!(shape(sql).verb, verb, "{sql}");
    }
}

#[test]
fn a_question_mark_is_a_placeholder_wherever_a_value_must_stand() {
    let cases = [
        ("SELECT m FROM p WHERE t = ?", "SELECT m FROM p WHERE t = ?"),
        (
            "SELECT m FROM p WHERE t >= ? LIMIT ?",
            "SELECT m FROM p WHERE t >= ? LIMIT ?",
        ),
        (
            "SELECT m FROM p WHERE t IN (?,?,?1)",
            "SELECT m FROM p WHERE t IN (?, ...)",
        ),
    ];
    for (sql, expected) in cases {
        for dialect in DIALECTS {
            let statement = Statement::parse(sql, dialect);
            assert_eq!(statement.text(), expected, "{dialect:?}");
            assert!(statement.shape().parameters, "{dialect:?}: {sql}");
        }
        let shape = |dialect| Statement::parse(sql, dialect).shape();
        assert_eq!(shape(Dialect::Postgres), shape(Dialect::Sqlite), "{sql}");
    }
    // Between values it is an operator of Postgres' `jsonb`.
    for sql in [
        "SELECT d ? 'k' FROM t",
        "SELECT d->'a' ?| ARRAY['k'] FROM t",
        "SELECT d @? '$.a' FROM t",
    ] {
        assert!(
            !Statement::parse(sql, Dialect::Postgres).shape().parameters,
            "{sql}"
        );
    }
}

#[test]
fn operators_are_read_whole() {
    let shape = |sql| Statement::parse(sql, Dialect::Postgres).shape();
    let unequal = shape("SELECT a FROM t WHERE id != 5");
    assert!(!unequal.key_lookup && !unequal.range);
    let arrow = shape("SELECT d->>'name', d->'x' FROM t WHERE id = $1 LIMIT 1");
    assert!(arrow.key_lookup && !arrow.range);
    assert!(!shape("SELECT a FROM t WHERE d @> '{}' AND d <@ '{}' AND d #>> '{a}' IS NULL").range);
    assert!(shape("SELECT a FROM t WHERE d->>'n' > 'x'").range);
    let equal = Statement::parse("SELECT a FROM t WHERE id <=> 5", Dialect::MySql).shape();
    assert!(equal.key_lookup && !equal.range);
}

#[test]
fn no_value_survives_in_another_guise() {
    let sqlite = |sql| Statement::parse(sql, Dialect::Sqlite).text().to_owned();
    // What SQLite takes for a string where it knows no such column.
    assert_eq!(
        sqlite("SELECT \"a\" FROM \"t\" WHERE \"n\" = \"s3cret\" AND m LIKE \"x%\" AND k<>\"y\""),
        "SELECT \"a\" FROM \"t\" WHERE \"n\" = ? AND m LIKE ? AND k <> ?"
    );
    assert_eq!(
        sqlite("SELECT 1 FROM t JOIN u ON \"t\".\"a\" = \"u\".\"b\""),
        "SELECT ? FROM t JOIN u ON \"t\".\"a\" = \"u\".\"b\""
    );
    assert_eq!(
        text("SELECT 1 FROM t JOIN u ON a = \"b\""),
        "SELECT ? FROM t JOIN u ON a = \"b\""
    );
    assert_eq!(
        text("SELECT a FROM t WHERE x = TRUE"),
        "SELECT a FROM t WHERE x = ?"
    );
    assert_eq!(
        id("SELECT a FROM t WHERE x = TRUE"),
        id("SELECT a FROM t WHERE x = false")
    );
}

#[test]
fn texts_are_cut_at_4_kib() {
    for word in ["a + ", "abcdefgh + ", "(a, b), "] {
        let long = format!("SELECT {}", word.repeat(100_000));
        let statement = Statement::parse(&long, Dialect::Postgres);
        assert!(statement.text().len() <= 4_096, "{word}");
    }
    // What lies beyond the cut still tells statements apart.
    let tail = |end: &str| id(&format!("SELECT {}{end}", "abcdefgh + ".repeat(1_000)));
    assert_ne!(tail("(b, c), (b, d)"), tail("(b, c), (b, e)"));
    assert_ne!(tail("(b), (c)"), tail("(b), (b)"));
}

/// A literal of any form that all dialects know.
fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>()
            .prop_filter("finite", |number| number.is_finite())
            .prop_map(|number| format!("{number:e}")),
        "[a-zA-Z0-9 ;,()\\-é$?]{0,20}".prop_map(|text| format!("'{text}'")),
        "[a-z ]{0,8}".prop_map(|text| format!("'{text}''{text}'")),
        "[0-9a-f]{2,8}".prop_map(|digits| format!("0x{digits}")),
    ]
}

fn blank() -> impl Strategy<Value = &'static str> {
    select(vec![" ", "\n\t", " /* a 'comment */ ", " -- it's\n"])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_has_a_fingerprint(sql in ".{0,200}", dialect in select(DIALECTS.to_vec())) {
        let statement = Statement::parse(&sql, dialect);
        prop_assert_eq!(&Statement::parse(&sql, dialect), &statement);
    }

    #[test]
    fn sql_like_text_has_a_fingerprint(
        parts in vec(select(vec![
            "SELECT", "'", "\"", "`", "$", "$$", "$a$", "(", ")", "[", "]", ",", "IN", "--", "/*", "*/", "1",
            "e'", "\\", ".", ":", "?", "é", "#", "-", "\n", " ", "VALUES", "0x", "1e", "U&'",
        ]), 0..60),
        dialect in select(DIALECTS.to_vec()),
    ) {
        let statement = Statement::parse(&parts.concat(), dialect);
        // Strings are values, unless the quote stands in a quoted name.
        let names = statement.text().contains(['"', '`', '[']);
        prop_assert!(names || !statement.text().contains('\''), "{}", statement.text());
    }

    #[test]
    fn values_make_no_difference_and_do_not_survive(
        values in vec(literal(), 6), blanks in vec(blank(), 6), rows in 2..6_usize, dialect in select(DIALECTS.to_vec()),
    ) {
        let [a, b, c, d, e, f] = &values[..] else { unreachable!() };
        let [s, t, u, v, w, x] = blanks[..] else { unreachable!() };
        let list = vec![b.as_str(); rows].join(",");
        let row = format!("({c}, {d}, now())");
        let tuples = vec![row.as_str(); rows].join(", ");
        let cases = [
            (
                format!("SELECT{s}k{t}FROM r WHERE a{u}={v}{a} AND b IN{w}({list}){x}AND c BETWEEN {e} AND {f} LIMIT 5"),
                "SELECT k FROM r WHERE a = ? AND b IN (?, ...) AND c BETWEEN ? AND ? LIMIT ?",
            ),
            (format!("insert{s}INTO r (a, b, c) VALUES {tuples}"), "insert INTO r (a, b, c) VALUES (?, ?, now()), ..."),
        ];
        for (sql, expected) in cases {
            let statement = Statement::parse(&sql, dialect);
            prop_assert_eq!(statement.text(), expected, "{}", sql);
        }
    }
}
