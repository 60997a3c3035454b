//! What holds on every database, each test on each.

use crate::support::{Plane, plane};
use perf_bulk::{
    Atomicity, BulkError, BulkInsert, BulkRow, BulkUpsert, ConstraintKind, DuplicateKeys, Upserted,
};
use perf_testkit::{Database, MariaDbServer, PostgresServer};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions, Connection, Executor, MySqlConnection, PgConnection, SqliteConnection};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// How many random cases a test runs: more under `PERF_SOAK_CASES`.
fn cases(default: u64) -> u64 {
    let asked = std::env::var("PERF_SOAK_CASES");
    asked.map_or(default, |cases| cases.parse().expect("a number"))
}

#[derive(BulkRow, Clone, Debug)]
struct Ticket {
    tag: i64,
}

struct Sqlite(tempfile::TempDir);

impl Sqlite {
    const CREATE: [&str; 3] = [
        "CREATE TABLE planes (id INTEGER PRIMARY KEY, tailnum TEXT UNIQUE, \
         seats INTEGER NOT NULL CHECK (seats > 0))",
        "CREATE TABLE tickets (id INTEGER PRIMARY KEY, tag INTEGER)",
        "CREATE TABLE unnumbered (id TEXT DEFAULT 'x', tag INTEGER)",
    ];

    fn start() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn connect(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.0.path().join("test.db"));
        let options = options
            .create_if_missing(true)
            .busy_timeout(Duration::from_secs(60));
        let options = options.journal_mode(SqliteJournalMode::Wal);
        options.connect().await.unwrap()
    }
}

struct Postgres(Database);

impl Postgres {
    const CREATE: [&str; 3] = [
        "CREATE TABLE planes (id bigint PRIMARY KEY, tailnum text UNIQUE, \
         seats bigint NOT NULL CHECK (seats > 0))",
        "CREATE TABLE tickets (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tag bigint)",
        "CREATE TABLE unnumbered (id bigint DEFAULT 7, tag bigint)",
    ];

    fn start() -> Self {
        Self(PostgresServer::shared().unwrap().database().unwrap())
    }

    async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.0.url_unix()).await.unwrap()
    }
}

struct MariaDb(Database);

impl MariaDb {
    const CREATE: [&str; 3] = [
        "CREATE TABLE planes (id bigint PRIMARY KEY, tailnum varchar(100) UNIQUE, \
         seats bigint NOT NULL CHECK (seats > 0))",
        "CREATE TABLE tickets (id bigint PRIMARY KEY AUTO_INCREMENT, tag bigint)",
        "CREATE TABLE unnumbered (id bigint DEFAULT 7, tag bigint)",
    ];

    fn start() -> Self {
        Self(MariaDbServer::shared().unwrap().database().unwrap())
    }

    async fn connect(&self) -> MySqlConnection {
        MySqlConnection::connect(&self.0.url()).await.unwrap()
    }
}

