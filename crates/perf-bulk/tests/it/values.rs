use crate::support::{execute, memory};
use perf_bulk::{
    Atomicity, BoxError, BulkError, BulkInsert, BulkRow, ConstraintKind, SqliteCells, SqliteValue,
};
use proptest::prelude::*;
use sqlx::{Row as _, Sqlite, SqliteConnection};
use std::borrow::Cow;
use std::sync::Arc;

#[derive(BulkRow)]
struct Everything<'a> {
    small: u8,
    signed: i64,
    flag: bool,
    single: f32,
    real: f64,
    text: Cow<'a, str>,
    shared: Arc<str>,
    blob: Vec<u8>,
    bytes: [u8; 3],
    json: serde_json::Value,
    absent: Option<&'a str>,
    present: Option<Box<i32>>,
}

async fn everything() -> SqliteConnection {
    let mut connection = memory().await;
    execute(
        &mut connection,
        "CREATE TABLE everything (small, signed, flag, single, real, text, shared, blob, bytes, json, \
         absent, present)",
    )
    .await;
    connection
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_type_comes_back_as_it_went(
        signed in any::<i64>(),
        real in prop::num::f64::ANY.prop_filter("NaN is refused", |real| !real.is_nan()),
        text in any::<String>(),
        blob in any::<Vec<u8>>(),
    ) {
        runtime().block_on(async {
            let mut connection = everything().await;
            let row = Everything {
                small: u8::MAX,
                signed,
                flag: true,
                single: 0.5,
                real,
                text: Cow::Borrowed(&text),
                shared: text.as_str().into(),
                blob: blob.clone(),
                bytes: [0, 1, 255],
                json: serde_json::json!({ "text": text }),
                absent: None,
                present: Some(Box::new(-1)),
            };
            BulkInsert::into("everything").execute(&mut connection, [&row]).await.unwrap();
            let stored = sqlx::query("SELECT *, typeof(flag) || typeof(blob) || typeof(absent) AS types FROM everything")
                .fetch_one(&mut connection)
                .await
                .unwrap();
            assert_eq!(stored.get::<i64, _>("small"), 255);
            assert_eq!(stored.get::<i64, _>("signed"), signed);
            assert_eq!(stored.get::<f64, _>("single"), 0.5);
            assert_eq!(stored.get::<f64, _>("real"), real);
            assert_eq!(stored.get::<String, _>("text"), text);
            assert_eq!(stored.get::<String, _>("shared"), text);
            assert_eq!(stored.get::<Vec<u8>, _>("blob"), blob);
            assert_eq!(stored.get::<Vec<u8>, _>("bytes"), [0, 1, 255]);
            assert_eq!(stored.get::<String, _>("json"), row.json.to_string());
            assert_eq!(stored.get::<Option<String>, _>("absent"), None);
            assert_eq!(stored.get::<i64, _>("present"), -1);
            assert_eq!(stored.get::<String, _>("types"), "integerblobnull");
        });
    }
}

#[derive(BulkRow, Clone, Copy, Debug)]
struct Measure {
    id: u64,
    value: f64,
}

#[tokio::test]
async fn what_cannot_be_stored_is_named_with_row_and_column() {
    let mut connection = memory().await;
    execute(
        &mut connection,
        "CREATE TABLE measures (id INTEGER, value REAL)",
    )
    .await;
    let good = Measure { id: 1, value: 1.0 };
    let cases = [
        (
            Measure {
                value: f64::NAN,
                ..good
            },
            "value",
        ),
        (
            Measure {
                id: u64::MAX,
                ..good
            },
            "id",
        ),
    ];
    for (bad, name) in cases {
        let rows = [good, good, bad, good];
        let error = BulkInsert::into("measures")
            .execute(&mut connection, rows)
            .await
            .unwrap_err();
        assert!(
            matches!(&error, BulkError::Encode { row: 2, column, .. } if column == name),
            "{error:?}"
        );
        let insert = BulkInsert::into("measures").atomicity(Atomicity::BestEffort);
        let report = insert.execute(&mut connection, rows).await.unwrap();
        assert_eq!((report.written, report.failed[0].index), (3, 2));
    }
}

#[tokio::test]
async fn a_strict_table_refuses_what_does_not_fit() {
    #[derive(BulkRow, Debug)]
    struct Seats {
        seats: &'static str,
    }
    let mut connection = memory().await;
    execute(
        &mut connection,
        "CREATE TABLE strict (seats INTEGER NOT NULL) STRICT",
    )
    .await;
    let rows = [Seats { seats: "12" }, Seats { seats: "twelve" }];
    let error = BulkInsert::into("strict")
        .execute(&mut connection, rows)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, BulkError::Constraint { row: Some(1), kind: ConstraintKind::DataType, columns, .. } if *columns == ["seats"]),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_row_beyond_the_length_limit_is_too_large() {
    #[derive(BulkRow, Debug)]
    struct Note {
        text: String,
    }
    let mut connection = memory().await;
    execute(&mut connection, "CREATE TABLE notes (text TEXT)").await;
    let rows = [0, 1_000_000_001].map(|length| Note {
        text: "x".repeat(length),
    });
    let insert = BulkInsert::into("notes").atomicity(Atomicity::BestEffort);
    let report = insert.execute(&mut connection, rows).await.unwrap();
    assert_eq!(report.written, 1);
    assert!(matches!(
        report.failed[0].error,
        BulkError::RowTooLarge { row: 1, .. }
    ));
}

#[tokio::test]
async fn a_row_that_miscounts_its_columns_is_refused() {
    #[derive(Debug)]
    struct Ragged(usize);
    impl BulkRow<Sqlite> for Ragged {
        const COLUMNS: &'static [&'static str] = &["id", "tailnum", "seats"];

        fn encode<'r>(&'r self, cells: &mut SqliteCells<'r>) -> Result<(), BoxError> {
            (0..self.0).for_each(|_| cells.push(SqliteValue::Integer(1)));
            Ok(())
        }
    }
    let mut connection = memory().await;
    for found in [0, 2, 4] {
        let rows = [Ragged(3), Ragged(found)];
        let error = BulkInsert::into("planes")
            .execute(&mut connection, rows)
            .await
            .unwrap_err();
        assert!(
            matches!(error, BulkError::ColumnCount { row: 1, expected: 3, found: f } if f == found),
            "{error:?}"
        );
    }
}
