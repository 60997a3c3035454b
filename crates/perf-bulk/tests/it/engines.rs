//! What holds on every database, each test on each.

use crate::support::{Plane, plane, poll_at_most};
use perf_bulk::{
    Atomicity, BulkDelete, BulkError, BulkInsert, BulkMap, BulkRead, BulkRow, BulkUpdate,
    BulkUpsert, ConstraintKind, DuplicateKeys, Upserted,
};
use perf_core::Backoff;
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
    const BIGINT: &str = "INTEGER";
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
    const BIGINT: &str = "bigint";
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
    const BIGINT: &str = "SIGNED";
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

            /// A table of planes and a model of it.
            async fn filled(connection: &mut Conn) -> BTreeMap<i64, Plane> {
                let model: BTreeMap<_, _> = (0..700).map(|id| (id, plane(id))).collect();
                BulkInsert::into("planes")
                    .execute(connection, model.values())
                    .await
                    .unwrap();
                model
            }

            #[tokio::test]
            async fn updates_of_different_columns_agree_with_a_map() {
                let (_engine, mut connection) = start().await;
                let mut model = filled(&mut connection).await;
                for seed in 0..cases(10) {
                    let mut rng = fastrand::Rng::with_seed(seed);
                    let mut ids: Vec<i64> = (0..900).collect();
                    rng.shuffle(&mut ids);
                    ids.truncate(rng.usize(0..600));
                    let changes: Vec<_> = ids
                        .iter()
                        .map(|id| {
                            let row = BulkMap::new().set("id", *id);
                            let tailnum = format!("M{seed}-{id}");
                            match rng.u8(0..3) {
                                0 => row.set("seats", *id % 50 + 7),
                                1 => row.set("tailnum", None::<String>),
                                _ => row.set("seats", 3_i64).set("tailnum", tailnum),
                            }
                        })
                        .collect();
                    let update = BulkUpdate::of("planes").by(["id"]);
                    let report = update.execute(&mut connection, &changes).await.unwrap();
                    for ((id, change), matched) in ids.iter().zip(&changes).zip(&report.matched) {
                        assert_eq!(*matched, model.contains_key(id), "seed {seed}");
                        let Some(plane) = model.get_mut(id) else {
                            continue;
                        };
                        match change.columns().as_slice() {
                            ["id", "seats"] => plane.seats = Some(*id % 50 + 7),
                            ["id", "tailnum"] => plane.tailnum = None,
                            _ => {
                                plane.seats = Some(3);
                                plane.tailnum = Some(format!("M{seed}-{id}"));
                            }
                        }
                    }
                    let expected: Vec<_> = model.values().cloned().collect();
                    assert_eq!(planes(&mut connection).await, expected, "seed {seed}");
                }
            }

            #[tokio::test]
            async fn deletes_and_reads_find_their_keys_in_order() {
                let (_engine, mut connection) = start().await;
                filled(&mut connection).await;
                let keys: Vec<_> = (0..1_000_i64)
                    .rev()
                    .step_by(3)
                    .map(|id| BulkMap::new().set("id", id))
                    .collect();
                let read = || BulkRead::from("planes");
                let found: Vec<Option<Plane>> =
                    read().execute(&mut connection, &keys).await.unwrap();
                let expected: Vec<_> = (0..1_000)
                    .rev()
                    .step_by(3)
                    .map(|id| (id < 700).then(|| plane(id)))
                    .collect();
                assert_eq!(found, expected);

                let delete = BulkDelete::from("planes");
                let report = delete.execute(&mut connection, &keys).await.unwrap();
                let matched: Vec<_> = expected.iter().map(Option::is_some).collect();
                assert_eq!(report.matched, matched);
                let left = planes(&mut connection).await;
                assert_eq!(left.len(), 700 - report.count());
                let found: Vec<Option<Plane>> =
                    read().execute(&mut connection, &keys).await.unwrap();
                assert!(found.iter().all(Option::is_none));

                let key = |id: i64| BulkMap::new().set("tailnum", format!("N{id}")).set("id", id);
                let keys = [key(1), key(700).set("id", 1_i64)];
                let found: Vec<Option<Plane>> =
                    read().execute(&mut connection, &keys).await.unwrap();
                assert_eq!(found, [Some(plane(1)), None]);
            }

            #[tokio::test]
            async fn what_makes_no_sense_is_refused_before_anything_is_sent() {
                let (_engine, mut connection) = start().await;
                filled(&mut connection).await;
                let row = |id: i64| BulkMap::new().set("id", id).set("seats", 1_i64);
                let nothing: [BulkMap<_>; 0] = [];

                let update = || BulkUpdate::of("planes").by(["id"]);
                let error = update().execute(&mut connection, &[row(1), row(2), row(1)]).await;
                assert!(
                    matches!(error, Err(BulkError::DuplicateKey { first: 0, second: 2 })),
                    "{error:?}"
                );
                let error = BulkUpdate::of("planes").execute(&mut connection, &[row(1)]).await;
                assert!(matches!(error, Err(BulkError::Config(_))), "{error:?}");
                let only_key = [BulkMap::new().set("id", 1_i64)];
                let error = update().execute(&mut connection, &only_key).await;
                assert!(matches!(error, Err(BulkError::Config(_))), "{error:?}");
                let error = BulkUpdate::of("planes").by(["number"]);
                let error = error.execute(&mut connection, &[row(1)]).await;
                assert!(
                    matches!(&error, Err(BulkError::UnknownColumn { column, .. }) if column == "number"),
                    "{error:?}"
                );
                let unknown = [row(1).set("colour", "red")];
                let error = update().execute(&mut connection, &unknown).await;
                assert!(
                    matches!(&error, Err(BulkError::UnknownColumn { column, .. }) if column == "colour"),
                    "{error:?}"
                );
                let mixed = [row(900), BulkMap::new().set("seats", 1_i64).set("id", 901_i64)];
                let error = BulkInsert::into("planes").execute(&mut connection, &mixed).await;
                assert!(matches!(error, Err(BulkError::ColumnNames { row: 1, .. })), "{error:?}");
                let insert = BulkInsert::into("planes").chunk_rows(0);
                let error = insert.execute(&mut connection, [plane(900)]).await;
                assert!(matches!(error, Err(BulkError::Config(_))), "{error:?}");
                let upsert = BulkUpsert::into("planes").on_conflict(["colour"]);
                let error = upsert.execute(&mut connection, &[plane(1)]).await;
                assert!(matches!(error, Err(BulkError::UnknownColumn { .. })), "{error:?}");

                let report = BulkInsert::into("nowhere").execute(&mut connection, &nothing).await;
                assert_eq!(report.unwrap().written, 0);
                let report = update().execute(&mut connection, &nothing).await.unwrap();
                assert!(report.matched.is_empty());
                let report = BulkDelete::from("nowhere").execute(&mut connection, &nothing).await;
                assert!(report.unwrap().matched.is_empty());
                let read = BulkRead::from("nowhere").execute(&mut connection, &nothing).await;
                assert_eq!(read.unwrap(), Vec::<Option<Plane>>::new());
                let expected: Vec<_> = (0..700).map(plane).collect();
                assert_eq!(planes(&mut connection).await, expected);
            }

            #[tokio::test]
            async fn json_objects_take_the_types_of_their_columns() {
                let (_engine, mut connection) = start().await;
                let columns = ["id", "tailnum", "seats"];
                let rows: Vec<_> = (0..300)
                    .map(|id| match id % 2 {
                        0 => serde_json::json!({ "id": id, "tailnum": format!("N{id}"), "seats": 5 }),
                        _ => serde_json::json!({ "seats": id, "id": id, "remarks": [1] }),
                    })
                    .map(|object| BulkMap::from_json(columns, &object))
                    .collect();
                BulkInsert::into("planes").execute(&mut connection, &rows).await.unwrap();
                let expected: Vec<_> = (0..300)
                    .map(|id| match id % 2 {
                        0 => Plane { seats: Some(5), ..plane(id) },
                        _ => Plane { id, tailnum: None, seats: Some(id) },
                    })
                    .collect();
                assert_eq!(planes(&mut connection).await, expected);
            }

            #[tokio::test]
            async fn a_stream_arrives_in_full_and_its_bad_rows_come_back() {
                let (_engine, mut connection) = start().await;
                let rows = (0..3_000).map(|id| Plane {
                    seats: (id % 1_000 != 617).then_some(1),
                    ..plane(id)
                });
                let stream = futures_util::stream::unfold(rows, |mut rows| async {
                    tokio::task::yield_now().await;
                    rows.next().map(|row| (row, rows))
                });
                let report = BulkInsert::into("planes")
                    .chunk_bytes(10_000)
                    .atomicity(Atomicity::BestEffort)
                    .execute_stream(&mut connection, stream)
                    .await
                    .unwrap();
                let failed: Vec<_> = report.failed.iter().map(|failed| failed.index).collect();
                assert_eq!((report.written, failed), (2_997, vec![617, 1_617, 2_617]));
                assert_eq!(planes(&mut connection).await.len(), 2_997);
            }

            /// Two upserts that lock the same rows in opposite orders.
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn what_a_deadlock_undoes_is_tried_again() {
                let (engine, mut first) = start().await;
                let mut second = engine.connect().await;
                for round in 0..8 {
                    let rows: Vec<_> = (0..1_200)
                        .map(|id| Plane { seats: Some(round + 1), ..plane(id) })
                        .collect();
                    let reversed: Vec<_> = rows.iter().rev().cloned().collect();
                    let upsert = || {
                        BulkUpsert::into("planes")
                            .on_conflict(["id"])
                            .retry(Backoff::exponential(Duration::from_millis(20)).with_max_attempts(30))
                    };
                    let (one, two) = tokio::join!(
                        upsert().execute(&mut first, &rows),
                        upsert().execute(&mut second, &reversed),
                    );
                    assert_eq!(one.unwrap().outcomes.len(), 1_200);
                    assert_eq!(two.unwrap().outcomes.len(), 1_200);
                    assert_eq!(planes(&mut first).await, rows);
                }
            }

            /// Asks questions of which each has another answer.
            async fn answers(connection: &mut Conn) -> Vec<bool> {
                let mut answered = Vec::new();
                for question in 1_000..1_005_i64 {
                    let sql = format!("SELECT CAST({question} AS {})", $engine::BIGINT);
                    let answer: Result<i64, _> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
                        .fetch_one(&mut *connection)
                        .await;
                    if let Ok(answer) = &answer {
                        assert_eq!(*answer, question, "out of step");
                    }
                    answered.push(answer.is_ok());
                }
                answered
            }

            #[tokio::test]
            async fn a_call_dropped_anywhere_is_whole_or_gone_and_its_connection_clean_or_closed() {
                let (engine, mut observer) = start().await;
                let mut connection = engine.connect().await;
                let (mut closed, mut dropped) = (0, 0);
                for seed in 0..cases(60) {
                    let mut rng = fastrand::Rng::with_seed(seed);
                    let count = *rng.choice(&[3_i64, 40, 300, 2_000]).unwrap();
                    let polls = rng.usize(1..rng.clone().usize(2..120));
                    let rows: Vec<_> = (0..count).map(plane).collect();
                    let tickets: Vec<_> = (0..count).map(|tag| Ticket { tag }).collect();
                    let done = match rng.u8(0..4) {
                        0 => {
                            let insert = BulkInsert::into("planes");
                            let call = insert.execute(&mut connection, &rows);
                            poll_at_most(call, polls).await.map(|report| report.unwrap().written)
                        }
                        1 => {
                            let upsert = BulkUpsert::into("planes").on_conflict(["id"]);
                            let call = upsert.execute(&mut connection, &rows);
                            let report = poll_at_most(call, polls).await;
                            report.map(|report| report.unwrap().outcomes.len() as u64)
                        }
                        2 => {
                            let insert = BulkInsert::into("tickets").returning_ids("id");
                            let call = insert.execute(&mut connection, &tickets);
                            poll_at_most(call, polls).await.map(|report| report.unwrap().written)
                        }
                        _ => {
                            let keys: Vec<_> =
                                (0..count).map(|id| BulkMap::new().set("id", id)).collect();
                            let delete = BulkDelete::from("planes");
                            let call = delete.execute(&mut connection, &keys);
                            poll_at_most(call, polls).await.map(|_| count.unsigned_abs())
                        }
                    };
                    let answered = answers(&mut connection).await;
                    let clean = answered.iter().all(|answered| *answered);
                    assert!(clean || !answered.contains(&true), "seed {seed}: {answered:?}");
                    if clean {
                        // In a transaction that nobody knows of, this would stay unseen.
                        connection
                            .execute("INSERT INTO unnumbered (tag) VALUES (1)")
                            .await
                            .unwrap();
                    }
                    let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM unnumbered")
                        .fetch_one(&mut observer)
                        .await
                        .unwrap();
                    assert_eq!(seen, i64::from(clean), "seed {seed}");
                    for table in ["planes", "tickets"] {
                        let sql = format!("SELECT count(*) FROM {table}");
                        let stored: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
                            .fetch_one(&mut observer)
                            .await
                            .unwrap();
                        assert!(stored == 0 || stored == count, "seed {seed}: {stored} {table}");
                    }
                    assert!(done.is_none_or(|done| clean && done == count.unsigned_abs()));
                    dropped += u32::from(done.is_none());
                    if !clean {
                        closed += 1;
                        connection = engine.connect().await;
                    }
                    for table in ["planes", "tickets", "unnumbered"] {
                        let sql = format!("DELETE FROM {table}");
                        observer.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
                    }
                }
                println!("{dropped} calls dropped, {closed} connections closed by it");
            }
        }
    };
}

conformance!(Sqlite, sqlite, SqliteConnection);
conformance!(Postgres, postgres, PgConnection);
conformance!(MariaDb, mariadb, MySqlConnection);
