use crate::support::{execute, file, ids, memory, open, plane, poll_at_most};
use perf_bulk::{Atomicity, BulkInsert, BulkUpsert};
use sqlx::{Connection, SqliteConnection};

/// The connection answers, can begin at depth 0, and is what it was before.
async fn assert_usable(connection: &mut SqliteConnection) {
    let answer: i64 = sqlx::query_scalar("SELECT 42")
        .fetch_one(&mut *connection)
        .await
        .unwrap();
    assert_eq!(answer, 42);
    let transaction = connection.begin_with("BEGIN IMMEDIATE").await.unwrap();
    transaction.rollback().await.unwrap();
}

#[tokio::test]
async fn an_insert_dropped_at_any_poll_leaves_all_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = file(&folder).await;
    let mut other = open(&folder).await;
    let mut finished = 0;
    for polls in 0.. {
        execute(&mut connection, "DELETE FROM planes").await;
        let rows = (0..950).map(plane);
        let insert = BulkInsert::into("planes")
            .chunk_rows(300)
            .execute(&mut connection, rows);
        let outcome = poll_at_most(insert, polls).await;
        assert_usable(&mut connection).await;
        let stored = ids(&mut other).await.len();
        match outcome {
            Some(report) => {
                assert_eq!((report.unwrap().written, stored), (950, 950));
                finished += 1;
                if finished == 2 {
                    assert!(polls > 12, "only {polls} places to stop at");
                    break;
                }
            }
            // A COMMIT that was sent and not waited for may have been carried out.
            None => assert!(
                stored == 0 || stored == 950,
                "{stored} rows after {polls} polls"
            ),
        }
    }
}

#[tokio::test]
async fn a_best_effort_insert_dropped_at_any_poll_leaves_whole_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = file(&folder).await;
    for polls in 0.. {
        execute(&mut connection, "DELETE FROM planes").await;
        // Every chunk of 50 ends with a row whose id is taken.
        let rows = (0..200).map(|id| plane(if id % 50 == 49 { id - 1 } else { id }));
        let insert = BulkInsert::into("planes")
            .chunk_rows(50)
            .atomicity(Atomicity::BestEffort)
            .execute(&mut connection, rows);
        let outcome = poll_at_most(insert, polls).await;
        assert_usable(&mut connection).await;
        let stored = ids(&mut connection).await.len();
        assert_eq!(stored % 49, 0, "after {polls} polls");
        if let Some(report) = outcome {
            assert_eq!((report.unwrap().failed.len(), stored), (4, 196));
            break;
        }
    }
}

#[tokio::test]
async fn an_upsert_dropped_at_any_poll_leaves_all_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = file(&folder).await;
    let rows: Vec<_> = (0..250).map(plane).collect();
    for polls in 0.. {
        execute(&mut connection, "DELETE FROM planes").await;
        let upsert = BulkUpsert::into("planes").on_conflict(["id"]);
        let outcome = poll_at_most(upsert.execute(&mut connection, &rows), polls).await;
        assert_usable(&mut connection).await;
        let stored = ids(&mut connection).await.len();
        assert!(
            stored == 0 || stored == 250,
            "{stored} rows after {polls} polls"
        );
        if outcome.is_some() {
            assert_eq!(stored, 250);
            break;
        }
    }
}

#[tokio::test]
async fn a_savepoint_dropped_at_any_poll_spares_the_callers_transaction() {
    let mut connection = memory().await;
    for polls in 0.. {
        let mut transaction = connection.begin().await.unwrap();
        BulkInsert::into("planes")
            .execute(&mut transaction, [plane(1_000)])
            .await
            .unwrap();
        let insert = BulkInsert::into("planes").execute(&mut transaction, (0..900).map(plane));
        let outcome = poll_at_most(insert, polls).await;
        transaction.commit().await.unwrap();
        let stored = ids(&mut connection).await;
        assert!(stored.contains(&1_000), "after {polls} polls");
        assert!(
            stored.len() == 1 || stored.len() == 901,
            "{} rows after {polls} polls",
            stored.len()
        );
        if outcome.is_some() {
            assert_eq!(stored.len(), 901);
            break;
        }
        execute(&mut connection, "DELETE FROM planes").await;
    }
}
