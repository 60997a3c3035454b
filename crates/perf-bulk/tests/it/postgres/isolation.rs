use super::{connection, database, execute, ids};
use crate::support::{Plane, plane};
use perf_bulk::{Atomicity, BulkInsert, BulkRow};
use sqlx::PgConnection;

/// Counts statements that insert into a table, also those that are rolled back: a sequence never is.
const COUNTED: &str = "CREATE SEQUENCE statements; \
     CREATE FUNCTION count_statement() RETURNS trigger LANGUAGE plpgsql AS \
       $$ BEGIN PERFORM nextval('statements'); RETURN NULL; END $$; \
     CREATE TRIGGER counted BEFORE INSERT ON planes FOR EACH STATEMENT EXECUTE FUNCTION count_statement()";

async fn statements(connection: &mut PgConnection) -> i64 {
    let next: i64 = sqlx::query_scalar("SELECT nextval('statements')")
        .fetch_one(connection)
        .await
        .unwrap();
    next - 1
}

#[tokio::test]
async fn a_row_that_a_deferred_constraint_refuses_is_found_by_bisection() {
    let database = database();
    let mut connection = connection(&database).await;
    execute(
        &mut connection,
        "ALTER TABLE planes ADD FOREIGN KEY (seats) REFERENCES planes \
         DEFERRABLE INITIALLY DEFERRED",
    )
    .await;
    let rows = (1..=100).map(|id| Plane {
        seats: Some(if id == 42 { 999 } else { id }),
        ..plane(id)
    });
    let report = BulkInsert::into("planes")
        .atomicity(Atomicity::BestEffort)
        .execute(&mut connection, rows)
        .await
        .unwrap();
    assert_eq!((report.written, report.failed.len()), (99, 1));
    assert_eq!(report.failed[0].row.id, 42);
    assert_eq!(report.failed[0].error.row(), Some(41));
}

#[tokio::test]
async fn one_bad_row_in_a_thousand_takes_three_statements_when_the_server_names_it() {
    let database = database();
    let mut connection = connection(&database).await;
    execute(&mut connection, COUNTED).await;
    let rows = (0..1_000).map(|id| Plane {
        seats: (id != 617).then_some(1),
        ..plane(id)
    });
    let insert = BulkInsert::into("planes").atomicity(Atomicity::BestEffort);
    let report = insert.execute(&mut connection, rows).await.unwrap();
    assert_eq!((report.written, report.failed.len()), (999, 1));
    assert_eq!(
        (report.failed[0].index, report.failed[0].row.id),
        (617, 617)
    );
    assert_eq!(statements(&mut connection).await, 3);
}

#[derive(BulkRow, Clone, Copy, Debug)]
struct Seat {
    plane: i64,
}

#[tokio::test]
async fn one_bad_row_in_a_thousand_takes_21_statements_at_most_when_it_must_be_found() {
    let database = database();
    let mut connection = connection(&database).await;
    execute(&mut connection, COUNTED).await;
    execute(
        &mut connection,
        "INSERT INTO planes VALUES (1, 'N1', 1); CREATE TABLE seats (plane bigint REFERENCES planes); \
         CREATE TRIGGER counted BEFORE INSERT ON seats FOR EACH STATEMENT EXECUTE FUNCTION count_statement()",
    )
    .await;
    for bad in [0, 1, 499, 500, 617, 998, 999] {
        execute(&mut connection, "ALTER SEQUENCE statements RESTART").await;
        let mut rows = [Seat { plane: 1 }; 1_000];
        rows[bad].plane = 99;
        let insert = BulkInsert::into("seats").atomicity(Atomicity::BestEffort);
        let report = insert.execute(&mut connection, rows).await.unwrap();
        assert_eq!((report.written, report.failed.len()), (999, 1));
        assert_eq!(report.failed[0].index, bad as u64);
        let statements = statements(&mut connection).await;
        assert!(statements <= 21, "{statements} statements for row {bad}");
    }
}

#[tokio::test]
async fn best_effort_loses_no_row_whatever_is_bad() {
    let database = database();
    let mut connection = connection(&database).await;
    execute(
        &mut connection,
        "CREATE TABLE parents (id bigint PRIMARY KEY); INSERT INTO parents VALUES (1)",
    )
    .await;
    execute(
        &mut connection,
        "ALTER TABLE planes ADD FOREIGN KEY (seats) REFERENCES parents",
    )
    .await;
    for seed in 0..40 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (total, chunk_rows) = (rng.i64(0..150), rng.usize(1..70));
        let rate = rng.f64() * 0.4;
        // Adjacent runs of three kinds: NULL and CHECK are located, a missing parent is not.
        let rows: Vec<_> = (0..total)
            .map(|id| match rng.f64() < rate {
                false => Plane {
                    seats: Some(1),
                    ..plane(id)
                },
                true => Plane {
                    seats: *rng.choice(&[None, Some(-1), Some(7)]).unwrap(),
                    ..plane(id)
                },
            })
            .collect();
        let report = BulkInsert::into("planes")
            .chunk_rows(chunk_rows)
            .atomicity(Atomicity::BestEffort)
            .execute(&mut connection, &rows)
            .await
            .unwrap();
        let bad: Vec<_> = rows.iter().filter(|row| row.seats != Some(1)).collect();
        let failed: Vec<_> = report.failed.iter().map(|failed| failed.row).collect();
        assert_eq!(failed, bad, "seed {seed}");
        for failed in &report.failed {
            assert_eq!(failed.index, failed.row.id.unsigned_abs());
            assert_eq!(failed.error.row(), Some(failed.index), "{:?}", failed.error);
        }
        let good: Vec<_> = rows
            .iter()
            .filter(|row| row.seats == Some(1))
            .map(|row| row.id)
            .collect();
        assert_eq!(ids(&mut connection).await, good, "seed {seed}");
        execute(&mut connection, "TRUNCATE planes").await;
    }
}
