//! What every SQL server must be spared and every next holder be sure of. One suite, run by each.

use crate::support::TestResult;
use perf_pool::{Manager, Pool, PoolError};

/// The pool of `manager` tells the first caller at once, with `cause`, why it can create nothing.
pub(super) async fn fails_at_once<M: Manager>(manager: M, cause: &str) -> TestResult {
    let pool = Pool::builder(manager).build()?;
    let error = pool.acquire().await.map(drop).unwrap_err();
    assert!(matches!(&error, PoolError::Create(_)), "{error:?}");
    let source = std::error::Error::source(&error).ok_or("no source")?;
    assert!(source.to_string().contains(cause), "{source}");
    assert_eq!(pool.metrics().create_failures, 1);
    Ok(())
}

/// The tests of one manager against a real server behind a proxy.
///
/// The module that calls it provides `connect_through`, a pool of `max_size` connections to a fresh
/// database behind a fault proxy, `is_in_transaction`, and three statements: `SLEEP` of ten seconds,
/// `SESSION` for the number of the own session, and `END` for the end of session `?`.
macro_rules! server_suite {
    ($manager:ty) => {
        use crate::support::{TestResult, cancel_after, poll_at_most};
        use perf_core::{Clock, SystemClock};
        use perf_pool::{Pool, Pooled};
        use perf_testkit::FaultProxy;
        use std::panic::AssertUnwindSafe;
        use std::time::Duration;

        const INSERT: &str = "INSERT INTO items VALUES (1)";

        async fn pool(max_size: u32) -> TestResult<(FaultProxy, Pool<$manager>)> {
            let (proxy, pool) = connect_through(max_size)?;
            sqlx::query("CREATE TABLE items (id BIGINT)")
                .execute(&pool)
                .await?;
            Ok((proxy, pool))
        }

        async fn count(pool: &Pool<$manager>) -> sqlx::Result<i64> {
            sqlx::query_scalar("SELECT count(*) FROM items")
                .fetch_one(pool)
                .await
        }

        /// The next holder finds no transaction open and its own answers.
        async fn assert_clean(pool: &Pool<$manager>) -> TestResult {
            let mut guard = pool.acquire().await?;
            assert!(!is_in_transaction(&mut guard).await?);
            let answer: String = sqlx::query_scalar("SELECT 'mine'")
                .fetch_one(&mut guard)
                .await?;
            assert_eq!(answer, "mine");
            Ok(())
        }

        #[tokio::test]
        async fn one_query_is_one_round_trip() -> TestResult {
            let (proxy, pool) = pool(1).await?;
            let select = "SELECT CAST(1 AS CHAR(1))";
            let _prepared: String = sqlx::query_scalar(select).fetch_one(&pool).await?;
            let before = proxy.traffic();
            for _ in 0..50 {
                let one: String = sqlx::query_scalar(select).fetch_one(&pool).await?;
                assert_eq!(one, "1");
            }
            assert_eq!((proxy.traffic() - before).round_trips, 50);
            Ok(())
        }

        #[tokio::test]
        async fn a_transaction_of_one_query_is_three_round_trips() -> TestResult {
            let (proxy, pool) = pool(1).await?;
            let insert = async || {
                let insert = pool
                    .transaction(async |connection| sqlx::query(INSERT).execute(connection).await);
                insert.await
            };
            insert().await?;
            let before = proxy.traffic();
            for _ in 0..20 {
                insert().await?;
            }
            assert_eq!((proxy.traffic() - before).round_trips, 60);
            assert_eq!(count(&pool).await?, 21);
            Ok(())
        }

        #[tokio::test]
        async fn a_cancelled_statement_costs_the_next_holder_nothing() -> TestResult {
            let (_proxy, pool) = pool(2).await?;
            for _ in 0..2 {
                let mut guard = pool.acquire().await?;
                let sleeping = sqlx::query(SLEEP).execute(&mut guard);
                assert!(
                    cancel_after(Duration::from_millis(100), sleeping)
                        .await
                        .is_none()
                );
            }
            let start = SystemClock.now();
            assert_clean(&pool).await?;
            let waited = SystemClock.now().since(start);
            assert!(
                waited < Duration::from_secs(5),
                "it waited for the cancelled one: {waited:?}"
            );
            Ok(())
        }

        #[tokio::test]
        async fn a_statement_cancelled_at_any_poll_answers_nobody_else() -> TestResult {
            let (_proxy, pool) = pool(1).await?;
            let mut cancelled = 0;
            for polls in (0..6).cycle().take(120) {
                let other = sqlx::query_scalar::<_, String>("SELECT 'somebody else''s'");
                cancelled += u32::from(poll_at_most(polls, other.fetch_one(&pool)).await.is_none());
                assert_clean(&pool).await?;
            }
            assert!(cancelled >= 30, "only {cancelled} were cancelled");
            Ok(())
        }

        #[tokio::test]
        async fn a_new_statement_cancelled_at_any_poll_answers_nobody_else() -> TestResult {
            let (_proxy, pool) = pool(1).await?;
            for polls in (0..8).cycle().take(120) {
                // Never seen before, so it must be prepared first.
                let sql = format!("SELECT 'not mine {}'", fastrand::u64(..));
                let other = sqlx::query_scalar::<_, String>(sqlx::AssertSqlSafe(sql));
                let _cancelled = poll_at_most(polls, other.fetch_one(&pool)).await;
                assert_clean(&pool).await?;
            }
            Ok(())
        }

        #[tokio::test]
        async fn a_transaction_cancelled_at_any_poll_leaves_nothing() -> TestResult {
            let (_proxy, pool) = pool(1).await?;
            let mut cancelled = 0;
            for polls in (0..10).cycle().take(150) {
                let work = pool.transaction(async |connection| {
                    sqlx::query(INSERT).execute(&mut *connection).await?;
                    sqlx::query("DELETE FROM items")
                        .execute(&mut *connection)
                        .await
                });
                cancelled += u32::from(poll_at_most(polls, work).await.is_none());
                assert_clean(&pool).await?;
                assert_eq!(count(&pool).await?, 0);
            }
            assert!(cancelled >= 30, "only {cancelled} were cancelled");
            Ok(())
        }

        #[tokio::test]
        async fn a_bare_begin_cancelled_at_any_poll_leaves_nothing() -> TestResult {
            let (_proxy, pool) = pool(1).await?;
            for polls in (0..6).cycle().take(90) {
                let begin = async {
                    let mut guard = pool.acquire().await?;
                    let transaction = sqlx::Connection::begin(&mut *guard).await?;
                    transaction.commit().await?;
                    TestResult::Ok(())
                };
                let _cancelled = poll_at_most(polls, begin).await;
                assert_clean(&pool).await?;
            }
            Ok(())
        }

        #[tokio::test]
        async fn a_session_that_its_server_ended_costs_one_error() -> TestResult {
            let (_proxy, pool) = pool(2).await?;
            let (mut victim, mut admin) = (pool.acquire().await?, pool.acquire().await?);
            let session: i64 = sqlx::query_scalar(SESSION).fetch_one(&mut victim).await?;
            let end = sqlx::AssertSqlSafe(END.replace('?', &session.to_string()));
            let ending = async {
                SystemClock.sleep(Duration::from_millis(200)).await;
                sqlx::raw_sql(end).execute(&mut admin).await
            };
            let sleeping = sqlx::query(SLEEP).execute(&mut victim);
            let (slept, ended) = futures_util::future::join(sleeping, ending).await;
            ended?;
            assert!(slept.is_err(), "{slept:?}");
            assert!(Pooled::meta(&victim).tainted);
            drop((admin, victim));
            for _ in 0..5 {
                sqlx::query(INSERT).execute(&pool).await?;
            }
            Ok(())
        }

        #[tokio::test]
        async fn a_panic_in_a_transaction_rolls_it_back() -> TestResult {
            let (_proxy, pool) = pool(1).await?;
            let work = pool.transaction(async |connection| {
                let inserted = sqlx::query(INSERT).execute(connection).await;
                assert!(inserted.is_err(), "on purpose");
                inserted
            });
            assert!(
                futures_util::FutureExt::catch_unwind(AssertUnwindSafe(work))
                    .await
                    .is_err()
            );
            assert_clean(&pool).await?;
            assert_eq!(count(&pool).await?, 0);
            Ok(())
        }

        #[tokio::test]
        async fn a_begin_that_was_forgotten_reaches_nobody() -> TestResult {
            let (_proxy, pool) = pool(1).await?;
            let mut guard = pool.acquire().await?;
            sqlx::query("START TRANSACTION").execute(&mut guard).await?;
            sqlx::query(INSERT).execute(&mut guard).await?;
            assert!(is_in_transaction(&mut guard).await?);
            assert!(Pooled::meta(&guard).tainted);
            drop(guard);
            assert_clean(&pool).await?;
            assert_eq!(count(&pool).await?, 0);
            assert_eq!(
                pool.metrics().create.count,
                1,
                "it was cleaned and not replaced"
            );
            Ok(())
        }
    };
}
pub(crate) use server_suite;
