//! Enqueuing and reporting inside the caller's own transaction.

use super::backends::{postgres_pool, sqlite_pool};
use super::{Double, PATIENCE, until};
use perf_bulk::tasks::{Claim, QueueBackend};
use perf_bulk::{
    BoxError, Enqueue, Lease, PostgresTasks, SqliteTasks, TaskError, TaskQueue, TaskStatus, Worker,
};
use perf_core::{Backoff, Clock, SystemClock};
use sqlx::{PgPool, SqlitePool};
use std::time::Duration;
use tokio::sync::mpsc;

/// The same tests for both databases, whose types differ in name only.
macro_rules! on {
    ($database:ident, $tasks:ident, $pool:ident) => {
        mod $database {
            use super::*;

            async fn tasks(pool: &$pool) -> $tasks {
                sqlx::raw_sql("CREATE TABLE effects (number bigint NOT NULL)")
                    .execute(pool)
                    .await
                    .unwrap();
                $tasks::create(pool.clone(), "tasks").await.unwrap()
            }

            async fn effects(pool: &$pool) -> Vec<i64> {
                sqlx::query_scalar("SELECT number FROM effects ORDER BY number")
                    .fetch_all(pool)
                    .await
                    .unwrap()
            }

            #[tokio::test]
            async fn a_task_exists_when_its_transaction_commits() {
                let folder = tempfile::tempdir().unwrap();
                let pool = super::$database(&folder).await;
                let tasks = tasks(&pool).await;
                let queue = TaskQueue::new(tasks.clone());
                let mut transaction = pool.begin().await.unwrap();
                let task = Enqueue::new(Double(1)).key("one");
                let undone = tasks.enqueue_in(&mut transaction, &queue, task).await.unwrap();
                transaction.rollback().await.unwrap();
                assert!(matches!(undone.status().await, Err(TaskError::Unknown(_))));

                let mut transaction = pool.begin().await.unwrap();
                let task = || Enqueue::new(Double(2)).key("one");
                let first = tasks.enqueue_in(&mut transaction, &queue, task()).await.unwrap();
                let second = tasks.enqueue_in(&mut transaction, &queue, task()).await.unwrap();
                transaction.commit().await.unwrap();
                assert_eq!(first.id(), second.id());
                assert_eq!(first.status().await.unwrap(), TaskStatus::Waiting);
            }

            #[tokio::test]
            async fn effect_and_report_are_one() {
                let folder = tempfile::tempdir().unwrap();
                let pool = super::$database(&folder).await;
                let tasks = tasks(&pool).await;
                let queue = TaskQueue::new(tasks.clone());
                let (handler_pool, handler_tasks) = (pool.clone(), tasks.clone());
                let worker = Worker::builder(&queue)
                    .handle(move |Double(number): Double, job| {
                        let (pool, tasks) = (handler_pool.clone(), handler_tasks.clone());
                        async move {
                            let mut transaction = pool.begin().await?;
                            sqlx::query("INSERT INTO effects VALUES ($1)")
                                .bind(i64::from(number))
                                .execute(&mut *transaction)
                                .await?;
                            tasks.acknowledge(&mut transaction, &job, &(number * 2)).await?;
                            if number == 13 && job.attempt() < 3 {
                                return Err("it failed after the report, before the commit".into());
                            }
                            transaction.commit().await?;
                            Ok::<_, BoxError>(0) // reported already
                        }
                    })
                    .retry(Backoff::constant(Duration::ZERO))
                    .start()
                    .unwrap();
                let handles = queue.enqueue_many((0..20).map(Double)).await.unwrap();
                for (task, number) in handles.iter().zip(0..) {
                    assert_eq!(task.result().await.unwrap(), number * 2);
                }
                assert_eq!(handles[13].record().await.unwrap().attempts, 3);
                worker.drain(PATIENCE).await.unwrap();
                assert_eq!(effects(&pool).await, (0..20).collect::<Vec<_>>());
            }

            #[tokio::test]
            async fn a_stale_report_undoes_its_effect() {
                let folder = tempfile::tempdir().unwrap();
                let pool = super::$database(&folder).await;
                let tasks = tasks(&pool).await;
                let queue = TaskQueue::new(tasks.clone());
                let (send, mut jobs) = mpsc::unbounded_channel();
                let worker = Worker::builder(&queue)
                    .handle(move |_: Double, job| {
                        let send = send.clone();
                        async move {
                            send.send(job)?;
                            std::future::pending::<Result<u32, BoxError>>().await
                        }
                    })
                    .start()
                    .unwrap();
                let task = queue.delay(Double(1)).await.unwrap();
                let job = jobs.recv().await.unwrap();
                drop(worker);
                until(async || task.status().await.unwrap() == TaskStatus::Waiting).await;

                let far = SystemClock.wall() + Duration::from_secs(3_600);
                let claim = Claim::new("other", 1, far, Duration::from_secs(60));
                let claimed = tasks.exchange("default", &[], &claim).await.unwrap().claimed;
                let Lease { id, token, .. } = claimed[0].lease;
                assert_eq!((id, token), (job.id(), job.lease().token + 1));

                let mut transaction = pool.begin().await.unwrap();
                sqlx::query("INSERT INTO effects VALUES (1)")
                    .execute(&mut *transaction)
                    .await
                    .unwrap();
                let stale = tasks.acknowledge(&mut transaction, &job, &2).await;
                assert!(matches!(stale, Err(TaskError::LeaseLost(lost)) if lost == id));
                drop(transaction);
                assert!(effects(&pool).await.is_empty());
                assert_eq!(task.status().await.unwrap(), TaskStatus::Running);
            }
        }
    };
}

async fn sqlite(folder: &tempfile::TempDir) -> SqlitePool {
    sqlite_pool(folder).await
}

async fn postgres(_folder: &tempfile::TempDir) -> PgPool {
    postgres_pool().await
}

on!(sqlite, SqliteTasks, SqlitePool);
on!(postgres, PostgresTasks, PgPool);
