//! The worker processes: this test binary, asked to run one test.

use super::super::Double;
use super::LEASE;
use perf_bulk::{BoxError, PostgresTasks, SqliteTasks, TaskError, TaskQueue, Worker};
use perf_core::{Backoff, Clock, SystemClock};
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{PgPool, SqlitePool};
use std::future::pending;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

const DATABASE: &str = "PERF_BULK_TEST_DATABASE";
const NAME: &str = "PERF_BULK_TEST_WORKER";

/// Worker processes, killed when dropped.
pub(super) struct Children {
    url: String,
    running: Vec<(String, Child)>,
    started: usize,
}

impl Children {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            running: Vec::new(),
            started: 0,
        }
    }

    /// Starts workers until there are `count`.
    pub(super) fn fill(&mut self, count: usize) {
        while self.running.len() < count {
            self.started += 1;
            let name = format!("worker-{}", self.started);
            let child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "tasks::crash::child::worker", "--nocapture"])
                .env(DATABASE, &self.url)
                .env(NAME, &name)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            self.running.push((name, child));
        }
    }

    /// `kill -9` to the one that runs longest; its name.
    pub(super) fn kill_one(&mut self) -> String {
        let (name, mut child) = self.running.remove(0);
        child.kill().unwrap();
        child.wait().unwrap();
        name
    }

    /// Pauses the one that runs longest.
    pub(super) async fn pause_one(&mut self, duration: Duration) {
        let pid = Pid::from_child(&self.running[0].1);
        kill_process(pid, Signal::STOP).unwrap();
        SystemClock.sleep(duration).await;
        kill_process(pid, Signal::CONT).unwrap();
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        for (_, child) in &mut self.running {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Is a worker when started by [`Children::fill`], else passes at once.
#[test]
fn worker() {
    let (Ok(url), Ok(name)) = (std::env::var(DATABASE), std::env::var(NAME)) else {
        return;
    };
    // Nobody is left behind by a parent that is killed itself.
    set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    match url.starts_with("sqlite:") {
        true => runtime.block_on(sqlite(&url, &name)),
        false => runtime.block_on(postgres(&url, &name)),
    }
}

/// The same worker for both databases, whose types differ in name only.
macro_rules! work {
    ($tasks:ident, $pool:ident, $name:ident) => {{
        let (pool, tasks) = ($pool.clone(), $tasks.clone());
        let queue = TaskQueue::new($tasks.clone());
        let _worker = Worker::builder(&queue)
            .handle(move |Double(number): Double, job| {
                let (pool, tasks) = (pool.clone(), tasks.clone());
                async move {
                    // Time to be killed in.
                    SystemClock
                        .sleep(Duration::from_millis(u64::from(number % 7)))
                        .await;
                    let mut transaction = pool.begin().await?;
                    sqlx::query("INSERT INTO effects VALUES ($1)")
                        .bind(i64::from(number))
                        .execute(&mut *transaction)
                        .await?;
                    let reported = tasks
                        .acknowledge(&mut transaction, &job, &(number * 2))
                        .await;
                    if let Err(TaskError::LeaseLost(_)) = reported {
                        transaction.rollback().await?;
                        sqlx::query("INSERT INTO refusals VALUES ($1)")
                            .bind(i64::from(number))
                            .execute(&pool)
                            .await?;
                    } else {
                        reported?;
                        transaction.commit().await?;
                    }
                    Ok::<_, BoxError>(number * 2)
                }
            })
            .name($name)
            .concurrency(8)
            .lease(LEASE)
            .poll_every(Duration::from_millis(50))
            .retry(Backoff::constant(Duration::ZERO))
            .start()
            .unwrap();
        pending::<()>().await;
    }};
}

async fn sqlite(url: &str, name: &str) {
    let options = SqliteConnectOptions::from_str(url).unwrap();
    let options = options.busy_timeout(Duration::from_secs(30));
    let pool = SqlitePoolOptions::new().max_connections(4);
    let pool: SqlitePool = pool.connect_with(options).await.unwrap();
    let tasks = SqliteTasks::create(pool.clone(), "tasks").await.unwrap();
    work!(tasks, pool, name);
}

async fn postgres(url: &str, name: &str) {
    let pool = PgPool::connect(url).await.unwrap();
    let tasks = PostgresTasks::create(pool.clone(), "tasks").await.unwrap();
    work!(tasks, pool, name);
}
