//! Each backend passes the suite and agrees with the one in memory.

use perf_bulk::tasks::{QueueBackend, conformance};
use perf_bulk::{MemoryTasks, PostgresTasks, SqliteTasks, TaskError};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{PgPool, SqlitePool};
use std::time::Duration;

pub(crate) async fn sqlite_pool(folder: &tempfile::TempDir) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("tasks.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(Duration::from_secs(30));
    let pool = SqlitePoolOptions::new().max_connections(4);
    pool.connect_with(options).await.unwrap()
}

pub(crate) async fn postgres_pool() -> PgPool {
    let database = crate::postgres::database();
    PgPool::connect(&database.url_unix()).await.unwrap()
}

async fn check(backend: &dyn QueueBackend, seeds: u64) {
    conformance::suite(backend).await.unwrap();
    for seed in 0..seeds {
        conformance::agrees_with_memory(backend, seed, 300)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn memory() {
    check(&MemoryTasks::new(), 3).await;
}

#[tokio::test]
async fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let pool = sqlite_pool(&folder).await;
    check(
        &SqliteTasks::create(pool.clone(), "tasks").await.unwrap(),
        10,
    )
    .await;
    SqliteTasks::create(pool, "tasks").await.unwrap();
}

#[tokio::test]
async fn postgres() {
    let pool = postgres_pool().await;
    check(
        &PostgresTasks::create(pool.clone(), "tasks").await.unwrap(),
        10,
    )
    .await;
    PostgresTasks::create(pool, "public.tasks").await.unwrap();
}

#[tokio::test]
async fn two_may_create_the_same_table_at_once() {
    let pool = postgres_pool().await;
    let both = (0..8).map(|_| PostgresTasks::create(pool.clone(), "tasks"));
    for created in futures_util::future::join_all(both).await {
        created.unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let pool = sqlite_pool(&folder).await;
    let both = (0..4).map(|_| SqliteTasks::create(pool.clone(), "tasks"));
    for created in futures_util::future::join_all(both).await {
        created.unwrap();
    }
}

#[tokio::test]
async fn a_backend_that_fails_says_whether_trying_again_may_help() {
    let pool = postgres_pool().await;
    let tasks = PostgresTasks::create(pool.clone(), "tasks").await.unwrap();
    pool.close().await;
    let error = tasks.counts("default").await.unwrap_err();
    assert!(
        matches!(error, TaskError::Backend { .. }) && !error.is_transient(),
        "{error:?}"
    );
}
