//! Postgres, real, over TCP and over a Unix socket.

mod cancellation;
mod isolation;
mod strategies;
mod types;
mod upsert;

use crate::support::{Plane, plane};
use perf_bulk::{BulkError, BulkInsert, ConstraintKind};
use perf_testkit::{Database, PostgresServer};
use sqlx::{Connection, PgConnection};

const PLANES: &str = "CREATE TABLE planes (id bigint PRIMARY KEY, tailnum text UNIQUE, \
     seats bigint NOT NULL CHECK (seats > 0))";

pub(crate) fn database() -> Database {
    PostgresServer::shared().unwrap().database().unwrap()
}

pub(crate) async fn execute(connection: &mut PgConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(connection).await.unwrap();
}

/// A connection over TCP and one over a Unix socket, to a database with an empty table of planes.
async fn connections(database: &Database) -> [PgConnection; 2] {
    let mut tcp = PgConnection::connect(&database.url()).await.unwrap();
    execute(&mut tcp, PLANES).await;
    [
        tcp,
        PgConnection::connect(&database.url_unix()).await.unwrap(),
    ]
}

pub(crate) async fn connection(database: &Database) -> PgConnection {
    let [_, unix] = connections(database).await;
    unix
}

pub(crate) async fn planes(connection: &mut PgConnection) -> Vec<Plane> {
    sqlx::query_as("SELECT id, tailnum, seats FROM planes ORDER BY id")
        .fetch_all(connection)
        .await
        .unwrap()
}

pub(crate) async fn ids(connection: &mut PgConnection) -> Vec<i64> {
    planes(connection)
        .await
        .iter()
        .map(|plane| plane.id)
        .collect()
}

#[tokio::test]
async fn a_table_may_name_its_schema() {
    let database = database();
    let mut connection = connection(&database).await;
    execute(
        &mut connection,
        "CREATE SCHEMA archive; CREATE TABLE archive.planes (LIKE planes)",
    )
    .await;
    for rows in [1, 100] {
        let report = BulkInsert::into("archive.planes")
            .execute(&mut connection, (0..rows).map(plane))
            .await
            .unwrap();
        assert_eq!(report.written, rows.unsigned_abs());
    }
    assert!(ids(&mut connection).await.is_empty());
}

#[tokio::test]
async fn rows_of_every_number_arrive_in_full_over_both_transports() {
    let database = database();
    for mut connection in connections(&database).await {
        for rows in [0, 1, 15, 16, 129, 1_000, 12_345] {
            let rows: Vec<_> = (0..rows)
                .map(|id| Plane {
                    tailnum: (id % 7 != 0).then(|| format!("N{id}é")),
                    ..plane(id)
                })
                .collect();
            let report = BulkInsert::into("planes")
                .execute(&mut connection, &rows)
                .await
                .unwrap();
            assert_eq!(report.written, rows.len() as u64);
            assert_eq!(planes(&mut connection).await, rows);
            execute(&mut connection, "TRUNCATE planes").await;
        }
    }
}

#[tokio::test]
async fn a_copy_small_enough_to_stall_over_tcp_is_none() {
    let database = database();
    let mut connections = connections(&database).await;
    execute(
        &mut connections[0],
        "CREATE TABLE copies (copied bool); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS \
           $$ BEGIN INSERT INTO copies VALUES (current_query() LIKE 'COPY%'); RETURN NULL; END $$; \
         CREATE TRIGGER noted BEFORE INSERT ON planes FOR EACH STATEMENT EXECUTE FUNCTION note()",
    )
    .await;
    const TCP: usize = 0;
    const UNIX: usize = 1;
    for (transport, rows, expected) in [
        (TCP, 0..1_000, false),
        (UNIX, 1_000..2_000, true),
        (TCP, 2_000..42_000, true),
    ] {
        let connection = &mut connections[transport];
        BulkInsert::into("planes")
            .chunk_rows(40_000)
            .execute(&mut *connection, rows.map(plane))
            .await
            .unwrap();
        let copied: Vec<bool> = sqlx::query_scalar("SELECT DISTINCT copied FROM copies")
            .fetch_all(&mut *connection)
            .await
            .unwrap();
        assert_eq!(copied, [expected]);
        execute(connection, "DELETE FROM copies").await;
    }
}

#[tokio::test]
async fn a_large_copy_goes_over_tcp_too() {
    let database = database();
    let [mut tcp, _] = connections(&database).await;
    let rows = (0..3_000).map(|id| Plane {
        tailnum: Some(format!("{id:0>500}")),
        ..plane(id)
    });
    let insert = BulkInsert::into("planes").execute(&mut tcp, rows);
    assert_eq!(insert.await.unwrap().written, 3_000);
    let bytes: i64 = sqlx::query_scalar("SELECT sum(length(tailnum)) FROM planes")
        .fetch_one(&mut tcp)
        .await
        .unwrap();
    assert_eq!(bytes, 1_500_000);
}

#[tokio::test]
async fn a_bad_row_is_named_and_leaves_nothing() {
    let database = database();
    let mut connection = connection(&database).await;
    let bad = [
        (
            Plane {
                id: 3,
                ..plane(900)
            },
            ConstraintKind::Unique,
            "planes_pkey",
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
            "planes_seats_check",
        ),
    ];
    for (row, expected, column) in bad {
        let mut rows: Vec<_> = (0..700).map(plane).collect();
        rows[555] = row;
        let insert = BulkInsert::into("planes").chunk_rows(200);
        let error = insert.execute(&mut connection, rows).await.unwrap_err();
        assert_eq!(error.row(), Some(555), "{error:?}");
        assert!(
            matches!(&error, BulkError::Constraint { kind, columns, .. } if *kind == expected && *columns == [column]),
            "{error:?}"
        );
        assert!(ids(&mut connection).await.is_empty());
    }
}

#[tokio::test]
async fn an_unknown_column_or_table_is_named_and_the_connection_goes_on() {
    let database = database();
    let mut connection = connection(&database).await;
    execute(
        &mut connection,
        "CREATE TABLE narrow (id bigint, tailnum text)",
    )
    .await;
    for rows in [1, 100] {
        let rows: Vec<_> = (0..rows).map(plane).collect();
        let insert = BulkInsert::into("narrow");
        let error = insert.execute(&mut connection, &rows).await.unwrap_err();
        assert!(
            matches!(&error, BulkError::UnknownColumn { column, .. } if column == "seats"),
            "{error:?}"
        );
        let insert = BulkInsert::into("nowhere");
        let error = insert.execute(&mut connection, &rows).await.unwrap_err();
        assert!(matches!(error, BulkError::Database { .. }), "{error:?}");
    }
    BulkInsert::into("planes")
        .execute(&mut connection, [plane(1)])
        .await
        .unwrap();
}

#[tokio::test]
async fn a_column_that_changes_its_type_is_noticed() {
    let database = database();
    let [mut other, mut connection] = connections(&database).await;
    let rows = |first| (first..first + 200).map(plane);
    let insert = BulkInsert::into("planes");
    insert.execute(&mut connection, rows(0)).await.unwrap();
    execute(&mut other, "ALTER TABLE planes ALTER seats TYPE float8").await;
    let insert = BulkInsert::into("planes");
    insert
        .execute(&mut connection, rows(300))
        .await
        .unwrap_err();
    let insert = BulkInsert::into("planes");
    let error = insert
        .execute(&mut connection, rows(300))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, BulkError::TypeMismatch { column, .. } if column == "seats"),
        "{error:?}"
    );
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM planes")
        .fetch_one(&mut other)
        .await
        .unwrap();
    assert_eq!(stored, 200);
}
