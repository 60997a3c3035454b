//! Ids belong to their rows.

use super::Ticket;
use perf_bulk::{Atomicity, BulkError, BulkInsert};
use sqlx::Executor;
use std::collections::HashMap;

macro_rules! suite {
    ($module:ident) => {
        mod $module {
            use super::*;
            use crate::engines::cases;
            use crate::engines::$module::*;

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
        }
    };
}

suite!(sqlite);
suite!(postgres);
suite!(mariadb);
