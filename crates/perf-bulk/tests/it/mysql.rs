//! What only MySQL and MariaDB do.

use crate::engines::mariadb::{Conn, start};
use crate::support::plane;
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use futures_util::FutureExt;
use perf_bulk::{BulkError, BulkInsert, BulkRow, BulkUpsert, ConstraintKind, Progress};
use perf_testkit::proxy::Silence;
use perf_testkit::{FaultProxy, Faults, MariaDbServer};
use serde_json::json;
use sqlx::types::Decimal;
use sqlx::{Connection, Encode, Executor, MySql, MySqlConnection, Row, Type};
use std::time::Duration;

/// Writes `value` into a column of every type; those where it was stored.
async fn stored_in<T>(connection: &mut Conn, value: T) -> Vec<&'static str>
where
    T: Clone + Send + Sync + for<'q> Encode<'q, MySql> + Type<MySql>,
{
    #[derive(BulkRow, Clone)]
    struct One<T> {
        value: T,
    }
    let mut stored = Vec::new();
    for ty in TYPES {
        let create = format!("CREATE OR REPLACE TABLE one (value {ty})");
        connection
            .execute(sqlx::AssertSqlSafe(create))
            .await
            .unwrap();
        let rows = vec![
            One {
                value: value.clone()
            };
            3
        ];
        match BulkInsert::into("one")
            .execute(&mut *connection, rows)
            .await
        {
            Ok(_) => stored.push(ty),
            Err(BulkError::TypeMismatch { .. }) => {}
            // A text that is none of an enum's.
            Err(BulkError::Constraint {
                kind: ConstraintKind::DataType,
                ..
            }) => {}
            Err(error) => panic!("{ty}: {error:?}"),
        }
    }
    stored
}

const TYPES: [&str; 16] = [
    "boolean",
    "smallint",
    "int",
    "bigint",
    "bigint unsigned",
    "float",
    "double",
    "decimal(20, 5)",
    "varchar(50)",
    "text",
    "blob",
    "date",
    "time",
    "datetime",
    "timestamp",
    "enum('a', 'text')",
];

#[tokio::test]
async fn no_value_is_stored_in_a_column_of_another_type() {
    let (_engine, mut connection) = start().await;
    let c = &mut connection;
    let integers = ["boolean", "smallint", "int", "bigint"];
    let texts = ["varchar(50)", "text", "enum('a', 'text')"];
    assert_eq!(
        stored_in(c, true).await,
        [&integers[..], &["bigint unsigned"]].concat()
    );
    assert_eq!(stored_in(c, 1_i16).await, integers);
    assert_eq!(stored_in(c, 1_i64).await, integers);
    assert_eq!(stored_in(c, 1_u64).await, ["bigint unsigned"]);
    assert_eq!(stored_in(c, Some(1.5_f64)).await, ["float", "double"]);
    assert_eq!(stored_in(c, Decimal::new(15, 1)).await, ["decimal(20, 5)"]);
    assert_eq!(stored_in(c, "text").await, texts);
    assert_eq!(stored_in(c, NaiveDate::default()).await, ["date"]);
    assert_eq!(stored_in(c, NaiveTime::MIN).await, ["time"]);
    let now = DateTime::<Utc>::from_timestamp(1_700_000_000, 0).unwrap();
    let moments = ["datetime", "timestamp"];
    assert_eq!(stored_in(c, now).await, moments);
    assert_eq!(stored_in(c, now.naive_utc()).await, ["datetime"]);
    assert_eq!(
        stored_in(c, json!("text")).await,
        ["varchar(50)", "text", "blob"]
    );
}

#[derive(BulkRow, Clone, Debug, PartialEq, sqlx::FromRow)]
struct Everything {
    id: i64,
    flag: bool,
    count: u64,
    ratio: f64,
    price: Decimal,
    name: String,
    data: Vec<u8>,
    day: Option<NaiveDate>,
    time: Option<NaiveTime>,
    moment: Option<DateTime<Utc>>,
    document: serde_json::Value,
}

