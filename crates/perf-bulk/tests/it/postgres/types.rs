use super::{connection, database, execute};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use perf_bulk::{BulkError, BulkInsert, BulkRow, Strategy};
use serde_json::{Value, json};
use sqlx::types::Decimal;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

#[derive(Clone, Copy, Debug, PartialEq, sqlx::Type)]
#[sqlx(type_name = "mood", rename_all = "lowercase")]
enum Mood {
    Calm,
    Stormy,
}

#[derive(BulkRow, Clone, Debug, PartialEq, sqlx::FromRow)]
struct Everything {
    id: i32,
    flag: bool,
    small: i16,
    large: i64,
    single: f32,
    double: f64,
    text: String,
    code: String,
    bytes: Vec<u8>,
    uuid: Uuid,
    day: NaiveDate,
    time: DateTime<Utc>,
    plain: Value,
    packed: Value,
    mood: Mood,
    words: Vec<String>,
    maybe: Vec<Option<i64>>,
    moods: Vec<Mood>,
    absent: Option<String>,
}

const EVERYTHING: &str = "CREATE TYPE mood AS ENUM ('calm', 'stormy'); CREATE DOMAIN code AS text; \
     CREATE TABLE everything (id int, flag bool, small smallint, large bigint, single real, \
     double float8, text varchar, code code, bytes bytea, uuid uuid, day date, time timestamptz, \
     plain json, packed jsonb, mood mood, words text[], maybe bigint[], moods mood[], absent text)";

fn everything(id: i32) -> Everything {
    let extreme = id % 2 == 0;
    Everything {
        id,
        flag: extreme,
        small: if extreme { i16::MIN } else { i16::MAX },
        large: if extreme { i64::MIN } else { i64::MAX },
        single: if extreme { f32::MIN } else { f32::INFINITY },
        double: if extreme { f64::MAX } else { -0.0 },
        text: if extreme {
            String::new()
        } else {
            "tab\tquote\"\\N é".to_owned()
        },
        code: "N1".to_owned(),
        bytes: if extreme {
            vec![]
        } else {
            vec![0, 255, 13, 10]
        },
        uuid: Uuid::from_u128(u128::MAX - u128::try_from(id).unwrap()),
        day: if extreme {
            NaiveDate::from_ymd_opt(-4712, 1, 1)
        } else {
            NaiveDate::from_ymd_opt(9999, 12, 31)
        }
        .unwrap(),
        time: DateTime::from_timestamp_micros(if extreme { -62_135_596_800_000_000 } else { 1 })
            .unwrap(),
        plain: json!({ "id": id, "deep": [null, 1.5] }),
        packed: json!([id]),
        mood: if extreme { Mood::Calm } else { Mood::Stormy },
        words: if extreme {
            vec![]
        } else {
            vec!["a".to_owned(), String::new()]
        },
        maybe: vec![Some(1), None],
        moods: if extreme {
            vec![Mood::Stormy, Mood::Calm]
        } else {
            vec![]
        },
        absent: None,
    }
}

#[tokio::test]
async fn every_type_comes_back_as_it_went_by_every_way() {
    let database = database();
    let mut connection = connection(&database).await;
    execute(&mut connection, EVERYTHING).await;
    for count in [3, 300] {
        let rows: Vec<_> = (0..count).map(everything).collect();
        BulkInsert::into("everything")
            .execute(&mut connection, &rows)
            .await
            .unwrap();
        let stored: Vec<Everything> = sqlx::query_as("SELECT * FROM everything ORDER BY id")
            .fetch_all(&mut connection)
            .await
            .unwrap();
        assert_eq!(stored, rows);
        execute(&mut connection, "TRUNCATE everything").await;
    }
}

/// Writes `value` into a column of every type; whether it was stored, for each.
async fn stored_in<T>(connection: &mut PgConnection, value: T, rows: usize) -> Vec<&'static str>
where
    T: Clone + Send + Sync + for<'q> sqlx::Encode<'q, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    #[derive(BulkRow, Clone)]
    struct Row<T> {
        value: T,
    }
    let mut stored = Vec::new();
    for (ty, create) in TYPES {
        // The driver's memory of a table of this name would be of the last one.
        connection.clear_cached_statements().await.unwrap();
        let mut transaction = Connection::begin(&mut *connection).await.unwrap();
        execute(&mut transaction, create).await;
        let rows = vec![
            Row {
                value: value.clone()
            };
            rows
        ];
        match BulkInsert::into("one")
            .execute(&mut transaction, rows)
            .await
        {
            Ok(_) => stored.push(ty),
            Err(BulkError::TypeMismatch { .. }) => {}
            Err(error) => panic!("{ty}: {error:?}"),
        }
        transaction.rollback().await.unwrap();
    }
    stored
}

macro_rules! types {
    ($($ty:literal),*) => { [$(($ty, concat!("CREATE TABLE one (value ", $ty, ")"))),*] };
}

const TYPES: [(&str, &str); 17] = types![
    "bool",
    "smallint",
    "int",
    "bigint",
    "real",
    "float8",
    "numeric",
    "text",
    "bytea",
    "uuid",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "json",
    "jsonb",
    "bigint[]"
];

