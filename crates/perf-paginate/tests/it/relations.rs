//! Rows of rows: one statement a level, whatever the parents are.

use async_trait::async_trait;
use perf_paginate::{
    EachRow, Error, Field, Filter, Loader, PageQuery, Paginator, Plain, Resource, Runner, Schema,
    SliceSource, SqlSource, Total,
};
use perf_testkit::{MariaDbServer, PostgresServer};
use sqlx::mysql::MySqlPool;
use sqlx::postgres::PgPool;
use sqlx::sqlite::SqlitePool;
use sqlx::{Database, Pool};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Clone, Debug, PartialEq, Resource, sqlx::FromRow)]
#[resource(table = "flights")]
struct Flight {
    #[resource(key, sort)]
    id: i64,
    #[resource(filter)]
    carrier: Option<String>,
    #[resource(sort, filter)]
    delay: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Resource, sqlx::FromRow)]
#[resource(table = "bookings")]
struct Booking {
    #[resource(key)]
    flight: i64,
    #[resource(key)]
    passenger: i64,
}

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
struct Passenger {
    id: i64,
    name: String,
}

impl Resource for Passenger {
    fn schema() -> Result<Schema<Self>, Error> {
        Schema::builder("passengers")
            .field(Field::new("id", |row: &Self| row.id))
            .field(Field::new("name", |row: &Self| row.name.clone()).sortable())
            .key(["id"])
            .build()
    }
}

/// A booking and the name of who made it.
#[derive(Debug, sqlx::FromRow)]
struct Seat {
    flight: i64,
    passenger: i64,
    who: Option<String>,
}

/// Counts statements.
#[derive(Clone)]
struct Counting<R> {
    inner: R,
    statements: Arc<AtomicUsize>,
}

#[async_trait]
impl<DB: Database, R: Runner<DB>> Runner<DB> for Counting<R> {
    async fn run(
        &self,
        sql: Arc<str>,
        arguments: DB::Arguments,
        each: EachRow<'_, DB::Row>,
    ) -> Result<(), sqlx::Error> {
        self.statements.fetch_add(1, Ordering::Relaxed);
        self.inner.run(sql, arguments, each).await
    }
}

fn flight(id: i64, carrier: Option<&str>, delay: Option<i64>) -> Flight {
    let carrier = carrier.map(str::to_owned);
    Flight { id, carrier, delay }
}

const FILL: [&str; 6] = [
    "CREATE TABLE flights (id BIGINT PRIMARY KEY, carrier VARCHAR(9), delay BIGINT)",
    "CREATE TABLE bookings (flight BIGINT, passenger BIGINT, PRIMARY KEY (flight, passenger))",
    "CREATE TABLE passengers (id BIGINT PRIMARY KEY, name VARCHAR(9) NOT NULL)",
    "INSERT INTO flights VALUES (1, 'UA', 5), (2, 'AA', NULL), (3, 'UA', NULL), (4, NULL, 1), (5, 'UA', 9)",
    "INSERT INTO bookings VALUES (1, 10), (1, 11), (3, 11), (5, 12), (2, 99)",
    "INSERT INTO passengers VALUES (10, 'Ann'), (11, 'Bob'), (12, 'Cem')",
];

