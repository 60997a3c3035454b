//! Worker processes that are killed and paused while they work.
//!
//! `PERF_SOAK_CASES` says how often; 100 is the full count, over 10,000 tasks.

mod child;

use super::backends::{postgres_pool, sqlite_pool};
use super::{Double, until};
use child::Children;
use perf_bulk::tasks::{Claim, QueueBackend, Settlement};
use perf_bulk::{Enqueue, Lease, PostgresTasks, SqliteTasks, TaskQueue};
use perf_core::{Clock, SystemClock};
use sqlx::{PgPool, SqlitePool};
use std::time::Duration;

const LEASE: Duration = Duration::from_secs(1);
const WORKERS: usize = 3;

/// How many workers are killed, over how many tasks.
fn scale() -> (usize, u32) {
    let cases = std::env::var("PERF_SOAK_CASES").ok();
    let kills = cases.and_then(|cases| cases.parse().ok()).unwrap_or(4);
    (kills, u32::try_from(kills * 100).unwrap())
}

/// The same test for both databases, whose types differ in name only.
macro_rules! on {
    ($database:ident, $tasks:ident, $pool:ident) => {
        mod $database {
            use super::*;

            /// The database as the parent sees it.
            struct Scene {
                pool: $pool,
                tasks: $tasks,
                /// Leases that killed workers held.
                orphans: Vec<Lease>,
                /// Reports under stale leases that were tried, all of them refused.
                refused: usize,
            }

            impl Scene {
                async fn number(&self, sql: &'static str) -> i64 {
                    sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
                }

                async fn effects(&self) -> i64 {
                    self.number("SELECT count(*) FROM effects").await
                }

                /// Remembers what a worker held that was just killed.
                async fn bereave(&mut self, worker: &str) {
                    let held: Vec<(String, i64)> = sqlx::query_as(
                        "SELECT CAST(id AS text), token FROM tasks WHERE worker = $1 AND state = 2",
                    )
                    .bind(worker)
                    .fetch_all(&self.pool)
                    .await
                    .unwrap();
                    let leases = held.iter().map(|(id, token)| Lease::new(id.parse().unwrap(), *token));
                    self.orphans.extend(leases);
                }

                /// Reports success under every lease that has ended by now.
                async fn report_stale(&mut self) {
                    let current: Vec<(String, i64)> =
                        sqlx::query_as("SELECT CAST(id AS text), token FROM tasks WHERE state = 2")
                            .fetch_all(&self.pool)
                            .await
                            .unwrap();
                    let is_current = |lease: &Lease| {
                        current.iter().any(|(id, token)| *id == lease.id.to_string() && *token == lease.token)
                    };
                    let stale: Vec<_> =
                        self.orphans.iter().filter(|lease| !is_current(lease)).copied().collect();
                    let success = || perf_bulk::tasks::Outcome::Succeeded("-1".to_owned());
                    let reports: Vec<_> =
                        stale.iter().map(|lease| Settlement::new(*lease, success())).collect();
                    let claim = Claim::new("nobody", 0, SystemClock.wall(), LEASE);
                    let exchange = self.tasks.exchange("default", &reports, &claim).await.unwrap();
                    assert_eq!(exchange.refused.len(), reports.len(), "a stale report was taken");
                    self.refused += reports.len();
                }
            }

            #[tokio::test]
            async fn soak_killed_workers_lose_nothing_and_do_nothing_twice() {
                let folder = tempfile::tempdir().unwrap();
                let (pool, url) = super::$database(&folder).await;
                sqlx::raw_sql(
                    "CREATE TABLE effects (number bigint NOT NULL); \
                     CREATE TABLE refusals (number bigint NOT NULL)",
                )
                .execute(&pool)
                .await
                .unwrap();
                let tasks = $tasks::create(pool.clone(), "tasks").await.unwrap();
                let queue = TaskQueue::new(tasks.clone());
                let (kills, jobs) = scale();
                let work = (0..jobs).map(|number| Enqueue::new(Double(number)).max_attempts(1_000));
                queue.enqueue_many(work).await.unwrap();
                let mut scene = Scene { pool, tasks, orphans: Vec::new(), refused: 0 };
                let mut children = Children::new(&url);
                for kill in 0..kills {
                    children.fill(WORKERS);
                    // Each death is somewhere in the work, the last one before its end.
                    let step = i64::from(jobs) / i64::try_from(kills + 1).unwrap();
                    let target = step * i64::try_from(kill + 1).unwrap();
                    until(async || scene.effects().await >= target).await;
                    let victim = children.kill_one();
                    scene.bereave(&victim).await;
                    if kill % 4 == 1 {
                        // One that is only paused comes back and believes that it holds its leases.
                        children.pause_one(LEASE * 2).await;
                    }
                    scene.report_stale().await;
                }
                children.fill(WORKERS);
                until(async || {
                    let open = scene.number("SELECT count(*) FROM tasks WHERE state < 3").await;
                    open == 0
                })
                .await;
                drop(children);
                scene.report_stale().await;

                let distinct = scene.number("SELECT count(DISTINCT number) FROM effects").await;
                assert_eq!(distinct, i64::from(jobs), "a task was lost");
                assert_eq!(scene.effects().await, i64::from(jobs), "a task had its effect twice");
                let counts = queue.counts().await.unwrap();
                assert_eq!(counts.succeeded, u64::from(jobs));
                let wrong = scene.number("SELECT count(*) FROM tasks WHERE output = '-1'").await;
                assert_eq!(wrong, 0, "a stale report was taken");
                assert!(!scene.orphans.is_empty(), "no worker was killed at work");
                println!(
                    "{kills} kills over {jobs} tasks: {} leases orphaned, {} stale reports refused to us \
                     and {} to workers that came back",
                    scene.orphans.len(),
                    scene.refused,
                    scene.number("SELECT count(*) FROM refusals").await,
                );
            }
        }
    };
}

async fn sqlite(folder: &tempfile::TempDir) -> (SqlitePool, String) {
    let path = folder.path().join("tasks.db");
    (
        sqlite_pool(folder).await,
        format!("sqlite:{}", path.display()),
    )
}

async fn postgres(_folder: &tempfile::TempDir) -> (PgPool, String) {
    let pool = postgres_pool().await;
    let options = pool.connect_options();
    let socket = options.get_socket().unwrap().display().to_string();
    let url = format!(
        "postgres:///{}?host={socket}&port={}&user={}",
        options.get_database().unwrap(),
        options.get_port(),
        options.get_username(),
    );
    (pool, url)
}

on!(sqlite, SqliteTasks, SqlitePool);
on!(postgres, PostgresTasks, PgPool);
