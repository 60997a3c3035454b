//! Sparse fields, estimates, and executors other than a pool.

use crate::rows::{self, Row};
use perf_paginate::{
    CountMode, Decimal, Error, Exclusive, Field, FieldValue, Filter, Kind, Page, PageQuery,
    Paginator, Plain, Record, Resource, Schema, Signed, SliceSource, SqlSource, Timestamp, Total,
    Value,
};
use perf_testkit::{MariaDbServer, PostgresServer};
use sqlx::mysql::MySqlPool;
use sqlx::postgres::PgPool;
use sqlx::{MySql, Postgres, Sqlite};

fn values(page: &Page<Record>) -> Vec<Vec<Value>> {
    let values = |record: &Record| record.fields().map(|(_, value)| value.clone()).collect();
    page.items.iter().map(values).collect()
}

#[tokio::test]
async fn only_what_is_asked_for_is_selected() {
    let pool = rows::table().await;
    let row = |id: i64| Row {
        id,
        a: (id > 2).then_some(id),
        b: Some(format!("b{id}")),
        c: 0,
        d: true,
    };
    let all: Vec<Row> = (1..=5).map(row).collect();
    rows::fill(&pool, &all).await;
    let source = SqlSource::<Sqlite, Row>::new(pool).unwrap();
    let database = Paginator::new(source, Plain);
    let memory = SliceSource::new(Row::schema().unwrap(), all);
    let memory = Paginator::new(memory, Plain);
    let query = PageQuery::new().sort("-a").fields(["d", "b"]).size(2);
    let mut cursor = None;
    let mut shown = Vec::new();
    loop {
        let query = cursor.into_iter().fold(query.clone(), PageQuery::cursor);
        let page = database.records(&query).await.unwrap();
        assert_eq!(page, memory.records(&query).await.unwrap());
        shown.extend(values(&page));
        cursor = page.info.next;
        if cursor.is_none() {
            break;
        }
    }
    let expected = ["b5", "b4", "b3", "b2", "b1"].map(|b| vec![Value::Bool(true), b.into()]);
    assert_eq!(shown, expected);

    let request = database.check(&query).unwrap();
    assert!(request.size() == 2);
    let everything = database.records(&PageQuery::new()).await.unwrap();
    assert_eq!(everything.items[0].value("c"), Some(&Value::Int(0)));
    assert_eq!(everything.items[0].value("x"), None);
    for (fields, message) in [
        ("x", "there is no field \"x\""),
        ("a,a", "field \"a\" is asked for twice"),
        ("", "there is no field \"\""),
    ] {
        let query = PageQuery::parse(&format!("fields={fields}")).unwrap();
        let error = database.records(&query).await.unwrap_err();
        assert_eq!((error.status(), error.to_string().as_str()), (400, message));
    }
}

/// A row with a field of every kind, none of which is decoded but through its schema.
#[derive(Debug)]
struct Anything;

macro_rules! never_read {
    ($($database:ident :: $row:ident),*) => {$(
        impl sqlx::FromRow<'_, sqlx::$database::$row> for Anything {
            fn from_row(_: &sqlx::$database::$row) -> Result<Self, sqlx::Error> {
                panic!("a whole row was read")
            }
        }
    )*};
}
never_read!(postgres::PgRow, mysql::MySqlRow, sqlite::SqliteRow);

fn field<V: FieldValue + Clone + Send + Sync + 'static>(
    name: &'static str,
    example: V,
) -> Field<Anything> {
    Field::new(name, move |_: &Anything| example.clone())
        .sortable()
        .filterable()
}

fn schema(exact: bool) -> Schema<Anything> {
    let schema = Schema::builder("things")
        .field(field("id", 0_i64))
        .field(field("truth", None::<bool>))
        .field(field("small", None::<i16>))
        .field(field("large", None::<u64>))
        .field(Field::new("float", |_: &Anything| None::<f64>).filterable())
        .field(field("text", None::<String>))
        .field(field("bytes", None::<Vec<u8>>))
        .field(field("moment", None::<Timestamp>))
        .field(field("uuid", None::<[u8; 16]>))
        .key(["id"]);
    let schema = if exact {
        schema.field(field("exact", None::<Decimal>))
    } else {
        schema
    };
    schema.build().unwrap()
}