macro_rules! conformance {
    ($engine:ident, $module:ident, $connection:ty) => {
        mod $module {
            use super::*;

            type Conn = $connection;

            async fn start() -> ($engine, Conn) {
                let engine = $engine::start();
                let mut connection = engine.connect().await;
                for create in $engine::CREATE {
                    connection.execute(create).await.unwrap();
                }
                (engine, connection)
            }

            async fn planes(connection: &mut Conn) -> Vec<Plane> {
                sqlx::query_as("SELECT id, tailnum, seats FROM planes ORDER BY id")
                    .fetch_all(connection)
                    .await
                    .unwrap()
            }

            #[tokio::test]
            async fn rows_of_every_number_arrive_in_full() {
                let (_engine, mut connection) = start().await;
                for rows in [0, 1, 15, 16, 129, 1_000, 2_345] {
                    let rows: Vec<_> = (0..rows)
                        .map(|id| Plane {
                            tailnum: (id % 7 != 0).then(|| format!("N{id}é")),
                            ..plane(id)
                        })
                        .collect();
                    let insert = BulkInsert::into("planes");
                    let report = insert.execute(&mut connection, &rows).await.unwrap();
                    assert_eq!(report.written, rows.len() as u64);
                    assert_eq!(planes(&mut connection).await, rows);
                    connection.execute("DELETE FROM planes").await.unwrap();
                }
            }

            #[tokio::test]
            async fn a_bad_row_is_named_and_leaves_nothing() {
                let (_engine, mut connection) = start().await;
                let bad = [
                    (Plane { id: 3, ..plane(900) }, ConstraintKind::Unique),
                    (Plane { seats: None, ..plane(900) }, ConstraintKind::NotNull),
                    (Plane { seats: Some(0), ..plane(900) }, ConstraintKind::Check),
                ];
                for (row, expected) in bad {
                    let mut rows: Vec<_> = (0..700).map(plane).collect();
                    rows[555] = row;
                    let insert = BulkInsert::into("planes").chunk_rows(200);
                    let error = insert.execute(&mut connection, rows).await.unwrap_err();
                    assert_eq!(error.row(), Some(555), "{error:?}");
                    assert!(
                        matches!(&error, BulkError::Constraint { kind, .. } if *kind == expected),
                        "{error:?}"
                    );
                    assert!(planes(&mut connection).await.is_empty());
                }
            }

            #[tokio::test]
            async fn best_effort_loses_no_row_whatever_is_bad() {
                let (_engine, mut connection) = start().await;
                for seed in 0..cases(25) {
                    let mut rng = fastrand::Rng::with_seed(seed);
                    let (total, chunk_rows) = (rng.i64(0..300), rng.usize(1..170));
                    let rate = rng.f64() * 0.3;
                    let rows: Vec<_> = (0..total)
                        .map(|id| match rng.f64() < rate {
                            false => plane(id),
                            true => Plane {
                                seats: *rng.choice(&[None, Some(-1)]).unwrap(),
                                ..plane(id)
                            },
                        })
                        .collect();
                    let insert = BulkInsert::into("planes").atomicity(Atomicity::BestEffort);
                    let insert = insert.chunk_rows(chunk_rows);
                    let report = insert.execute(&mut connection, &rows).await.unwrap();
                    let (good, bad): (Vec<_>, Vec<_>) = rows
                        .iter()
                        .cloned()
                        .partition(|row| row.seats.is_some_and(|seats| seats > 0));
                    let failed: Vec<_> = report.failed.iter().map(|bad| bad.row.clone()).collect();
                    assert_eq!(failed, bad, "seed {seed}");
                    for failed in &report.failed {
                        assert_eq!(failed.index, failed.row.id.unsigned_abs());
                        assert_eq!(failed.error.row(), Some(failed.index), "{:?}", failed.error);
                    }
                    assert_eq!(planes(&mut connection).await, good, "seed {seed}");
                    connection.execute("DELETE FROM planes").await.unwrap();
                }
            }

            #[tokio::test]
            async fn upserts_agree_with_a_map() {
                let (_engine, mut connection) = start().await;
                let mut model: BTreeMap<i64, i64> = BTreeMap::new();
                for seed in 0..cases(20) {
                    let mut rng = fastrand::Rng::with_seed(seed);
                    let rows: Vec<_> = (0..rng.usize(0..400))
                        .map(|_| Plane {
                            seats: Some(rng.i64(1..99)),
                            ..plane(rng.i64(0..500))
                        })
                        .collect();
                    let report = BulkUpsert::into("planes")
                        .on_conflict(["id"])
                        .duplicates(DuplicateKeys::KeepLast)
                        .execute(&mut connection, &rows)
                        .await
                        .unwrap();
                    let last: BTreeMap<_, _> =
                        rows.iter().zip(0..).map(|(row, at)| (row.id, at)).collect();
                    for (at, (row, outcome)) in rows.iter().zip(&report.outcomes).enumerate() {
                        let expected = match (last[&row.id] == at, model.contains_key(&row.id)) {
                            (false, _) => Upserted::Superseded,
                            (true, true) => Upserted::Updated,
                            (true, false) => Upserted::Inserted,
                        };
                        assert_eq!(*outcome, expected, "seed {seed}, row {at}");
                    }
                    model.extend(rows.iter().map(|row| (row.id, row.seats.unwrap())));
                    let expected: Vec<_> = model
                        .iter()
                        .map(|(id, seats)| Plane { seats: Some(*seats), ..plane(*id) })
                        .collect();
                    assert_eq!(planes(&mut connection).await, expected, "seed {seed}");
                }
            }

            #[tokio::test]
            async fn an_upsert_keeps_what_it_is_told_to_and_takes_null_keys_for_new() {
                let (_engine, mut connection) = start().await;
                connection
                    .execute("INSERT INTO planes VALUES (1, 'N1', 50)")
                    .await
                    .unwrap();
                let upsert = BulkUpsert::into("planes").on_conflict(["id"]).keep_existing();
                let rows = [Plane { seats: Some(9), ..plane(1) }, plane(2)];
                let report = upsert.execute(&mut connection, &rows).await.unwrap();
                assert_eq!(report.outcomes, [Upserted::Kept, Upserted::Inserted]);
                assert_eq!(planes(&mut connection).await[0].seats, Some(50));

                let upsert = BulkUpsert::into("planes").on_conflict(["tailnum"]);
                let rows = [3, 4].map(|id| Plane { tailnum: None, ..plane(id) });
                let report = upsert.execute(&mut connection, &rows).await.unwrap();
                assert_eq!(report.outcomes, [Upserted::Inserted, Upserted::Inserted]);
            }

            #[tokio::test]
            async fn a_row_that_conflicts_with_another_key_than_the_one_named_is_refused() {
                let (_engine, mut connection) = start().await;
                connection
                    .execute("INSERT INTO planes VALUES (1, 'N1', 50)")
                    .await
                    .unwrap();
                let upsert = BulkUpsert::into("planes").on_conflict(["id"]);
                let rows = [Plane { tailnum: Some("N1".to_owned()), ..plane(2) }];
                let error = upsert.execute(&mut connection, &rows).await.unwrap_err();
                assert!(
                    matches!(&error, BulkError::Constraint { kind: ConstraintKind::Unique, .. }),
                    "{error:?}"
                );
                assert_eq!(planes(&mut connection).await, [Plane { seats: Some(50), ..plane(1) }]);
            }

            /// Two writers that ask for ids and one that does not, all at the same time.
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn ids_belong_to_their_rows_while_others_write() {
                let (engine, mut first) = start().await;
                let mut second = engine.connect().await;
                let mut third = engine.connect().await;
                for seed in 0..cases(25) {
                    let mut rng = fastrand::Rng::with_seed(seed);
                    let mut sizes = || {
                        let most = *rng.choice(&[8, 60, 400]).unwrap();
                        rng.i64(1..most)
                    };
                    let (one, two, three) = (sizes(), sizes(), sizes());
                    let rows = |size: i64, base: i64| {
                        (0..size).map(move |tag| Ticket { tag: base + tag }).collect::<Vec<_>>()
                    };
                    let insert = || BulkInsert::into("tickets");
                    let (one, two) = (rows(one, 1_000), rows(two, 2_000));
                    let (ours, theirs, _noise) = tokio::join!(
                        insert().returning_ids("id").execute(&mut first, &one),
                        insert().returning_ids("id").execute(&mut second, &two),
                        insert().execute(&mut third, rows(three, 3_000)),
                    );
                    let stored: HashMap<i64, i64> =
                        sqlx::query_as("SELECT id, tag FROM tickets")
                            .fetch_all(&mut third)
                            .await
                            .unwrap()
                            .into_iter()
                            .collect();
                    for (rows, report) in [(&one, ours), (&two, theirs)] {
                        let ids = report.unwrap().ids;
                        assert_eq!(ids.len(), rows.len());
                        for (row, id) in rows.iter().zip(&ids) {
                            assert_eq!(stored.get(id), Some(&row.tag), "seed {seed}");
                        }
                    }
                    third.execute("DELETE FROM tickets").await.unwrap();
                }
            }

            #[tokio::test]
            async fn ids_skip_the_rows_that_are_refused() {
                let (_engine, mut connection) = start().await;
                connection
                    .execute("CREATE TABLE seats (id_of bigint)")
                    .await
                    .unwrap();
                connection
                    .execute("CREATE UNIQUE INDEX tags ON tickets (tag)")
                    .await
                    .unwrap();
                let tags = [10, 20, 10, 30, 20, 40].map(|tag| Ticket { tag });
                let report = BulkInsert::into("tickets")
                    .returning_ids("id")
                    .atomicity(Atomicity::BestEffort)
                    .execute(&mut connection, tags)
                    .await
                    .unwrap();
                let failed: Vec<_> = report.failed.iter().map(|failed| failed.index).collect();
                assert_eq!((report.written, failed), (4, vec![2, 4]));
                for (id, tag) in report.ids.into_iter().zip([10_i64, 20, 30, 40]) {
                    let sql = format!("SELECT tag FROM tickets WHERE id = {id}");
                    let stored: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
                        .fetch_one(&mut connection)
                        .await
                        .unwrap();
                    assert_eq!(stored, tag);
                }
            }

            #[tokio::test]
            async fn ids_of_a_column_that_is_not_there_are_refused() {
                let (_engine, mut connection) = start().await;
                let insert = BulkInsert::into("tickets").returning_ids("number");
                let error = insert
                    .execute(&mut connection, [Ticket { tag: 1 }])
                    .await
                    .unwrap_err();
                assert!(
                    matches!(&error, BulkError::UnknownColumn { column, .. } if column == "number"),
                    "{error:?}"
                );
            }

            #[tokio::test]
            async fn ids_that_nobody_numbers_are_refused() {
                let (_engine, mut connection) = start().await;
                let insert = BulkInsert::into("unnumbered").returning_ids("id");
                let rows = [Ticket { tag: 1 }, Ticket { tag: 2 }];
                insert.execute(&mut connection, rows).await.unwrap_err();
                let left: Option<(i64,)> = sqlx::query_as("SELECT tag FROM unnumbered")
                    .fetch_optional(&mut connection)
                    .await
                    .unwrap();
                assert_eq!(left, None);
            }

            #[tokio::test]
            async fn inside_a_transaction_what_is_refused_spares_the_rest() {
                let (engine, mut connection) = start().await;
                let mut transaction = connection.begin().await.unwrap();
                let insert = || BulkInsert::into("planes");
                insert().execute(&mut transaction, [plane(1)]).await.unwrap();
                let bad = [plane(2), Plane { seats: None, ..plane(3) }];
                let error = insert().execute(&mut transaction, bad).await.unwrap_err();
                // Postgres does not say which row of several in a statement it was.
                assert!(matches!(error.row(), Some(1) | None), "{error:?}");
                let more: Vec<_> = (10..40).map(plane).collect();
                insert().execute(&mut transaction, more).await.unwrap();
                transaction.commit().await.unwrap();
                let ids: Vec<_> = planes(&mut engine.connect().await)
                    .await
                    .iter()
                    .map(|plane| plane.id)
                    .collect();
                assert_eq!(ids, [1].into_iter().chain(10..40).collect::<Vec<_>>());
            }
        }
    };
}

conformance!(Sqlite, sqlite, SqliteConnection);
conformance!(Postgres, postgres, PgConnection);
conformance!(MariaDb, mariadb, MySqlConnection);
