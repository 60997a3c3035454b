//! How does work recur once at each time, however many processes know of it?
//!
//! Two workers on one queue have the same schedule. Each enqueues the next run under a key made of the schedule's name
//! and its time, and the queue keeps the first: there is nobody in charge who could die.
//!
//! ```text
//! cargo run --example bulk_recurring
//! ```

use perfkit::bulk::{BoxError, Schedule, SqliteTasks, Task, TaskQueue, Worker};
use perfkit::core::{Clock, SystemClock};
use serde::{Deserialize, Serialize};
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

#[derive(Serialize, Deserialize)]
struct Report;

impl Task for Report {
    const NAME: &'static str = "report";
    type Output = ();
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let nightly = Schedule::cron("0 3 * * MON-FRI")?;
    let now = SystemClock.wall();
    let next = nightly.next_after(now).map(|next| next.duration_since(now));
    println!("a nightly report would be due in {:.0?}", next.transpose()?);

    let folder = tempfile::tempdir()?;
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("tasks.db"))
        .create_if_missing(true)
        .busy_timeout(Duration::from_secs(10));
    let pool = SqlitePool::connect_with(options).await?;
    let queue = TaskQueue::new(SqliteTasks::create(pool, "tasks").await?);
    let runs = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let start = |worker: usize| {
        let runs = Arc::clone(&runs);
        Worker::builder(&queue)
            .handle(move |Report, _job| {
                runs[worker].fetch_add(1, Relaxed);
                async { Ok::<_, BoxError>(()) }
            })
            .recurring(
                "report",
                Schedule::every(Duration::from_millis(200))?,
                || Report,
            )
            .start()
    };
    let workers = [start(0)?, start(1)?];
    let total = || runs.iter().map(|runs| runs.load(Relaxed)).sum::<u64>();
    while total() < 5 {
        SystemClock.sleep(Duration::from_millis(20)).await;
    }
    for worker in workers {
        worker.drain(Duration::from_secs(5)).await?;
    }
    let times = queue.counts().await?.succeeded;
    println!("{times} times came, {} reports were made", total());
    anyhow::ensure!(times == total(), "a report is missing or double");
    Ok(())
}