macro_rules! relations {
    ($name:ident, $database:ty, $by_text:literal, $collations:expr, $pool:expr) => {
        mod $name {
            use super::*;

            type Source<T> = SqlSource<$database, T, Counting<Pool<$database>>>;

            /// The filled database, whose statements are counted.
            async fn filled() -> (Counting<Pool<$database>>, impl Fn() -> usize) {
                let pool: Pool<$database> = $pool;
                for sql in FILL {
                    sqlx::query(sql).execute(&pool).await.unwrap();
                }
                let statements = Arc::new(AtomicUsize::new(0));
                let runner = Counting {
                    inner: pool,
                    statements: Arc::clone(&statements),
                };
                (runner, move || statements.swap(0, Ordering::Relaxed))
            }

            #[tokio::test]
            async fn a_level_is_one_statement() {
                let (runner, taken) = filled().await;
                // One to many: parents in any order, one of them twice, one without children.
                let flights = Source::<Flight>::new(runner.clone()).unwrap();
                let flights = Loader::new(flights).sort("-delay").unwrap();
                let carriers = ["DL", "UA", "AA", "UA"];
                let of_carriers = flights.select_in("carrier", carriers).await.unwrap();
                assert_eq!(taken(), $by_text);
                let ids = |carrier: &str| {
                    of_carriers
                        .of(carrier)
                        .iter()
                        .map(|flight| flight.id)
                        .collect()
                };
                let shown: Vec<Vec<i64>> = carriers.into_iter().map(ids).collect();
                assert_eq!(shown, [vec![], vec![5, 1, 3], vec![2], vec![5, 1, 3]]);

                // Nested, and many to many.
                let bookings = Loader::new(Source::<Booking>::new(runner.clone()).unwrap());
                let links = bookings
                    .select_in("flight", of_carriers.iter().map(|flight| flight.id))
                    .await;
                let links = links.unwrap();
                let passengers = Loader::new(Source::<Passenger>::new(runner).unwrap());
                let passengers = passengers
                    .select_in("id", links.iter().map(|link| link.passenger))
                    .await;
                let passengers = passengers.unwrap();
                assert_eq!(taken(), 2);
                let names = |flight: i64| -> Vec<&str> {
                    let passengers = links.through(flight, &passengers, |link| link.passenger);
                    passengers
                        .into_iter()
                        .map(|passenger| passenger.name.as_str())
                        .collect()
                };
                assert_eq!(names(1), ["Ann", "Bob"]);
                assert_eq!(names(3), ["Bob"]);
                assert_eq!(names(2), Vec::<&str>::new());

                // Many to one: the key of the one.
                let one = flights
                    .select_in("id", links.iter().map(|link| link.flight))
                    .await
                    .unwrap();
                assert_eq!(one.one(5_i64), Some(&flight(5, Some("UA"), Some(9))));
                assert_eq!((one.one(4_i64), taken()), (None, 1));
            }

            /// Parents and children whose keys differ and are equal all the same, by the column's collation.
            #[tokio::test]
            async fn what_is_equal_is_for_the_database_to_say() {
                let (runner, taken) = filled().await;
                let keys = ["ua", "AA", "UA", "DL", "aa", "U", "\u{fa}A"];
                for (collation, statements) in $collations {
                    for sql in [
                        format!("CREATE TABLE {collation}_flights (id BIGINT PRIMARY KEY, carrier VARCHAR(9) COLLATE {collation}, delay BIGINT)"),
                        format!("INSERT INTO {collation}_flights SELECT id, carrier, delay FROM flights"),
                        format!("INSERT INTO {collation}_flights VALUES (6, 'Ua', NULL), (7, 'DL', NULL)"),
                    ] {
                        let filled = sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&runner.inner);
                        filled.await.unwrap();
                    }
                    let schema = Schema::builder(format!("{collation}_flights"))
                        .field(Field::new("id", |row: &Flight| row.id).sortable())
                        .field(Field::new("carrier", |row: &Flight| row.carrier.clone()))
                        .column("delay")
                        .key(["id"])
                        .build();
                    let source = Source::<Flight>::with_schema(runner.clone(), schema.unwrap());
                    let loader = Loader::new(source.unwrap()).sort("-id").unwrap();
                    let loader = loader.filter(&Filter::ne("id", 5_i64)).unwrap();
                    let loaded = loader.select_in("carrier", keys).await.unwrap();
                    assert_eq!(taken(), statements, "{collation}");
                    for key in keys {
                        let equal = format!(
                            "SELECT id FROM {collation}_flights WHERE carrier = '{key}' AND id <> 5 ORDER BY id DESC"
                        );
                        let equal: Vec<(i64,)> = sqlx::query_as(sqlx::AssertSqlSafe(equal))
                            .fetch_all(&runner.inner)
                            .await
                            .unwrap();
                        let equal: Vec<i64> = equal.into_iter().map(|(id,)| id).collect();
                        let found: Vec<i64> = loaded.of(key).iter().map(|row| row.id).collect();
                        assert_eq!(found, equal, "{key} by {collation}");
                    }
                }
            }

            #[tokio::test]
            async fn many_keys_come_in_chunks() {
                let (runner, taken) = filled().await;
                let source = || Source::<Flight>::new(runner.clone()).unwrap();
                let chunked = Loader::new(source()).chunk(NonZeroUsize::new(2).unwrap());
                let all = chunked
                    .select_in("id", [5_i64, 4, 3, 2, 1, 5])
                    .await
                    .unwrap();
                assert_eq!((taken(), all.iter().count()), (3, 5));
                let none = chunked.select_in("id", Vec::<i64>::new()).await.unwrap();
                assert_eq!((taken(), none.iter().count()), (0, 0));

                // NULL is no key, and filters hold for every level.
                let late = Loader::new(source())
                    .filter(&Filter::gte("delay", 6_i64))
                    .unwrap();
                let late = late
                    .select_in("carrier", [None, Some("UA".to_owned())])
                    .await
                    .unwrap();
                assert_eq!(late.iter().map(|flight| flight.id).collect::<Vec<_>>(), [5]);
                assert!(late.of(None::<String>).is_empty());
            }

            #[tokio::test]
            async fn the_one_is_joined_in_the_same_statement() {
                let (runner, taken) = filled().await;
                let schema = Schema::builder("bookings")
                    .join("passengers", "passenger", "id")
                    .field(Field::new("flight", |row: &Seat| row.flight).sortable())
                    .field(Field::new("passenger", |row: &Seat| row.passenger))
                    .field(
                        Field::new("who", |row: &Seat| row.who.clone())
                            .of("passengers")
                            .column("name")
                            .sortable()
                            .filterable(),
                    )
                    .key(["flight", "passenger"])
                    .build()
                    .unwrap();
                let paginator = Paginator::new(
                    SqlSource::<$database, Seat, _>::with_schema(runner, schema).unwrap(),
                    Plain,
                );
                let query = PageQuery::new().sort("-who,flight").size(2);
                let mut page = paginator.page(&query).await.unwrap();
                assert!(taken() <= 2, "one, and one for NULLs");
                let mut seats = std::mem::take(&mut page.items);
                while let Some(next) = page.info.next.take() {
                    page = paginator.page(&query.clone().cursor(next)).await.unwrap();
                    seats.append(&mut page.items);
                }
                let seats: Vec<_> = seats
                    .iter()
                    .map(|seat| (seat.who.as_deref(), seat.flight))
                    .collect();
                let expected = [
                    (Some("Cem"), 5),
                    (Some("Bob"), 1),
                    (Some("Bob"), 3),
                    (Some("Ann"), 1),
                    (None, 2),
                ];
                assert_eq!(seats, expected);

                let bob = PageQuery::new()
                    .filter(Filter::eq("who", "Bob"))
                    .page(1)
                    .fields(["who"]);
                let bob = paginator.records(&bob).await.unwrap();
                assert_eq!((bob.items.len(), bob.total), (2, Total::Exact(2)));
                let second = PageQuery::new().sort("-who").size(2).page(2);
                assert_eq!(
                    paginator.page(&second).await.unwrap().items[0]
                        .who
                        .as_deref(),
                    Some("Bob")
                );
            }
        }
    };
}

