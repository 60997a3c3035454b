//! What becomes of an insert whose rows come from a source that fails.

use crate::support::{Plane, plane};
use futures_util::stream;
use perf_bulk::{Atomicity, BulkError, BulkInsert};
use sqlx::Connection;
use std::error::Error;
use std::io;

/// Rows before the source fails.
const ROWS: i64 = 250;

/// Some rows, of which two are bad, and an error; more rows would follow.
fn failing(rows: i64) -> impl futures_core::Stream<Item = io::Result<Plane>> {
    let row = |id| Plane {
        seats: (id % 100 != 61).then_some(1),
        ..plane(id)
    };
    let before = (0..rows).map(move |id| Ok(row(id)));
    let error = std::iter::once_with(|| Err(io::Error::other("unplugged")));
    stream::iter(
        before
            .chain(error)
            .chain((rows..ROWS * 2).map(move |id| Ok(row(id)))),
    )
}

fn is_input(error: &BulkError, after: i64) -> bool {
    let said = error.source().map(ToString::to_string);
    matches!(error, BulkError::Input { rows, .. } if *rows == after.unsigned_abs())
        && said.as_deref() == Some("unplugged")
        && !error.is_transient()
}

macro_rules! suite {
    ($module:ident) => {
        mod $module {
            use super::*;
            use crate::engines::$module::*;

            #[tokio::test]
            async fn nothing_is_written_of_a_source_that_fails() {
                let (_engine, mut connection) = start().await;
                // Within the first chunk, between chunks, in a later one, and at the very start.
                for (rows, chunk) in [(50, 100), (50, 25), (60, 25), (0, 25)] {
                    let insert = BulkInsert::into("planes").chunk_rows(chunk);
                    let error = insert
                        .execute_try_stream(&mut connection, failing(rows))
                        .await
                        .unwrap_err();
                    assert!(is_input(&error, rows), "{error:?}");
                    assert_eq!(planes(&mut connection).await, []);
                }
            }

            #[tokio::test]
            async fn what_came_before_is_written_and_counted() {
                let (_engine, mut connection) = start().await;
                let insert = BulkInsert::into("planes").chunk_rows(100);
                let error = insert
                    .atomicity(Atomicity::BestEffort)
                    .execute_try_stream(&mut connection, failing(ROWS))
                    .await
                    .unwrap_err();
                let BulkError::Partial {
                    settled,
                    failed,
                    source,
                } = error
                else {
                    panic!("{error:?}")
                };
                let refused: Vec<_> = failed.iter().map(BulkError::row).collect();
                assert_eq!((settled, refused), (250, vec![Some(61), Some(161)]));
                assert!(is_input(&source, ROWS), "{source:?}");
                assert_eq!(planes(&mut connection).await.len(), 248);

                let insert = BulkInsert::into("planes").atomicity(Atomicity::PerChunk);
                let error = insert
                    .execute_try_stream(&mut connection, failing(0))
                    .await
                    .unwrap_err();
                assert!(is_input(&error, 0), "{error:?}");
            }

            #[tokio::test]
            async fn a_transaction_of_the_caller_outlives_the_source() {
                let (_engine, mut connection) = start().await;
                let mut transaction = connection.begin().await.unwrap();
                let first = BulkInsert::into("planes").execute(&mut *transaction, [plane(1_000)]);
                assert_eq!(first.await.unwrap().written, 1);
                let insert = BulkInsert::into("planes").chunk_rows(20);
                let error = insert
                    .execute_try_stream(&mut *transaction, failing(50))
                    .await
                    .unwrap_err();
                assert!(is_input(&error, 50), "{error:?}");
                transaction.commit().await.unwrap();
                assert_eq!(planes(&mut connection).await, [plane(1_000)]);
            }

            #[tokio::test]
            async fn a_source_without_errors_arrives_in_full() {
                let (_engine, mut connection) = start().await;
                let rows = stream::iter((0..ROWS).map(|id| Ok::<_, io::Error>(plane(id))));
                let insert = BulkInsert::into("planes").chunk_rows(100);
                let report = insert
                    .execute_try_stream(&mut connection, rows)
                    .await
                    .unwrap();
                assert_eq!(
                    (report.written, planes(&mut connection).await.len()),
                    (250, 250)
                );
            }
        }
    };
}

suite!(sqlite);
suite!(postgres);
suite!(mariadb);
