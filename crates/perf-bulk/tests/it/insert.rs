use crate::support::{Plane, execute, file, ids, memory, open, plane, planes};
use perf_bulk::{BulkError, BulkInsert, BulkUpsert, ConstraintKind, Progress, Upserted};
use perf_core::ManualClock;
use sqlx::Connection;
use sqlx::sqlite::SqlitePoolOptions;
use std::sync::Arc;

#[tokio::test]
async fn rows_arrive_in_full_and_in_order_from_owned_and_borrowed_inputs() {
    let mut connection = memory().await;
    let rows: Vec<_> = (0..1_234).map(plane).collect();
    let report = BulkInsert::into("planes")
        .chunk_rows(100)
        .execute(&mut connection, &rows)
        .await
        .unwrap();
    assert_eq!(report.written, 1_234);
    assert_eq!(planes(&mut connection).await, rows);
    let more = BulkInsert::into("planes")
        .execute(&mut connection, (2_000..2_010).map(plane))
        .await
        .unwrap();
    assert_eq!(more.written, 10);
}

#[tokio::test]
async fn pools_connections_and_transactions_all_serve() {
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect("sqlite::memory:")
        .await
        .unwrap();
    let mut connection = pool.acquire().await.unwrap();
    execute(&mut connection, crate::support::PLANES).await;
    BulkInsert::into("planes")
        .execute(&mut *connection, [plane(1)])
        .await
        .unwrap();
    drop(connection);
    BulkInsert::into("planes")
        .execute(&pool, [plane(2)])
        .await
        .unwrap();
    let mut transaction = pool.begin().await.unwrap();
    BulkInsert::into("planes")
        .execute(&mut transaction, [plane(3)])
        .await
        .unwrap();
    transaction.rollback().await.unwrap();
    let mut transaction = pool.begin().await.unwrap();
    BulkInsert::into("planes")
        .execute(&mut *transaction, [plane(4)])
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(ids(&mut pool.acquire().await.unwrap()).await, [1, 2, 4]);
}

#[tokio::test]
async fn the_future_may_move_between_threads() {
    let mut connection = memory().await;
    let insert = tokio::spawn(async move {
        let rows = (0..500).map(plane);
        let report = BulkInsert::into("planes")
            .execute(&mut connection, rows)
            .await;
        (report.unwrap().written, connection)
    });
    let (written, connection) = insert.await.unwrap();
    assert_eq!(written, 500);
    connection.close().await.unwrap();
}

#[tokio::test]
async fn an_empty_input_touches_nothing() {
    let mut connection = memory().await;
    let nothing: [Plane; 0] = [];
    let insert = BulkInsert::into("no_such_table");
    assert_eq!(
        insert
            .execute(&mut connection, nothing)
            .await
            .unwrap()
            .written,
        0
    );
}

#[tokio::test]
async fn a_chunk_of_zero_rows_is_a_configuration_error() {
    let mut connection = memory().await;
    let insert = BulkInsert::into("planes").chunk_rows(0);
    let error = insert
        .execute(&mut connection, [plane(1)])
        .await
        .unwrap_err();
    assert!(matches!(error, BulkError::Config(_)), "{error:?}");
}