#[tokio::test]
async fn every_type_comes_back_as_it_went() {
    let (_engine, mut connection) = start().await;
    connection
        .execute(
            "CREATE TABLE everything (id bigint, flag boolean, count bigint unsigned, ratio double, \
             price decimal(30, 10), name varchar(100), data longblob, day date, time time(6), \
             moment datetime(6), document json) CHARACTER SET utf8mb4",
        )
        .await
        .unwrap();
    let rows: Vec<_> = (0..300)
        .map(|id| match id % 2 {
            0 => Everything {
                id: i64::MIN + id,
                flag: true,
                count: u64::MAX,
                ratio: f64::MAX,
                price: Decimal::new(i64::MAX, 10),
                name: "é\u{1F6EB} '\"\\\0".to_owned(),
                data: vec![0, 255, 39, 92],
                day: NaiveDate::from_ymd_opt(9_999, 12, 31),
                time: NaiveTime::from_hms_micro_opt(23, 59, 59, 999_999),
                moment: DateTime::from_timestamp(253_402_300_799, 999_999_000),
                document: json!({ "a": [1, null] }),
            },
            _ => Everything {
                id,
                flag: false,
                count: 0,
                ratio: -0.5,
                price: Decimal::new(-1, 10),
                name: String::new(),
                data: vec![],
                day: None,
                time: None,
                moment: None,
                document: json!(null),
            },
        })
        .collect();
    let insert = BulkInsert::into("everything");
    insert.execute(&mut connection, &rows).await.unwrap();
    let mut stored: Vec<Everything> = sqlx::query_as("SELECT * FROM everything")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let mut rows = rows;
    rows.sort_by_key(|row| row.id);
    stored.sort_by_key(|row| row.id);
    assert_eq!(stored.len(), rows.len());
    for (stored, row) in stored.iter().zip(&rows) {
        assert_eq!(stored, row);
    }
}

#[derive(BulkRow, Clone)]
struct Text {
    id: i64,
    body: String,
}

#[tokio::test]
async fn statements_keep_below_the_packet_limit_and_a_row_above_it_is_named() {
    let server = MariaDbServer::start_with(&["--max-allowed-packet=64K"]).unwrap();
    let database = server.database().unwrap();
    let mut connection = MySqlConnection::connect(&database.url()).await.unwrap();
    connection
        .execute("CREATE TABLE texts (id bigint PRIMARY KEY, body longtext)")
        .await
        .unwrap();
    let text = |id: i64, length: usize| Text {
        id,
        body: "x".repeat(length),
    };
    let rows: Vec<_> = (0..200).map(|id| text(id, 7_000)).collect();
    let insert = || BulkInsert::into("texts");
    let report = insert().execute(&mut connection, rows).await.unwrap();
    assert_eq!(report.written, 200);

    let rows = [text(300, 10), text(301, 70_000), text(302, 10)];
    let error = insert().execute(&mut connection, rows).await.map(drop);
    assert!(
        matches!(&error, Err(error @ BulkError::RowTooLarge { .. }) if error.row() == Some(1)),
        "{error:?}"
    );
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM texts")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(stored, 200);
}

