use crate::support::{TestResult, poll_at_most, settle};
use perf_pool::{Pool, Pooled, SqliteManager};
use sqlx::Row;
use std::panic::AssertUnwindSafe;

async fn pool(max_size: u32) -> TestResult<Pool<SqliteManager>> {
    let manager = SqliteManager::from_url("sqlite::memory:")?;
    let pool = Pool::builder(manager).max_size(max_size).build()?;
    sqlx::query("CREATE TABLE items (id INTEGER PRIMARY KEY)")
        .execute(&pool)
        .await?;
    Ok(pool)
}

async fn count(pool: &Pool<SqliteManager>) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT count(*) FROM items")
        .fetch_one(pool)
        .await
}

/// The next holder can begin a transaction, which fails inside another one.
async fn assert_clean(pool: &Pool<SqliteManager>) -> TestResult {
    let mut guard = pool.acquire().await?;
    sqlx::query("BEGIN").execute(&mut guard).await?;
    sqlx::query("ROLLBACK").execute(&mut guard).await?;
    Ok(())
}

#[tokio::test]
async fn statements_run_on_the_pool_and_on_a_guard() -> TestResult {
    let pool = pool(2).await?;
    sqlx::query("INSERT INTO items VALUES (?), (?)")
        .bind(1)
        .bind(2)
        .execute(&pool)
        .await?;
    let rows: Vec<(i64,)> = sqlx::query_as("SELECT id FROM items ORDER BY id")
        .fetch_all(&pool)
        .await?;
    assert_eq!(rows, [(1,), (2,)]);
    let mut guard = pool.acquire().await?;
    let row = sqlx::query("SELECT max(id) FROM items")
        .fetch_one(&mut guard)
        .await?;
    assert_eq!(row.try_get::<i64, _>(0)?, 2);
    assert!(!Pooled::meta(&guard).tainted);
    sqlx::query("DELETE FROM items")
        .execute(&mut *guard)
        .await?;
    assert!(Pooled::meta(&guard).tainted, "bare access is not tracked");
    Ok(())
}

#[tokio::test]
async fn a_refused_statement_leaves_its_connection_clean() -> TestResult {
    let pool = pool(1).await?;
    let mut guard = pool.acquire().await?;
    assert!(
        sqlx::query("SELECT * FROM nothing")
            .execute(&mut guard)
            .await
            .is_err()
    );
    assert!(!Pooled::meta(&guard).tainted);
    Ok(())
}

#[tokio::test]
async fn a_transaction_commits_or_rolls_back() -> TestResult {
    let pool = pool(1).await?;
    let insert = "INSERT INTO items VALUES (1)";
    pool.transaction(async |connection| sqlx::query(insert).execute(connection).await)
        .await?;
    assert_eq!(count(&pool).await?, 1);
    let failed = pool.transaction(async |connection| {
        sqlx::query("DELETE FROM items")
            .execute(&mut *connection)
            .await?;
        sqlx::query(insert).execute(&mut *connection).await?;
        Err::<(), _>(sqlx::Error::RowNotFound)
    });
    assert!(matches!(failed.await, Err(sqlx::Error::RowNotFound)));
    assert_eq!(count(&pool).await?, 1);
    assert_eq!(pool.metrics().create.count, 1);
    Ok(())
}

#[tokio::test]
async fn a_begun_transaction_never_reaches_the_next_holder() -> TestResult {
    let pool = pool(1).await?;
    let mut guard = pool.acquire().await?;
    sqlx::query("BEGIN").execute(&mut guard).await?;
    drop(guard);
    assert_clean(&pool).await
}

#[tokio::test]
async fn a_transaction_cancelled_at_any_poll_leaves_nothing() -> TestResult {
    let pool = pool(1).await?;
    let (mut cancelled, mut rounds) = (0, 0);
    // How many polls it takes is up to SQLite's thread.
    while cancelled < 50 {
        let polls = rounds % 8;
        rounds += 1;
        assert!(rounds < 5_000, "only {cancelled} were cancelled");
        let work = pool.transaction(async |connection| {
            sqlx::query("INSERT INTO items VALUES (1)")
                .execute(&mut *connection)
                .await?;
            sqlx::query("DELETE FROM items")
                .execute(&mut *connection)
                .await
        });
        cancelled += u32::from(poll_at_most(polls, work).await.is_none());
        assert_clean(&pool).await?;
        assert_eq!(count(&pool).await?, 0);
    }
    Ok(())
}

#[tokio::test]
async fn a_panic_in_a_transaction_rolls_it_back() -> TestResult {
    let pool = pool(1).await?;
    let work = pool.transaction(async |connection| {
        let inserted = sqlx::query("INSERT INTO items VALUES (1)")
            .execute(connection)
            .await;
        assert!(inserted.is_err(), "on purpose");
        inserted
    });
    assert!(
        futures_util::FutureExt::catch_unwind(AssertUnwindSafe(work))
            .await
            .is_err()
    );
    settle().await;
    assert_clean(&pool).await?;
    assert_eq!(count(&pool).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_transaction_may_be_spawned() -> TestResult {
    let pool = pool(1).await?;
    let task = tokio::spawn(async move {
        let insert = "INSERT INTO items VALUES (1)";
        pool.transaction(async |connection| sqlx::query(insert).execute(connection).await)
            .await
    });
    assert_eq!(task.await??.rows_affected(), 1);
    Ok(())
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_fails_at_once() -> TestResult {
    let manager = SqliteManager::from_url("sqlite:///no/such/folder/data.db")?;
    let pool = Pool::builder(manager).build()?;
    let error = sqlx::query("SELECT 1").execute(&pool).await.unwrap_err();
    assert!(matches!(error, sqlx::Error::Configuration(_)), "{error:?}");
    Ok(())
}