#[tokio::test]
async fn an_unknown_column_or_table_is_named() {
    let mut connection = memory().await;
    execute(
        &mut connection,
        "CREATE TABLE narrow (id INTEGER, tailnum TEXT)",
    )
    .await;
    let error = BulkInsert::into("narrow")
        .execute(&mut connection, [plane(1)])
        .await
        .unwrap_err();
    assert!(
        matches!(&error, BulkError::UnknownColumn { table, column } if (table.as_str(), column.as_str()) == ("narrow", "seats")),
        "{error:?}"
    );
    let error = BulkInsert::into("nowhere")
        .execute(&mut connection, [plane(1)])
        .await
        .unwrap_err();
    assert!(matches!(error, BulkError::Database { .. }), "{error:?}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_table_may_name_its_schema() {
    let mut connection = memory().await;
    execute(&mut connection, "ATTACH ':memory:' AS archive").await;
    execute(
        &mut connection,
        "CREATE TABLE archive.planes (id INTEGER PRIMARY KEY, tailnum TEXT, seats INTEGER)",
    )
    .await;
    BulkInsert::into("archive.planes")
        .execute(&mut connection, [plane(1)])
        .await
        .unwrap();
    let report = BulkUpsert::into("archive.planes")
        .on_conflict(["id"])
        .execute(&mut connection, &[plane(1), plane(2)])
        .await
        .unwrap();
    assert_eq!(report.outcomes, [Upserted::Updated, Upserted::Inserted]);
    assert!(ids(&mut connection).await.is_empty());
}

#[tokio::test]
async fn a_bad_row_is_named_with_its_constraint_and_columns() {
    let mut connection = memory().await;
    execute(&mut connection, "PRAGMA foreign_keys = ON").await;
    execute(
        &mut connection,
        "CREATE TABLE seats (plane INTEGER REFERENCES planes)",
    )
    .await;
    let bad = [
        (
            Plane {
                id: 3,
                ..plane(900)
            },
            ConstraintKind::Unique,
            "id",
        ),
        (
            Plane {
                tailnum: Some("N4".into()),
                ..plane(900)
            },
            ConstraintKind::Unique,
            "tailnum",
        ),
        (
            Plane {
                seats: None,
                ..plane(900)
            },
            ConstraintKind::NotNull,
            "seats",
        ),
        (
            Plane {
                seats: Some(0),
                ..plane(900)
            },
            ConstraintKind::Check,
            "seats > 0",
        ),
    ];
    for (row, expected, column) in bad {
        let mut rows: Vec<_> = (0..700).map(plane).collect();
        rows[555] = row;
        let insert = BulkInsert::into("planes").chunk_rows(200);
        let error = insert.execute(&mut connection, rows).await.unwrap_err();
        assert_eq!(error.row(), Some(555));
        assert!(
            matches!(&error, BulkError::Constraint { kind, columns, .. } if *kind == expected && *columns == [column]),
            "{error:?}"
        );
        assert!(ids(&mut connection).await.is_empty());
    }
}

#[tokio::test]
async fn a_foreign_key_is_checked_row_by_row() {
    #[derive(perf_bulk::BulkRow, Debug)]
    struct Seat {
        plane: i64,
    }
    let mut connection = memory().await;
    execute(&mut connection, "PRAGMA foreign_keys = ON").await;
    execute(
        &mut connection,
        "CREATE TABLE seats (plane INTEGER REFERENCES planes)",
    )
    .await;
    BulkInsert::into("planes")
        .execute(&mut connection, [plane(1)])
        .await
        .unwrap();
    let rows = [1, 1, 99].map(|plane| Seat { plane });
    let error = BulkInsert::into("seats")
        .execute(&mut connection, rows)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            BulkError::Constraint {
                row: Some(2),
                kind: ConstraintKind::ForeignKey,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_deferred_constraint_fails_the_commit_and_leaves_nothing() {
    let mut connection = memory().await;
    execute(&mut connection, "PRAGMA foreign_keys = ON").await;
    execute(&mut connection, "DROP TABLE planes").await;
    execute(
        &mut connection,
        "CREATE TABLE planes (id INTEGER PRIMARY KEY, tailnum TEXT, \
         seats INTEGER REFERENCES planes DEFERRABLE INITIALLY DEFERRED)",
    )
    .await;
    let error = BulkInsert::into("planes")
        .execute(&mut connection, [plane(7)])
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            BulkError::Constraint {
                row: None,
                kind: ConstraintKind::ForeignKey,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(ids(&mut connection).await.is_empty());
    connection
        .begin_with("BEGIN")
        .await
        .unwrap()
        .commit()
        .await
        .unwrap();
}

#[tokio::test]
async fn a_trigger_that_ends_the_transaction_leaves_the_connection_usable() {
    let mut connection = memory().await;
    execute(
        &mut connection,
        "CREATE TRIGGER veto BEFORE INSERT ON planes WHEN NEW.id = 150 \
         BEGIN SELECT RAISE(ROLLBACK, 'vetoed'); END",
    )
    .await;
    for atomicity in [perf_bulk::Atomicity::All, perf_bulk::Atomicity::BestEffort] {
        let insert = BulkInsert::into("planes").atomicity(atomicity);
        let error = insert
            .execute(&mut connection, (0..300).map(plane))
            .await
            .unwrap_err();
        assert_eq!(error.row(), Some(150), "{error:?}");
        assert!(ids(&mut connection).await.is_empty());
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.unwrap();
        let nested = Connection::begin(&mut *transaction).await.unwrap();
        nested.commit().await.unwrap();
        transaction.commit().await.unwrap();
    }
}

#[tokio::test]
async fn a_trigger_that_ends_the_callers_transaction_is_reported_as_that() {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = file(&folder).await;
    execute(
        &mut connection,
        "CREATE TRIGGER veto BEFORE INSERT ON planes WHEN NEW.id = 150 \
         BEGIN SELECT RAISE(ROLLBACK, 'vetoed'); END",
    )
    .await;
    for atomicity in [perf_bulk::Atomicity::All, perf_bulk::Atomicity::BestEffort] {
        let mut transaction = connection.begin().await.unwrap();
        BulkInsert::into("planes")
            .execute(&mut transaction, [plane(1_000)])
            .await
            .unwrap();
        let error = BulkInsert::into("planes")
            .atomicity(atomicity)
            .chunk_rows(20)
            .execute(&mut transaction, (100..200).map(plane))
            .await
            .unwrap_err();
        assert!(
            matches!(error, BulkError::TransactionLost { .. }),
            "{error:?}"
        );
        assert_eq!((error.row(), error.is_transient()), (Some(50), false));
        assert!(transaction.commit().await.is_err(), "it is gone");
        connection = open(&folder).await;
        assert!(ids(&mut connection).await.is_empty());
    }
}

#[tokio::test]
async fn a_locked_database_is_a_transient_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = file(&folder).await;
    let mut other = open(&folder).await;
    let writing = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let error = BulkInsert::into("planes")
        .execute(&mut connection, [plane(1)])
        .await
        .unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    writing.rollback().await.unwrap();
    BulkInsert::into("planes")
        .execute(&mut connection, [plane(1)])
        .await
        .unwrap();
}

#[tokio::test]
async fn progress_never_runs_backwards_and_ends_at_the_total() {
    let mut connection = memory().await;
    let mut seen: Vec<Progress> = Vec::new();
    let report = BulkInsert::into("planes")
        .chunk_rows(250)
        .clock(Arc::new(ManualClock::new()))
        .progress(|at| seen.push(*at))
        .execute(&mut connection, (0..1_010).map(plane))
        .await
        .unwrap();
    assert!(seen.windows(2).all(|pair| pair[0].rows <= pair[1].rows));
    assert!(seen.len() >= 10, "every 100 rows: {}", seen.len());
    let last = seen.last().unwrap();
    assert_eq!(
        (last.rows, last.total, last.bytes),
        (1_010, Some(1_010), report.bytes)
    );
    let text: u64 = (0..1_010)
        .map(|id| plane(id).tailnum.unwrap().len() as u64)
        .sum();
    assert_eq!(report.bytes, text + 1_010 * 16);
}
