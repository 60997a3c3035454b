use crate::support::{Plane, execute, ids, memory, plane};
use perf_bulk::{Atomicity, BulkError, BulkInsert, BulkUpsert, ConstraintKind};
use proptest::collection::btree_set;
use proptest::prelude::*;
use sqlx::Acquire;
use std::collections::BTreeSet;

/// `total` planes, of which those at `bad` have no seats.
fn mixed(total: i64, bad: &BTreeSet<u64>) -> Vec<Plane> {
    let spoil = |id: i64| bad.contains(&id.unsigned_abs());
    (0..total)
        .map(|id| {
            if spoil(id) {
                Plane {
                    seats: None,
                    ..plane(id)
                }
            } else {
                plane(id)
            }
        })
        .collect()
}

#[tokio::test]
async fn all_means_nothing_remains_of_a_failed_insert() {
    let mut connection = memory().await;
    let insert = BulkInsert::into("planes").chunk_rows(100);
    let error = insert
        .execute(&mut connection, mixed(500, &BTreeSet::from([450])))
        .await
        .unwrap_err();
    assert_eq!(error.row(), Some(450));
    assert!(!matches!(error, BulkError::Partial { .. }));
    assert!(ids(&mut connection).await.is_empty());
}

#[tokio::test]
async fn per_chunk_keeps_the_chunks_before_the_failure_and_says_how_many_rows() {
    let mut connection = memory().await;
    let insert = BulkInsert::into("planes")
        .chunk_rows(100)
        .atomicity(Atomicity::PerChunk);
    let error = insert
        .execute(&mut connection, mixed(500, &BTreeSet::from([250, 251])))
        .await
        .unwrap_err();
    assert!(
        matches!(error, BulkError::Partial { settled: 200, .. }),
        "{error:?}"
    );
    assert_eq!(error.row(), Some(250));
    assert_eq!(ids(&mut connection).await, (0..200).collect::<Vec<_>>());
}

#[tokio::test]
async fn best_effort_accounts_for_the_bad_rows_of_the_chunks_before_a_failure() {
    let mut connection = memory().await;
    execute(
        &mut connection,
        "CREATE TRIGGER veto BEFORE INSERT ON planes WHEN NEW.id = 9 \
         BEGIN SELECT RAISE(ROLLBACK, 'vetoed'); END",
    )
    .await;
    let error = BulkInsert::into("planes")
        .chunk_rows(3)
        .atomicity(Atomicity::BestEffort)
        .execute(&mut connection, [1, 1, 2, 9].map(plane))
        .await
        .unwrap_err();
    assert_eq!(error.row(), Some(3));
    let BulkError::Partial {
        settled: 3, failed, ..
    } = error
    else {
        panic!("{error:?}");
    };
    let failed: Vec<_> = failed.iter().map(BulkError::row).collect();
    assert_eq!(failed, [Some(1)]);
    assert_eq!(ids(&mut connection).await, [1, 2]);
}

#[tokio::test]
async fn best_effort_ends_when_more_rows_are_bad_than_it_may_put_up_with() {
    let mut connection = memory().await;
    let bad = BTreeSet::from([120, 250, 251, 252, 400]);
    let insert = |most| {
        BulkInsert::into("planes")
            .chunk_rows(100)
            .atomicity(Atomicity::BestEffort)
            .max_refused(most)
    };
    let error = insert(3).execute(&mut connection, mixed(500, &bad));
    let error = error.await.unwrap_err();
    let BulkError::Partial {
        settled: 200,
        failed,
        source,
    } = error
    else {
        panic!("{error:?}");
    };
    assert!(
        matches!(*source, BulkError::TooManyRefused { most: 3 }),
        "{source:?}"
    );
    let failed: Vec<_> = failed.iter().map(BulkError::row).collect();
    assert_eq!(failed, [Some(120)]);
    let stored = ids(&mut connection).await;
    assert_eq!(stored.len(), 199, "the third chunk is undone");

    execute(&mut connection, "DELETE FROM planes").await;
    let report = insert(5).execute(&mut connection, mixed(500, &bad)).await;
    assert_eq!(report.unwrap().failed.len(), 5);
}

#[tokio::test]
async fn rows_that_sqlite_ignores_are_refused_rows() {
    let mut connection = memory().await;
    execute(&mut connection, "DROP TABLE planes").await;
    execute(
        &mut connection,
        "CREATE TABLE planes (id INTEGER PRIMARY KEY, tailnum TEXT UNIQUE ON CONFLICT IGNORE, \
         seats INTEGER)",
    )
    .await;
    execute(
        &mut connection,
        "CREATE TRIGGER veto BEFORE INSERT ON planes WHEN NEW.id = 4 \
         BEGIN SELECT RAISE(IGNORE); END",
    )
    .await;
    let rows = [1, 2, 3, 4, 5].map(|id| Plane {
        tailnum: Some(format!("N{}", id.max(2))),
        ..plane(id)
    });
    let insert = BulkInsert::into("planes").atomicity(Atomicity::BestEffort);
    let report = insert.execute(&mut connection, &rows).await.unwrap();
    let failed: Vec<_> = report.failed.iter().map(|failed| failed.index).collect();
    assert_eq!(failed, [1, 3]);
    assert_eq!(ids(&mut connection).await, [1, 3, 5]);
    let upsert = BulkUpsert::into("planes").on_conflict(["id"]);
    let error = upsert.execute(&mut connection, &rows).await.unwrap_err();
    assert_eq!(error.row(), Some(1));
}

