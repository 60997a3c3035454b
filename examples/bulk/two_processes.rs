//! How does work outlive the process that asked for it?
//!
//! This process enqueues tasks in a SQLite file and starts two others that work on them. One of those is killed
//! in the middle: what it held is run by the other one, and each booking is made once, since it is
//! committed together with the report of its task.
//!
//! ```text
//! cargo run --example bulk_two_processes
//! ```

use perfkit::bulk::{BoxError, SqliteTasks, Task, TaskQueue, Worker};
use perfkit::core::{Clock, SystemClock};
use serde::{Deserialize, Serialize};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

const TASKS: u32 = 60;
const LEASE: Duration = Duration::from_secs(2);

/// Books a seat; the result is the process that did it.
#[derive(Serialize, Deserialize)]
struct Book {
    seat: u32,
}

impl Task for Book {
    const NAME: &'static str = "book";
    type Output = u32;
}

async fn open(path: &Path) -> anyhow::Result<(SqlitePool, SqliteTasks)> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(Duration::from_secs(10));
    let pool = SqlitePool::connect_with(options).await?;
    let tasks = SqliteTasks::create(pool.clone(), "tasks").await?;
    Ok((pool, tasks))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match std::env::args_os().nth(1) {
        Some(path) => work(Path::new(&path)).await,
        None => ask().await,
    }
}

/// A worker process.
async fn work(path: &Path) -> anyhow::Result<()> {
    let (pool, tasks) = open(path).await?;
    let queue = TaskQueue::new(tasks.clone());
    let _worker = Worker::builder(&queue)
        .handle(move |Book { seat }: Book, job| {
            let (pool, tasks) = (pool.clone(), tasks.clone());
            async move {
                SystemClock.sleep(Duration::from_millis(20)).await;
                let mut transaction = pool.begin().await?;
                sqlx::query("INSERT INTO bookings VALUES (?)")
                    .bind(seat)
                    .execute(&mut *transaction)
                    .await?;
                let process = std::process::id();
                tasks.acknowledge(&mut transaction, &job, &process).await?;
                transaction.commit().await?;
                Ok::<_, BoxError>(process)
            }
        })
        .concurrency(4)
        .lease(LEASE)
        .poll_every(Duration::from_millis(100))
        .start()?;
    std::future::pending().await
}

/// The process that asks.
async fn ask() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("tasks.db");
    let (pool, tasks) = open(&path).await?;
    sqlx::query("CREATE TABLE bookings (seat INTEGER NOT NULL)")
        .execute(&pool)
        .await?;
    let queue = TaskQueue::new(tasks);
    let handles = queue
        .enqueue_many((0..TASKS).map(|seat| Book { seat }))
        .await?;

    let mut workers = [start(&path)?, start(&path)?];
    handles[5].result().await?;
    workers[0].kill()?;
    println!("one of two workers was killed");

    let mut by_survivor = 0;
    for handle in &handles {
        by_survivor += u32::from(handle.result().await? == workers[1].id());
    }
    for worker in &mut workers {
        worker.kill()?;
        worker.wait()?;
    }
    let (made, seats): (u32, u32) =
        sqlx::query_as("SELECT count(*), count(DISTINCT seat) FROM bookings")
            .fetch_one(&pool)
            .await?;
    println!("{made} bookings of {seats} seats, {by_survivor} by the one that survived");
    anyhow::ensure!(
        (made, seats) == (TASKS, TASKS),
        "a booking is missing or double"
    );
    Ok(())
}

fn start(path: &Path) -> anyhow::Result<Child> {
    Ok(Command::new(std::env::current_exe()?).arg(path).spawn()?)
}