// By the default collation and by others, each with the statements that it takes to load a level.
relations!(
    sqlite,
    sqlx::Sqlite,
    1,
    [("NOCASE", 1), ("BINARY", 1), ("RTRIM", 1)],
    {
        let options = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
        let pool: SqlitePool = options.connect("sqlite::memory:").await.unwrap();
        pool
    }
);

relations!(
    postgres,
    sqlx::Postgres,
    1,
    [("nocase", 1), ("ucs_basic", 1)],
    {
        let database = PostgresServer::shared().unwrap().database().unwrap();
        let pool = PgPool::connect(&database.url_unix()).await.unwrap();
        sqlx::query("CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
        .execute(&pool)
        .await
        .unwrap();
        pool
    }
);

relations!(
    mariadb,
    sqlx::MySql,
    2,
    [
        ("utf8mb4_general_ci", 2),
        ("utf8mb4_unicode_nopad_ci", 2),
        ("latin1_swedish_ci", 2),
        ("utf8mb4_bin", 2),
        ("utf8mb4_nopad_bin", 1)
    ],
    {
        let database = MariaDbServer::shared().unwrap().database().unwrap();
        MySqlPool::connect(&database.url_unix()).await.unwrap()
    }
);

#[tokio::test]
async fn what_cannot_be_loaded_is_refused() {
    let flights = [flight(1, Some("UA"), None)];
    let loader = || Loader::new(SliceSource::new(Flight::schema().unwrap(), flights.clone()));
    let error = loader().select_in("x", [1_i64]).await.unwrap_err();
    assert!(matches!(error, Error::UnknownField { .. }));
    let error = loader().select_in("id", ["one"]).await.unwrap_err();
    assert!(matches!(error, Error::InvalidValue { .. }));
    assert!(loader().sort("carrier").is_err());
    let mut found = loader().select_in("id", [1_u64]).await.unwrap();
    assert_eq!(found.take("1").len(), 1);
    assert!(found.of(1_i64).is_empty());
}
