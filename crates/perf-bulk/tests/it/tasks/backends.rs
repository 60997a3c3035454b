//! Each backend passes the suite and agrees with the one in memory.

use super::{Double, PATIENCE, Tally, counter, until};
use perf_bulk::tasks::{Claim, Exchange, Outcome, QueueBackend, Settlement, conformance};
use perf_bulk::{BoxError, MemoryTasks, PostgresTasks, SqliteTasks, TaskError, TaskQueue, Worker};
use perf_core::{Clock, SystemClock};
use sqlx::postgres::PgPoolOptions;
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

/// A planner that believes what it has seen of the index of leases compares each report with each lease.
#[tokio::test]
async fn an_exchange_finds_its_tasks_by_their_ids() {
    let database = crate::postgres::database();
    // One connection, which is asked to publish what it has counted.
    let pool = PgPoolOptions::new().max_connections(1);
    let pool = pool.connect(&database.url_unix()).await.unwrap();
    let tasks = PostgresTasks::create(pool.clone(), "tasks").await.unwrap();
    let queue = TaskQueue::new(tasks.clone());
    queue.enqueue_many((0..2_000).map(Double)).await.unwrap();
    let execute = async |statement: &'static str| {
        sqlx::raw_sql(statement).execute(&pool).await.unwrap();
    };
    execute("VACUUM ANALYZE tasks").await;
    let mut exchange = Exchange::default();
    // More often than the planner thinks about each execution.
    for _ in 0..10 {
        let done = |task: &perf_bulk::tasks::Claimed| {
            Settlement::new(task.lease, Outcome::Succeeded("1".to_owned()))
        };
        let done: Vec<_> = exchange.claimed.iter().map(done).collect();
        let claim = Claim::new("w", 128, SystemClock.wall(), PATIENCE);
        exchange = tasks.exchange("default", &done, &claim).await.unwrap();
        assert_eq!((exchange.claimed.len(), exchange.refused.len()), (128, 0));
    }
    execute("SELECT pg_stat_force_next_flush()").await;
    let read = "SELECT indexrelname::text, idx_scan FROM pg_stat_user_indexes \
        WHERE indexrelname IN ('tasks_leased', 'tasks_waiting') ORDER BY 1";
    let scans: Vec<(String, i64)> = sqlx::query_as(read).fetch_all(&pool).await.unwrap();
    let expected = [
        ("tasks_leased".to_owned(), 0),
        ("tasks_waiting".to_owned(), 10),
    ];
    assert_eq!(scans, expected);
}

#[tokio::test]
async fn a_thousand_tasks_are_few_statements() {
    let queue = TaskQueue::new(
        PostgresTasks::create(postgres_pool().await, "tasks")
            .await
            .unwrap(),
    );
    queue.enqueue_many((0..1_000).map(Double)).await.unwrap();
    let worker = Worker::builder(&queue)
        .concurrency(256)
        .handle(|Double(number), _job| async move { Ok::<_, BoxError>(number * 2) });
    let worker = worker.start().unwrap();
    until(async || queue.counts().await.unwrap().succeeded == 1_000).await;
    let statements = counter(&worker, "exchanges");
    println!("{statements} statements for 1,000 tasks");
    assert!(statements <= 50, "{statements} statements for 1,000 tasks");
    worker.drain(PATIENCE).await.unwrap();
}

/// Adds when it is dropped.
struct Dropped(Tally);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.add(0);
    }
}

#[tokio::test]
async fn a_backend_that_hangs_holds_up_neither_the_end_of_a_lease_nor_draining() {
    let pool = postgres_pool().await;
    let queue = TaskQueue::new(PostgresTasks::create(pool.clone(), "tasks").await.unwrap());
    let (started, stopped) = (Tally::default(), Tally::default());
    let (begun, ended) = (started.clone(), stopped.clone());
    let worker = Worker::builder(&queue)
        .handle(move |_: Double, _job| {
            begun.add(0);
            let dropped = Dropped(ended.clone());
            async move {
                let _dropped = dropped;
                std::future::pending::<Result<u32, BoxError>>().await
            }
        })
        .concurrency(usize::MAX)
        .lease(Duration::from_secs(2));
    let worker = worker.start().unwrap();
    queue.enqueue_many([Double(1)]).await.unwrap();
    until(async || started.of(0) == 1).await;
    let mut transaction = pool.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE tasks")
        .execute(&mut *transaction)
        .await
        .unwrap();
    until(async || stopped.of(0) == 1).await;
    let drained = worker.drain(Duration::from_millis(20));
    let drained = tokio::time::timeout(PATIENCE, drained).await;
    drained.expect("it hangs").unwrap();
    transaction.rollback().await.unwrap();
}
