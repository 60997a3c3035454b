//! What inserts and upserts promise.

use super::Ticket;
use crate::support::{Plane, plane};
use perf_bulk::{
    Atomicity, BulkError, BulkInsert, BulkUpsert, ConstraintKind, DuplicateKeys, Upserted,
};
use sqlx::{Connection, Executor};
use std::collections::BTreeMap;

macro_rules! suite {
    ($module:ident) => {
        mod $module {
            use super::*;
            use crate::engines::cases;
            use crate::engines::$module::*;

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
            async fn children_are_written_with_the_ids_of_their_parents() {
                let (_engine, mut connection) = start().await;
                let mut transaction = connection.begin().await.unwrap();
                let tickets: Vec<_> = (0..300).map(|tag| Ticket { tag }).collect();
                let insert = BulkInsert::into("tickets").returning_ids("id");
                let report = insert.execute(&mut transaction, &tickets).await.unwrap();
                let parents = tickets.iter().zip(&report.ids);
                let children = parents.flat_map(|(ticket, id)| {
                    (0..ticket.tag % 3).map(move |child| Plane {
                        id: id * 3 + child,
                        tailnum: None,
                        seats: Some(ticket.tag),
                    })
                });
                let insert = BulkInsert::into("planes").execute(&mut transaction, children);
                assert_eq!(insert.await.unwrap().written, 300);
                transaction.commit().await.unwrap();
                let theirs: i64 = sqlx::query_scalar(
                    "SELECT count(*) FROM planes JOIN tickets ON planes.seats = tickets.tag \
                     AND planes.id >= tickets.id * 3 AND planes.id < tickets.id * 3 + 3",
                )
                .fetch_one(&mut connection)
                .await
                .unwrap();
                assert_eq!(theirs, 300);
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
        }
    };
}

suite!(sqlite);
suite!(postgres);
suite!(mariadb);