#[tokio::test]
async fn no_value_is_stored_in_a_column_of_another_type() {
    let database = database();
    let mut connection = connection(&database).await;
    let c = &mut connection;
    for rows in [2, 40] {
        assert_eq!(stored_in(c, Decimal::new(105, 1), rows).await, ["numeric"]);
        assert_eq!(stored_in(c, NaiveTime::MIN, rows).await, ["time"]);
        assert_eq!(
            stored_in(c, DateTime::UNIX_EPOCH.naive_utc(), rows).await,
            ["timestamp"]
        );
        assert_eq!(stored_in(c, String::from("text"), rows).await, ["text"]);
        assert_eq!(stored_in(c, Some(1_i8), rows).await, [""; 0]);
        assert_eq!(stored_in(c, true, rows).await, ["bool"]);
        assert_eq!(stored_in(c, 1_i16, rows).await, ["smallint"]);
        assert_eq!(stored_in(c, 1_i32, rows).await, ["int"]);
        assert_eq!(stored_in(c, 1_i64, rows).await, ["bigint"]);
        assert_eq!(stored_in(c, 1_f32, rows).await, ["real"]);
        assert_eq!(stored_in(c, Some(1_f64), rows).await, ["float8"]);
        assert_eq!(stored_in(c, "text", rows).await, ["text"]);
        assert_eq!(stored_in(c, vec![1_u8], rows).await, ["bytea"]);
        assert_eq!(stored_in(c, Uuid::nil(), rows).await, ["uuid"]);
        assert_eq!(stored_in(c, NaiveDate::default(), rows).await, ["date"]);
        assert_eq!(
            stored_in(c, DateTime::<Utc>::UNIX_EPOCH, rows).await,
            ["timestamptz"]
        );
        assert_eq!(stored_in(c, json!(1), rows).await, ["json", "jsonb"]);
        assert_eq!(stored_in(c, vec![1_i64], rows).await, ["bigint[]"]);
        assert_eq!(stored_in(c, None::<i64>, rows).await, ["bigint"]);
    }
}

#[derive(BulkRow, Clone, Debug, PartialEq, sqlx::FromRow)]
struct Extremes {
    id: i64,
    number: Decimal,
    zoned: Option<DateTime<Utc>>,
    plain: Option<chrono::NaiveDateTime>,
    time: Option<NaiveTime>,
    day: Option<NaiveDate>,
    numbers: Vec<Decimal>,
    documents: Vec<Value>,
    uuids: Option<Vec<Uuid>>,
}

#[tokio::test]
async fn extremes_come_back_as_they_went_by_every_way() {
    let database = database();
    let mut connection = connection(&database).await;
    execute(
        &mut connection,
        "CREATE TABLE extremes (id bigint, number numeric, zoned timestamptz, plain timestamp, \
         time time, day date, numbers numeric[], documents jsonb[], uuids uuid[])",
    )
    .await;
    // Postgres counts microseconds from 2000 in 64 bits, and days in 32; chrono ends earlier.
    let last = NaiveDate::from_ymd_opt(262_142, 12, 31).unwrap();
    let first = NaiveDate::from_ymd_opt(-4_712, 1, 1).unwrap();
    let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN);
    let rows = |count: i64| {
        (0..count).map(move |id| match id % 3 {
            0 => Extremes {
                id,
                number: Decimal::MAX,
                zoned: Some(midnight(last).and_utc()),
                plain: Some(midnight(first)),
                time: NaiveTime::from_hms_micro_opt(23, 59, 59, 999_999),
                day: Some(last),
                numbers: vec![Decimal::MIN, Decimal::new(1, 28)],
                documents: vec![json!(null), json!({ "a": [1, "\u{1F6EB}"] })],
                uuids: Some(vec![Uuid::max()]),
            },
            1 => Extremes {
                id,
                number: Decimal::new(-1, 28),
                zoned: Some(midnight(first).and_utc()),
                plain: Some(midnight(last)),
                time: Some(NaiveTime::MIN),
                day: Some(first),
                numbers: vec![],
                documents: vec![],
                uuids: Some(vec![]),
            },
            _ => Extremes {
                id,
                number: Decimal::ZERO,
                zoned: None,
                plain: None,
                time: None,
                day: None,
                numbers: vec![Decimal::ONE],
                documents: vec![json!([])],
                uuids: None,
            },
        })
    };
    for strategy in [Strategy::Values, Strategy::Unnest, Strategy::Copy] {
        let rows: Vec<_> = rows(30).collect();
        let insert = BulkInsert::into("extremes").strategy(strategy);
        insert.execute(&mut connection, &rows).await.unwrap();
        let stored: Vec<Extremes> = sqlx::query_as("SELECT * FROM extremes ORDER BY id")
            .fetch_all(&mut connection)
            .await
            .unwrap();
        assert_eq!(stored, rows, "{strategy:?}");
        execute(&mut connection, "TRUNCATE extremes").await;
    }
}
