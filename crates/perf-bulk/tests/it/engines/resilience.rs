//! Streams, deadlocks, transactions of the caller's, and calls that are dropped.

use super::Ticket;
use crate::support::{Plane, plane, poll_at_most};
use perf_bulk::{Atomicity, BulkDelete, BulkInsert, BulkMap, BulkUpdate, BulkUpsert};
use perf_core::Backoff;
use sqlx::{Connection, Executor};
use std::time::Duration;

macro_rules! suite {
    ($module:ident) => {
        mod $module {
            use super::*;
            use crate::engines::cases;
            use crate::engines::$module::*;

            #[tokio::test]
            async fn inside_a_transaction_what_is_refused_spares_the_rest() {
                let (engine, mut connection) = start().await;
                let mut transaction = connection.begin().await.unwrap();
                let insert = || BulkInsert::into("planes");
                insert()
                    .execute(&mut transaction, [plane(1)])
                    .await
                    .unwrap();
                let bad = [
                    plane(2),
                    Plane {
                        seats: None,
                        ..plane(3)
                    },
                ];
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
                        .map(|id| Plane {
                            seats: Some(round + 1),
                            ..plane(id)
                        })
                        .collect();
                    let reversed: Vec<_> = rows.iter().rev().cloned().collect();
                    let upsert = || {
                        BulkUpsert::into("planes").on_conflict(["id"]).retry(
                            Backoff::exponential(Duration::from_millis(20)).with_max_attempts(30),
                        )
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

            /// As before, of updates, and of deletes of what others insert.
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn an_update_and_a_delete_are_tried_again_too() {
                let (engine, mut first) = start().await;
                let mut second = engine.connect().await;
                let insert = BulkInsert::into("planes");
                let planes = (0..1_200).map(plane);
                insert.execute(&mut first, planes).await.unwrap();
                let backoff = Backoff::exponential(Duration::from_millis(20)).with_max_attempts(30);
                for round in 1..=8_i64 {
                    let change = |id: i64| BulkMap::new().set("id", id).set("seats", round);
                    let changes: Vec<_> = (0..1_200).map(change).collect();
                    let reversed: Vec<_> = (0..1_200).rev().map(change).collect();
                    let update = || BulkUpdate::of("planes").by(["id"]).retry(backoff.clone());
                    let (one, two) = tokio::join!(
                        update().execute(&mut first, &changes),
                        update().execute(&mut second, &reversed),
                    );
                    assert_eq!((one.unwrap().count(), two.unwrap().count()), (1_200, 1_200));
                }
                let key = |id: i64| BulkMap::new().set("id", id);
                let keys: Vec<_> = (0..1_200).map(key).collect();
                let reversed: Vec<_> = (0..1_200).rev().map(key).collect();
                let delete = || BulkDelete::from("planes").retry(backoff.clone());
                let (one, two) = tokio::join!(
                    delete().execute(&mut first, &keys),
                    delete().execute(&mut second, &reversed),
                );
                assert_eq!(one.unwrap().count() + two.unwrap().count(), 1_200);
            }

            /// Asks questions of which each has another answer.
            async fn answers(connection: &mut Conn) -> Vec<bool> {
                let mut answered = Vec::new();
                for question in 1_000..1_005_i64 {
                    let sql = format!("SELECT CAST({question} AS {})", BIGINT);
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

            /// Polls a call about `count` rows at most `polls` times; how many it was about if it ended.
            async fn call(
                connection: &mut Conn,
                kind: u8,
                count: i64,
                polls: usize,
            ) -> Option<u64> {
                let rows: Vec<_> = (0..count).map(plane).collect();
                match kind {
                    0 => {
                        let insert = BulkInsert::into("planes");
                        let call = insert.execute(connection, &rows);
                        let report = poll_at_most(call, polls).await;
                        report.map(|report| report.unwrap().written)
                    }
                    1 => {
                        let upsert = BulkUpsert::into("planes").on_conflict(["id"]);
                        let call = upsert.execute(connection, &rows);
                        let report = poll_at_most(call, polls).await;
                        report.map(|report| report.unwrap().outcomes.len() as u64)
                    }
                    2 => {
                        let insert = BulkInsert::into("tickets").returning_ids("id");
                        let tickets = (0..count).map(|tag| Ticket { tag });
                        let call = insert.execute(connection, tickets);
                        let report = poll_at_most(call, polls).await;
                        report.map(|report| report.unwrap().ids.len() as u64)
                    }
                    _ => {
                        let keys = (0..count).map(|id| BulkMap::new().set("id", id));
                        let keys: Vec<_> = keys.collect();
                        let call = BulkDelete::from("planes").execute(connection, &keys);
                        let report = poll_at_most(call, polls).await;
                        report.map(|report| report.unwrap().matched.len() as u64)
                    }
                }
            }

            #[tokio::test]
            async fn a_call_dropped_anywhere_is_whole_or_gone_and_its_connection_clean_or_closed() {
                let (engine, mut observer) = start().await;
                let mut connection = engine.connect().await;
                let (mut closed, mut dropped, mut stuck) = (0, 0, 0);
                for seed in 0..cases(60) {
                    let mut rng = fastrand::Rng::with_seed(seed);
                    let count = *rng.choice(&[3_i64, 40, 300, 2_000]).unwrap();
                    let polls = rng.usize(0..12);
                    let kind = rng.u8(0..4);
                    let done = call(&mut connection, kind, count, polls).await;
                    let answered = answers(&mut connection).await;
                    let clean = answered.iter().all(|answered| *answered);
                    assert!(
                        clean || !answered.contains(&true),
                        "seed {seed}: {answered:?}"
                    );
                    if clean {
                        // In a transaction that nobody knows of, this would stay unseen.
                        let insert = "INSERT INTO unnumbered (tag) VALUES (1)";
                        if connection.execute(insert).await.is_err() {
                            assert!(is_stuck(&mut connection).await, "seed {seed}");
                            stuck += 1;
                            connection.execute("ROLLBACK").await.unwrap();
                            connection.execute(insert).await.unwrap();
                        }
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
                        assert!(
                            stored == 0 || stored == count,
                            "seed {seed}: {stored} {table}"
                        );
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
                println!(
                    "{dropped} calls dropped, {closed} connections closed by it, {stuck} stuck"
                );
            }
        }
    };
}

suite!(sqlite);
suite!(postgres);
suite!(mariadb);
