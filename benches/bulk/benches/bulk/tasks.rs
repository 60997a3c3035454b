//! 100,000 tasks that do nothing, on a durable Postgres: from the start of a worker until all are done.
//!
//! Both sides have the tasks enqueued beforehand, keep the results, run 256 handlers at a time and claim as
//! many tasks at once as they like to.

use apalis::prelude::*;
use apalis_postgres::{Config, PostgresStorage};
use criterion::Criterion;
use futures_util::stream;
use perf_bulk::{BoxError, PostgresTasks, Task, TaskQueue, Worker};
use perf_testkit::PostgresServer;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

#[derive(Serialize, Deserialize)]
struct Noop(u64);

impl Task for Noop {
    const NAME: &'static str = "noop";
    type Output = ();
}

const CONCURRENCY: usize = 256;
const ROUNDS: usize = 3;

pub(crate) fn noop(_criterion: &mut Criterion) {
    if !harness::is_wanted("bulk/tasks/100k_noop_postgres") {
        return;
    }
    let tasks: u64 = if harness::is_quick() { 10_000 } else { 100_000 };
    let runtime = Runtime::new().expect("a runtime");
    let server = PostgresServer::start_durable().expect("a server");
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let (ours, theirs) = runtime.block_on(async {
            let ours = perfkit(&server, tasks).await;
            (ours, apalis(&server, tasks).await)
        });
        ratios.push((ours.as_secs_f64(), theirs.as_secs_f64()));
    }
    ratios.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    let (ours, theirs) = ratios[ROUNDS / 2];
    harness::record("bulk/tasks/100k_noop_postgres/apalis", ours, theirs, "s");
}

async fn pool(server: &PostgresServer) -> PgPool {
    let database = server.database().expect("a database");
    PgPool::connect(&database.url_unix()).await.expect("a pool")
}

async fn perfkit(server: &PostgresServer, tasks: u64) -> Duration {
    let pool = pool(server).await;
    let backend = PostgresTasks::create(pool.clone(), "tasks")
        .await
        .expect("a table");
    let queue = TaskQueue::new(backend);
    let all: Vec<_> = (0..tasks).map(Noop).collect();
    queue.enqueue_many(all).await.expect("enqueued");
    settle(&pool).await;
    let sum = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&sum);
    let start = Instant::now();
    let worker = Worker::builder(&queue)
        .concurrency(CONCURRENCY)
        .handle(move |Noop(number), _| {
            seen.fetch_add(number, Relaxed);
            async { Ok::<_, BoxError>(()) }
        });
    let worker = worker.start().expect("a worker");
    until_done(&pool, "SELECT count(*) FROM tasks WHERE state = 3", tasks).await;
    let elapsed = start.elapsed();
    worker.drain(Duration::from_secs(5)).await.expect("drained");
    assert_eq!(sum.load(Relaxed), tasks * (tasks - 1) / 2);
    elapsed
}

async fn apalis(server: &PostgresServer, tasks: u64) -> Duration {
    let pool = pool(server).await;
    PostgresStorage::setup(&pool).await.expect("its tables");
    let config = Config::default().batch_size(CONCURRENCY);
    let mut backend = PostgresStorage::new(&pool).with_config(config);
    let mut all = stream::iter((0..tasks).collect::<Vec<_>>());
    backend.push_stream(&mut all).await.expect("enqueued");
    settle(&pool).await;
    let sum = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&sum);
    let start = Instant::now();
    let worker = WorkerBuilder::new("worker")
        .backend(backend)
        .concurrency(CONCURRENCY)
        .build(move |number: u64| {
            seen.fetch_add(number, Relaxed);
            async { Ok::<_, BoxDynError>(()) }
        });
    // Its worker is one future, which cannot be spawned.
    tokio::select! {
        ended = worker.run() => panic!("the worker ended: {ended:?}"),
        () = until_done(&pool, "SELECT count(*) FROM apalis.jobs WHERE status = 'Done'", tasks) => {}
    }
    let elapsed = start.elapsed();
    assert_eq!(sum.load(Relaxed), tasks * (tasks - 1) / 2);
    elapsed
}

/// Lets the server do beforehand what it would do at some time anyway.
async fn settle(pool: &PgPool) {
    for statement in ["VACUUM ANALYZE", "CHECKPOINT"] {
        sqlx::raw_sql(statement)
            .execute(pool)
            .await
            .expect("maintenance");
    }
}

/// Looks every 100 ms, which both sides pay for alike.
async fn until_done(pool: &PgPool, count: &'static str, tasks: u64) {
    let expected = i64::try_from(tasks).expect("a small number");
    let start = Instant::now();
    loop {
        let done: i64 = sqlx::query_scalar(count)
            .fetch_one(pool)
            .await
            .expect("a count");
        if done == expected {
            return;
        }
        assert!(
            start.elapsed() < Duration::from_secs(200),
            "{done} of {tasks} are done"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