#[tokio::test]
async fn a_value_out_of_range_is_located_by_the_server() {
    let (_engine, mut connection) = start().await;
    connection
        .execute("CREATE TABLE small (tag smallint); CREATE TABLE short (tailnum varchar(4))")
        .await
        .unwrap();
    #[derive(BulkRow)]
    struct Tag {
        tag: i64,
    }
    let rows = (0..100).map(|id| Tag {
        tag: if id == 77 { 40_000 } else { id },
    });
    let insert = BulkInsert::into("small");
    let error = insert.execute(&mut connection, rows).await.map(drop);
    assert!(
        matches!(
            &error,
            Err(BulkError::Constraint { row: Some(77), kind: ConstraintKind::DataType, columns, .. })
                if columns == &["tag"]
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn keys_that_only_the_database_takes_for_equal_are_refused() {
    let (_engine, mut connection) = start().await;
    let mut rows = [plane(1), plane(2)];
    rows[0].tailnum = Some("dl".to_owned());
    rows[1].tailnum = Some("DL".to_owned());
    let upsert = BulkUpsert::into("planes").on_conflict(["tailnum"]);
    let error = upsert.execute(&mut connection, &rows).await;
    assert!(
        matches!(
            &error,
            Err(BulkError::Constraint {
                kind: ConstraintKind::Unique,
                ..
            })
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_deadlock_inside_the_callers_transaction_is_reported_as_its_end() {
    let (engine, mut first) = start().await;
    BulkInsert::into("planes")
        .execute(&mut first, (0..2).map(plane))
        .await
        .unwrap();
    let mut second = engine.connect().await;
    let mut ours = first.begin().await.unwrap();
    let mut theirs = second.begin().await.unwrap();
    // The one that has changed more is spared.
    ours.execute("UPDATE planes SET seats = 50 WHERE id = 0")
        .await
        .unwrap();
    theirs
        .execute("UPDATE planes SET seats = 51 WHERE id = 1")
        .await
        .unwrap();
    theirs
        .execute("INSERT INTO tickets (tag) VALUES (1), (2), (3), (4), (5)")
        .await
        .unwrap();
    let upsert = BulkUpsert::into("planes").on_conflict(["id"]);
    let rows = [plane(1)];
    let (error, theirs_done) = tokio::join!(
        upsert.execute(&mut ours, &rows),
        theirs.execute("UPDATE planes SET seats = 52 WHERE id = 0"),
    );
    theirs_done.unwrap();
    assert!(
        matches!(&error, Err(BulkError::TransactionLost { .. })),
        "{error:?}"
    );
    theirs.commit().await.unwrap();
    drop(ours);
    let row = first.fetch_one("SELECT CAST(42 AS SIGNED)").await.unwrap();
    assert_eq!(row.get::<i64, _>(0), 42);
}

/// A server so far away that an answer is on its way for as long as a test likes.
#[tokio::test]
async fn a_call_dropped_before_its_begin_is_answered_leaves_nothing_that_could_be_lost() {
    let server = MariaDbServer::shared().unwrap();
    let database = server.database().unwrap();
    let proxy = FaultProxy::start(server.address()).unwrap();
    let url = database.url_through(proxy.address());
    let mut connection = MySqlConnection::connect(&url).await.unwrap();
    let mut other = MySqlConnection::connect(&database.url()).await.unwrap();
    other
        .execute("CREATE TABLE planes (id bigint PRIMARY KEY, tailnum text, seats bigint)")
        .await
        .unwrap();
    let count = "SELECT CAST(count(*) AS SIGNED) FROM planes";

    proxy.set(Faults::none().with_delay(Duration::from_millis(20)));
    let mut insert = BulkInsert::into("planes").execute(&mut connection, [plane(1)]);
    assert!((&mut insert).now_or_never().is_none());
    drop(insert);
    proxy.set(Faults::none());

    let row = connection.fetch_one(count).await.unwrap();
    assert_eq!(row.get::<i64, _>(0), 0);
    let write = "INSERT INTO planes VALUES (2, 'N2', 2)";
    let refused = connection.execute(write).await.unwrap_err();
    assert!(refused.to_string().contains("READ ONLY"), "{refused}");
    other.execute(write).await.unwrap();
    let row = connection.fetch_one(count).await.unwrap();
    assert_eq!(row.get::<i64, _>(0), 1, "it sees what others commit");

    let insert = BulkInsert::into("planes").execute(&mut connection, [plane(3)]);
    assert_eq!(insert.await.unwrap().written, 1);
    connection
        .execute("INSERT INTO planes VALUES (4, 'N4', 4)")
        .await
        .unwrap();
    let row = other.fetch_one(count).await.unwrap();
    assert_eq!(row.get::<i64, _>(0), 3, "the next call has ended it");
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_leaves_its_outcome_open_and_is_not_tried_again() {
    let server = MariaDbServer::shared().unwrap();
    let database = server.database().unwrap();
    let proxy = FaultProxy::start(server.address()).unwrap();
    let url = database.url_through(proxy.address());
    let mut connection = MySqlConnection::connect(&url).await.unwrap();
    let mut other = MySqlConnection::connect(&database.url()).await.unwrap();
    other
        .execute("CREATE TABLE planes (id bigint PRIMARY KEY, tailnum text, seats bigint)")
        .await
        .unwrap();
    // The rows are written, so what follows is the COMMIT.
    let mute = |_: &Progress| proxy.set(Faults::none().with_silence(Silence::ToClient));
    let insert = BulkInsert::into("planes").progress(mute);
    let insert = insert.execute(&mut connection, [plane(1), plane(2)]);
    let lose = async {
        let count = "SELECT CAST(count(*) AS SIGNED) FROM planes";
        for _ in 0..60_000 {
            let row = other.fetch_one(count).await.unwrap();
            if row.get::<i64, _>(0) == 2 {
                return proxy.cut();
            }
            tokio::task::yield_now().await;
        }
        panic!("the COMMIT never came");
    };
    let (outcome, ()) = tokio::join!(insert, lose);
    let error = outcome.unwrap_err();
    assert!(
        matches!(error, BulkError::CommitUnknown { .. }) && !error.is_transient(),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_server_that_dies_midway_is_an_error_and_leaves_nothing() {
    let server = MariaDbServer::start().unwrap();
    let database = server.database().unwrap();
    let mut connection = MySqlConnection::connect(&database.url()).await.unwrap();
    connection
        .execute("CREATE TABLE planes (id bigint PRIMARY KEY, tailnum text, seats bigint)")
        .await
        .unwrap();
    let rows = (0..5_000).map(|id| {
        if id == 2_500 {
            server.kill();
        }
        plane(id)
    });
    let insert = BulkInsert::into("planes").chunk_rows(1_000);
    let error = insert.execute(&mut connection, rows).await.unwrap_err();
    assert!(
        matches!(error, BulkError::Database { .. }) && error.is_transient(),
        "{error:?}"
    );
    server.restart().unwrap();
    let mut connection = MySqlConnection::connect(&database.url()).await.unwrap();
    let row = connection
        .fetch_one("SELECT CAST(count(*) AS SIGNED) FROM planes")
        .await
        .unwrap();
    assert_eq!(row.get::<i64, _>(0), 0);
}