#[tokio::test]
async fn a_row_that_stays_despite_its_error_is_not_set_aside() {
    let mut connection = memory().await;
    execute(
        &mut connection,
        "CREATE TRIGGER late AFTER INSERT ON planes WHEN NEW.id = 2 \
         BEGIN SELECT RAISE(FAIL, 'too late'); END",
    )
    .await;
    let error = BulkInsert::into("planes")
        .atomicity(Atomicity::BestEffort)
        .execute(&mut connection, [1, 2, 3].map(plane))
        .await
        .unwrap_err();
    assert_eq!(error.row(), Some(1));
    assert!(ids(&mut connection).await.is_empty());
}

#[tokio::test]
async fn a_view_takes_rows_through_its_trigger() {
    let mut connection = memory().await;
    execute(
        &mut connection,
        "CREATE VIEW seated AS SELECT * FROM planes",
    )
    .await;
    execute(
        &mut connection,
        "CREATE TRIGGER seat INSTEAD OF INSERT ON seated BEGIN \
         INSERT INTO planes VALUES (NEW.id, NEW.tailnum, NEW.seats); END",
    )
    .await;
    let insert = BulkInsert::into("seated").atomicity(Atomicity::BestEffort);
    let report = insert
        .execute(&mut connection, [1, 2, 1].map(plane))
        .await
        .unwrap();
    assert_eq!((report.written, report.failed.len()), (2, 1));
}

#[tokio::test]
async fn best_effort_finds_the_rows_that_a_deferred_constraint_refuses() {
    let mut connection = memory().await;
    execute(&mut connection, "PRAGMA foreign_keys = ON").await;
    execute(&mut connection, "DROP TABLE planes").await;
    execute(
        &mut connection,
        "CREATE TABLE planes (id INTEGER PRIMARY KEY, tailnum TEXT, \
         seats INTEGER REFERENCES planes DEFERRABLE INITIALLY DEFERRED)",
    )
    .await;
    let bad = [3, 4, 11];
    let rows = (0..20).map(|id| Plane {
        seats: Some(if bad.contains(&id) { 99 } else { id }),
        ..plane(id)
    });
    let mut sent = 0;
    let report = BulkInsert::into("planes")
        .chunk_rows(8)
        .atomicity(Atomicity::BestEffort)
        .progress(|at| sent = at.rows)
        .execute(&mut connection, rows)
        .await
        .unwrap();
    let failed: Vec<_> = report.failed.iter().map(|failed| failed.row.id).collect();
    assert_eq!(failed, bad);
    for failed in &report.failed {
        assert!(
            matches!(
                failed.error,
                BulkError::Constraint { row, kind: ConstraintKind::ForeignKey, .. }
                    if row == Some(failed.index)
            ),
            "{failed:?}"
        );
    }
    let good: Vec<_> = (0..20).filter(|id| !bad.contains(id)).collect();
    assert_eq!(ids(&mut connection).await, good);
    let text = good.iter().map(|id| format!("N{id}").len() as u64);
    assert_eq!(report.bytes, text.sum::<u64>() + 17 * 16);
    assert_eq!(sent, 20);
}

#[tokio::test]
async fn rows_before_one_that_cannot_be_encoded_are_counted() {
    #[derive(perf_bulk::BulkRow, Debug)]
    struct Leg {
        distance: f64,
    }
    let mut connection = memory().await;
    execute(&mut connection, "CREATE TABLE legs (distance REAL)").await;
    let legs = (0..100).map(|leg| Leg {
        distance: if leg == 50 { f64::NAN } else { 1_400.0 },
    });
    let mut sent = 0;
    let report = BulkInsert::into("legs")
        .atomicity(Atomicity::BestEffort)
        .progress(|at| sent = at.rows)
        .execute(&mut connection, legs)
        .await
        .unwrap();
    assert_eq!((report.written, report.failed.len()), (99, 1));
    assert_eq!((sent, report.bytes), (100, 99 * 8));
}

#[tokio::test]
async fn a_savepoint_takes_the_place_of_a_transaction_inside_the_callers() {
    let mut connection = memory().await;
    let mut transaction = connection.begin().await.unwrap();
    BulkInsert::into("planes")
        .execute(&mut transaction, [plane(1)])
        .await
        .unwrap();
    let bad = mixed(3, &BTreeSet::from([2]));
    let error = BulkInsert::into("planes")
        .execute(&mut transaction, &bad)
        .await
        .unwrap_err();
    assert_eq!(error.row(), Some(1), "1 is taken");
    BulkInsert::into("planes")
        .execute(&mut transaction, [plane(5)])
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(ids(&mut connection).await, [1, 5]);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Written and failed are a partition of the input, whatever is bad and however it is cut.
    #[test]
    fn best_effort_loses_no_row(
        total in 0_i64..60,
        bad in btree_set(0_u64..60, 0..20),
        chunk_rows in 1_usize..25,
    ) {
        let rows = mixed(total, &bad);
        let expected: Vec<_> = bad.iter().copied().filter(|row| *row < total.unsigned_abs()).collect();
        runtime().block_on(async {
            let mut connection = memory().await;
            let report = BulkInsert::into("planes")
                .chunk_rows(chunk_rows)
                .atomicity(Atomicity::BestEffort)
                .execute(&mut connection, rows.clone())
                .await
                .unwrap();
            let failed: Vec<_> = report.failed.iter().map(|failed| failed.index).collect();
            assert_eq!(failed, expected);
            for failed in &report.failed {
                assert_eq!(failed.error.row(), Some(failed.index));
                assert_eq!(failed.row, rows[usize::try_from(failed.index).unwrap()]);
            }
            let written = ids(&mut connection).await;
            assert_eq!(report.written, written.len() as u64);
            let good = (0..total).filter(|id| !bad.contains(&id.unsigned_abs()));
            assert_eq!(written, good.collect::<Vec<_>>());
        });
    }
}