/// Walks by each field, back and forth, over rows whose values are the extremes of their kinds.
async fn extremes<S: perf_paginate::PageSource>(source: S, exact: bool) {
    let paginator = Paginator::new(source, Signed::new(&[7; 32]).unwrap());
    let all = paginator.records(&PageQuery::new()).await.unwrap();
    assert_eq!(all.items.len(), 4);
    let mut sorts = vec![
        "id", "truth", "small", "large", "text", "bytes", "moment", "uuid",
    ];
    if exact {
        sorts.push("exact");
    }
    for sort in sorts {
        for sort in [sort.to_owned(), format!("-{sort}:nulls_first")] {
            let query = PageQuery::new().sort(&sort).size(1);
            let mut page = paginator.records(&query).await.unwrap();
            let mut seen = values(&page);
            while let Some(next) = page.info.next {
                assert!(next.as_str().len() <= 1_024);
                page = paginator
                    .records(&query.clone().cursor(next))
                    .await
                    .unwrap();
                assert!(page.info.has_prev, "{sort}");
                seen.extend(values(&page));
            }
            assert_eq!(seen.len(), 4, "{sort}");
            for row in &all.items {
                let row: Vec<Value> = row.fields().map(|(_, value)| value.clone()).collect();
                assert!(seen.contains(&row), "{sort}");
                // What a row holds is found by filtering for it.
                for (name, value) in all.items[0].fields() {
                    let found =
                        PageQuery::new().filter(Filter::is_in(name.to_owned(), [value.clone()]));
                    assert!(
                        !paginator.records(&found).await.unwrap().items.is_empty(),
                        "{name}"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn values_of_every_kind_survive_postgres() {
    let database = PostgresServer::shared().unwrap().database().unwrap();
    let pool = PgPool::connect(&database.url_unix()).await.unwrap();
    sqlx::raw_sql(
        r#"CREATE TABLE things (id BIGINT PRIMARY KEY, truth BOOLEAN, small SMALLINT, large BIGINT, float REAL, text TEXT COLLATE "C",
                                bytes BYTEA, moment TIMESTAMPTZ, uuid UUID, exact NUMERIC);
           INSERT INTO things VALUES
             (1, true, 32767, 9223372036854775807, 0.5, 'é"''', '\x00ff', '294276-12-31T23:59:59.999999Z',
              'ffffffff-ffff-ffff-ffff-ffffffffffff', 123456789012345678901234567890.123456789),
             (2, false, -32768, 0, -1.5, '', '\x', '0001-01-01T00:00:00.000001Z', '00000000-0000-0000-0000-000000000000', -0.000001),
             (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
             (4, true, 0, 1, 0, 'z', '\x01', '2000-01-01T00:00:00.000001Z', '00000000-0000-0000-0000-000000000001', 10000);"#,
    )
    .execute(&pool)
    .await
    .unwrap();
    let source = SqlSource::<Postgres, Anything>::with_schema(pool, schema(true)).unwrap();
    extremes(source, true).await;
}

#[tokio::test]
async fn values_of_every_kind_survive_mariadb() {
    let database = MariaDbServer::shared().unwrap().database().unwrap();
    let pool = MySqlPool::connect(&database.url_unix()).await.unwrap();
    sqlx::raw_sql(
        "CREATE TABLE things (id BIGINT PRIMARY KEY, truth BOOLEAN, small SMALLINT, large BIGINT UNSIGNED, `float` DOUBLE,
                              text VARCHAR(20) COLLATE utf8mb4_nopad_bin, bytes VARBINARY(20), moment DATETIME(6), uuid BINARY(16),
                              exact DECIMAL(65, 30));
         INSERT INTO things VALUES
           (1, true, 32767, 18446744073709551615, 0.5, 'é', x'00ff', '9999-12-31 23:59:59.999999', x'ffffffffffffffffffffffffffffffff',
            12345678901234567890123456789012345.123456789012345678901234567890),
           (2, false, -32768, 0, -1.5, '', x'', '1000-01-01 00:00:00.000001', x'00000000000000000000000000000000', -0.000001),
           (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
           (4, true, 0, 1, 0, 'z', x'01', '2000-01-01 00:00:00', x'00000000000000000000000000000001', 10000);",
    )
    .execute(&pool)
    .await
    .unwrap();
    let source = SqlSource::<MySql, Anything>::with_schema(pool, schema(true)).unwrap();
    extremes(source, true).await;
}

#[tokio::test]
async fn values_of_every_kind_but_decimals_survive_sqlite() {
    let pool = rows::table().await;
    sqlx::raw_sql(
        "CREATE TABLE things (id INTEGER PRIMARY KEY, truth BOOLEAN, small INTEGER, large INTEGER, float REAL, text TEXT, bytes BLOB,
                              moment TEXT, uuid BLOB);
         INSERT INTO things VALUES
           (1, true, 32767, 9223372036854775807, 0.5, 'é', x'00ff', '9999-12-31T23:59:59.999999999+00:00', x'ffffffffffffffffffffffffffffffff'),
           (2, false, -32768, 0, -1.5, '', x'', '1000-01-01T00:00:00.000001+00:00', x'00000000000000000000000000000000'),
           (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
           (4, true, 0, 1, 0, 'z', x'01', '2000-01-01T00:00:00+00:00', x'00000000000000000000000000000001');",
    )
    .execute(&pool)
    .await
    .unwrap();
    let source = SqlSource::<Sqlite, Anything>::with_schema(pool.clone(), schema(false)).unwrap();
    extremes(source, false).await;
    let inexact = SqlSource::<Sqlite, Anything>::with_schema(pool, schema(true)).unwrap_err();
    assert!(matches!(inexact, Error::Configuration(_)));
    assert_eq!(Decimal::KIND, Kind::Decimal);
}

#[tokio::test]
async fn a_walk_within_a_transaction_sees_what_it_wrote() {
    let pool = rows::table().await;
    let mut transaction = pool.begin().await.unwrap();
    sqlx::query("INSERT INTO rows VALUES (1, NULL, NULL, 2, 3)")
        .execute(&mut *transaction)
        .await
        .unwrap();
    let exclusive = Exclusive::new(transaction);
    let source = SqlSource::<Sqlite, Row, _>::new(exclusive.clone()).unwrap();
    let paginator = Paginator::new(source, Plain);
    assert_eq!(
        paginator.page(&PageQuery::new()).await.unwrap().items.len(),
        1
    );
    sqlx::query("INSERT INTO rows VALUES (2, NULL, NULL, 2, 3)")
        .execute(&mut **exclusive.lock().await)
        .await
        .unwrap();
    assert_eq!(
        paginator.page(&PageQuery::new()).await.unwrap().items.len(),
        2
    );
    drop(paginator);
    exclusive.into_inner().unwrap().rollback().await.unwrap();
    let source = SqlSource::<Sqlite, Row>::new(pool.clone()).unwrap();
    let empty = Paginator::new(source, Plain).page(&PageQuery::new()).await;
    assert_eq!(empty.unwrap().items, []);

    let connection = Exclusive::new(pool.acquire().await.unwrap());
    let source = SqlSource::<Sqlite, Row, _>::new(connection).unwrap();
    let empty = Paginator::new(source, Plain).page(&PageQuery::new()).await;
    assert_eq!(empty.unwrap().items, []);
}

#[tokio::test]
async fn an_estimate_is_never_shown_as_a_count() {
    let counted = PageQuery::new().size(1).count(CountMode::Estimated);
    let database = PostgresServer::shared().unwrap().database().unwrap();
    let pool = PgPool::connect(&database.url_unix()).await.unwrap();
    sqlx::raw_sql(
        "CREATE TABLE rows (id BIGINT PRIMARY KEY, a BIGINT, b TEXT, c BIGINT NOT NULL, d BOOLEAN NOT NULL);
         INSERT INTO rows SELECT id, id, 'b', id % 10, true FROM generate_series(1::bigint, 1000) AS id;
         ANALYZE rows;",
    )
    .execute(&pool)
    .await
    .unwrap();
    let source = SqlSource::<Postgres, Row>::new(pool).unwrap();
    let postgres = Paginator::new(source, Plain);
    let total = |page: Page<Row>| page.total;
    let all = postgres.page(&counted).await.map(total).unwrap();
    assert_eq!(all, Total::Estimated(1_000));
    let tenth = counted.clone().filter(Filter::eq("c", 3_i64));
    let Total::Estimated(tenth) = postgres.page(&tenth).await.unwrap().total else {
        panic!("the planner knows")
    };
    assert!((50..200).contains(&tenth), "{tenth}");

    let database = MariaDbServer::shared().unwrap().database().unwrap();
    let pool = MySqlPool::connect(&database.url_unix()).await.unwrap();
    sqlx::raw_sql(
        "CREATE TABLE `rows` (id BIGINT PRIMARY KEY, a BIGINT, b TEXT, c BIGINT NOT NULL, d BOOLEAN NOT NULL);
         INSERT INTO `rows` SELECT seq, seq, 'b', seq % 10, true FROM seq_1_to_1000; ANALYZE TABLE `rows`;",
    )
    .execute(&pool)
    .await
    .unwrap();
    let source = SqlSource::<MySql, Row>::new(pool).unwrap();
    let mariadb = Paginator::new(source, Plain).page(&counted).await;
    let Total::Estimated(rows) = mariadb.unwrap().total else {
        panic!("the planner guesses")
    };
    assert!((500..2_000).contains(&rows), "{rows}");

    let pool = rows::table().await;
    let source = SqlSource::<Sqlite, Row>::new(pool).unwrap();
    let sqlite = Paginator::new(source, Plain).page(&counted).await.unwrap();
    assert_eq!(sqlite.total, Total::Exact(0));
}
