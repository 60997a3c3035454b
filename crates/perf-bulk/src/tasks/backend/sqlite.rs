//! Tasks in a table of SQLite.
//!
//! SQLite has one writer at a time, so a transaction that begins as a writer (`BEGIN IMMEDIATE`) is all the
//! locking there is. A worker that finds nothing has only read. Workers of this process hear of new tasks
//! at once, those of others when they look again.

mod text;

use super::sql::{self, Report, column, count, failed, limit_from, limit_micros};
use super::{
    Claim, Claimed, Counts, Exchange, Lease, NewTask, Promotion, QueueBackend, Settlement,
    TaskRecord,
};
use crate::error::TaskError;
use crate::tasks::worker::Job;
use crate::tasks::{Enqueue, Task, TaskHandle, TaskId, TaskQueue};
use crate::wall::{from_micros, to_micros};
use async_trait::async_trait;
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{
    AssertSqlSafe, Row, Sqlite, SqliteConnection, SqlitePool, Transaction, query, query_as,
    query_scalar,
};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;
use text::Text;
use tokio::sync::watch;

/// Tasks in a table of SQLite. Clones share their pool.
#[derive(Clone, Debug)]
pub struct SqliteTasks {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    pool: SqlitePool,
    text: Text,
    arrivals: watch::Sender<()>,
}

impl SqliteTasks {
    /// The tasks in `table`, which is created unless it exists.
    ///
    /// Give the pool's connections a `busy_timeout` and the write-ahead log if several processes or
    /// connections write.
    ///
    /// # Errors
    ///
    /// [`TaskError::Backend`] when it cannot be created.
    ///
    /// # Cancel safety
    ///
    /// Dropped midway, table and indexes exist or not.
    pub async fn create(pool: SqlitePool, table: &str) -> Result<Self, TaskError> {
        let text = Text::new(table);
        let mut transaction = writing(&pool).await?;
        let created = sqlx::raw_sql(AssertSqlSafe(text.create.clone()));
        created.execute(&mut *transaction).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        let arrivals = watch::Sender::new(());
        let shared = Arc::new(Shared {
            pool,
            text,
            arrivals,
        });
        Ok(Self { shared })
    }

    /// Enqueues a task inside the caller's transaction: it exists when that commits. Workers find it when
    /// they look again.
    ///
    /// # Errors
    ///
    /// As [`TaskQueue::enqueue`].
    ///
    /// # Cancel safety
    ///
    /// Dropped midway, roll the transaction back.
    pub async fn enqueue_in<T: Task>(
        &self,
        connection: &mut SqliteConnection,
        queue: &TaskQueue,
        task: Enqueue<T>,
    ) -> Result<TaskHandle<T>, TaskError> {
        let task = task.into_new()?;
        let text = &self.shared.text;
        let id = insert(connection, text, queue.name(), &task, queue.now()).await?;
        Ok(TaskHandle::new(queue.clone(), id))
    }

    /// Reports success inside the handler's transaction, so that its effects and the report are committed
    /// together or not at all. The task then ran once, whatever crashes.
    ///
    /// What the handler returns is not reported again. If it fails afterwards, its attempt has failed.
    ///
    /// # Errors
    ///
    /// [`TaskError::LeaseLost`] when another worker may have the task by now: roll back.
    ///
    /// # Cancel safety
    ///
    /// Dropped midway, roll the transaction back.
    pub async fn acknowledge<O: Serialize + Sync>(
        &self,
        connection: &mut SqliteConnection,
        job: &Job,
        output: &O,
    ) -> Result<(), TaskError> {
        let settlement = job.success(output)?;
        let report = Report::of(&settlement);
        let done = query(AssertSqlSafe(self.shared.text.common.acknowledge.as_str()))
            .bind(settlement.lease.id.to_string())
            .bind(settlement.lease.token)
            .bind(report.note)
            .bind(to_micros(job.now()))
            .execute(connection)
            .await
            .map_err(failed)?;
        if done.rows_affected() == 0 {
            return Err(TaskError::LeaseLost(settlement.lease.id));
        }
        job.set_acknowledged();
        Ok(())
    }

    /// How many rows a statement on one task or on all changed.
    async fn change(&self, sql: &str, bind: &[Bind<'_>]) -> Result<u64, TaskError> {
        let mut query = query(AssertSqlSafe(sql));
        for value in bind {
            query = match value {
                Bind::Text(text) => query.bind(text),
                Bind::Id(id) => query.bind(id.to_string()),
                Bind::Time(time) => query.bind(to_micros(*time)),
            };
        }
        let changed = query.execute(&self.shared.pool).await.map_err(failed)?;
        Ok(changed.rows_affected())
    }
}

enum Bind<'a> {
    Text(&'a str),
    Id(TaskId),
    Time(SystemTime),
}

#[async_trait]
impl QueueBackend for SqliteTasks {
    async fn enqueue(
        &self,
        queue: &str,
        tasks: &[NewTask],
        now: SystemTime,
    ) -> Result<Vec<TaskId>, TaskError> {
        let mut transaction = writing(&self.shared.pool).await?;
        let mut ids = Vec::with_capacity(tasks.len());
        for task in tasks {
            ids.push(insert(&mut transaction, &self.shared.text, queue, task, now).await?);
        }
        transaction.commit().await.map_err(failed)?;
        self.shared.arrivals.send_replace(());
        Ok(ids)
    }

    async fn exchange(
        &self,
        queue: &str,
        settlements: &[Settlement],
        claim: &Claim,
    ) -> Result<Exchange, TaskError> {
        if settlements.is_empty() && !self.any_waiting(queue).await? {
            return Ok(Exchange::default());
        }
        let text = &self.shared.text;
        let mut transaction = writing(&self.shared.pool).await?;
        let refused = settle(&mut transaction, text, settlements, claim.now).await?;
        let claimed = take(&mut transaction, text, queue, claim).await?;
        transaction.commit().await.map_err(failed)?;
        Ok(Exchange { claimed, refused })
    }

    async fn promote(&self, queue: &str, now: SystemTime) -> Result<Promotion, TaskError> {
        let (next, lease_ends) = self.next(queue).await?;
        let is_past = |time: Option<i64>| time.is_some_and(|time| time <= to_micros(now));
        let mut promotion = Promotion::default();
        let bind = [Bind::Text(queue), Bind::Time(now)];
        if is_past(next) {
            promotion.due = self.change(&self.shared.text.due, &bind).await?;
        }
        if is_past(lease_ends) {
            promotion.expired = self.change(&self.shared.text.expired, &bind).await?;
        }
        let next = match promotion.due {
            0 => next,
            _ => self.next(queue).await?.0,
        };
        promotion.next = next.map(from_micros);
        Ok(promotion)
    }

    async fn renew(
        &self,
        _queue: &str,
        leases: &[Lease],
        until: SystemTime,
    ) -> Result<Vec<TaskId>, TaskError> {
        let list: Vec<_> = leases
            .iter()
            .map(|lease| (lease.id.to_string(), lease.token))
            .collect();
        let query = query_scalar(AssertSqlSafe(self.shared.text.renew.as_str()))
            .bind(json(&list))
            .bind(to_micros(until));
        let held: Vec<String> = query.fetch_all(&self.shared.pool).await.map_err(failed)?;
        let held: HashSet<_> = held.into_iter().collect();
        let lost = leases
            .iter()
            .filter(|lease| !held.contains(&lease.id.to_string()));
        Ok(lost.map(|lease| lease.id).collect())
    }

    async fn find(&self, queue: &str, id: TaskId) -> Result<Option<TaskRecord>, TaskError> {
        let query = query_as(AssertSqlSafe(self.shared.text.common.find.as_str()))
            .bind(queue)
            .bind(id.to_string());
        let row = query.fetch_optional(&self.shared.pool).await;
        Ok(row.map_err(failed)?.map(sql::record))
    }

    async fn cancel(&self, queue: &str, id: TaskId, now: SystemTime) -> Result<bool, TaskError> {
        let bind = [Bind::Text(queue), Bind::Id(id), Bind::Time(now)];
        Ok(self.change(&self.shared.text.common.cancel, &bind).await? > 0)
    }

    async fn revive(&self, queue: &str, id: TaskId, now: SystemTime) -> Result<bool, TaskError> {
        let bind = [Bind::Text(queue), Bind::Id(id), Bind::Time(now)];
        let revived = self.change(&self.shared.text.common.revive, &bind).await? > 0;
        self.shared.arrivals.send_replace(());
        Ok(revived)
    }

    async fn dead(&self, queue: &str, limit: usize) -> Result<Vec<TaskId>, TaskError> {
        let query = query_scalar(AssertSqlSafe(self.shared.text.common.dead.as_str()))
            .bind(queue)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let ids: Vec<String> = query.fetch_all(&self.shared.pool).await.map_err(failed)?;
        ids.iter().map(|id| id.parse()).collect()
    }

    async fn counts(&self, queue: &str) -> Result<Counts, TaskError> {
        let query = query_as(AssertSqlSafe(self.shared.text.common.counts.as_str())).bind(queue);
        let rows: Vec<(i16, i64)> = query.fetch_all(&self.shared.pool).await.map_err(failed)?;
        let mut counts = Counts::default();
        for (state, number) in rows {
            *counts.of(sql::status(state)) = number.unsigned_abs();
        }
        Ok(counts)
    }

    async fn purge(&self, queue: &str, finished: SystemTime) -> Result<u64, TaskError> {
        let bind = [Bind::Text(queue), Bind::Time(finished)];
        self.change(&self.shared.text.common.purge, &bind).await
    }

    fn arrivals(&self) -> watch::Receiver<()> {
        self.shared.arrivals.subscribe()
    }
}

impl SqliteTasks {
    async fn any_waiting(&self, queue: &str) -> Result<bool, TaskError> {
        let query = query_scalar(AssertSqlSafe(self.shared.text.any.as_str())).bind(queue);
        query.fetch_one(&self.shared.pool).await.map_err(failed)
    }

    /// When the next task is due, and when the next lease ends.
    async fn next(&self, queue: &str) -> Result<(Option<i64>, Option<i64>), TaskError> {
        let query = query_as(AssertSqlSafe(self.shared.text.next.as_str())).bind(queue);
        query.fetch_one(&self.shared.pool).await.map_err(failed)
    }
}

async fn writing(pool: &SqlitePool) -> Result<Transaction<'static, Sqlite>, TaskError> {
    pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed)
}

/// Adds a task; its id, or that of the one with its key.
async fn insert(
    connection: &mut SqliteConnection,
    text: &Text,
    queue: &str,
    task: &NewTask,
    now: SystemTime,
) -> Result<TaskId, TaskError> {
    let query = query(AssertSqlSafe(text.enqueue.as_str()))
        .bind(to_micros(now))
        .bind(queue)
        .bind(task.id.to_string())
        .bind(&task.name)
        .bind(&task.args)
        .bind(&task.key)
        .bind(task.priority)
        .bind(to_micros(task.run_at.unwrap_or(now)))
        .bind(column(task.max_attempts))
        .bind(limit_micros(task.time_limit));
    let added = query.execute(&mut *connection).await.map_err(failed)?;
    if added.rows_affected() > 0 {
        return Ok(task.id);
    }
    let known = query_scalar(AssertSqlSafe(text.by_key.as_str()))
        .bind(queue)
        .bind(&task.key);
    let known: String = known.fetch_one(connection).await.map_err(failed)?;
    known.parse()
}

/// The tasks whose report is refused.
async fn settle(
    connection: &mut SqliteConnection,
    text: &Text,
    settlements: &[Settlement],
    now: SystemTime,
) -> Result<Vec<TaskId>, TaskError> {
    if settlements.is_empty() {
        return Ok(Vec::new());
    }
    let reports: Vec<_> = settlements
        .iter()
        .map(|settlement| {
            let Report {
                state,
                note,
                run_at,
            } = Report::of(settlement);
            let lease = settlement.lease;
            (lease.id.to_string(), lease.token, state, run_at, note)
        })
        .collect();
    let reports = json(&reports);
    let forget = query_scalar(AssertSqlSafe(text.forget.as_str())).bind(&reports);
    let mut done: Vec<String> = forget.fetch_all(&mut *connection).await.map_err(failed)?;
    let settle = query_scalar(AssertSqlSafe(text.settle.as_str()))
        .bind(&reports)
        .bind(to_micros(now));
    done.extend(settle.fetch_all(connection).await.map_err(failed)?);
    let done: HashSet<_> = done.into_iter().collect();
    let ids = settlements.iter().map(|settlement| settlement.lease.id);
    Ok(ids.filter(|id| !done.contains(&id.to_string())).collect())
}

async fn take(
    connection: &mut SqliteConnection,
    text: &Text,
    queue: &str,
    claim: &Claim,
) -> Result<Vec<Claimed>, TaskError> {
    if claim.limit == 0 {
        return Ok(Vec::new());
    }
    let query = query(AssertSqlSafe(text.claim.as_str()))
        .bind(queue)
        .bind(i64::try_from(claim.limit).unwrap_or(i64::MAX))
        .bind(to_micros(claim.until))
        .bind(&claim.worker);
    let rows = query.fetch_all(connection).await.map_err(failed)?;
    let claimed: Result<Vec<_>, _> = rows.iter().map(claimed).collect();
    let mut claimed = claimed?;
    // RETURNING keeps no order.
    claimed
        .sort_by_key(|(priority, task)| (std::cmp::Reverse(*priority), task.run_at, task.lease.id));
    Ok(claimed.into_iter().map(|(_, task)| task).collect())
}

fn claimed(row: &SqliteRow) -> Result<(i16, Claimed), TaskError> {
    let id: String = row.try_get(0).map_err(failed)?;
    let claimed = Claimed {
        lease: Lease::new(id.parse()?, row.try_get(1).map_err(failed)?),
        name: row.try_get(2).map_err(failed)?,
        args: row.try_get(3).map_err(failed)?,
        attempt: count(row.try_get(4).map_err(failed)?),
        max_attempts: count(row.try_get(5).map_err(failed)?),
        time_limit: limit_from(row.try_get(6).map_err(failed)?),
        run_at: from_micros(row.try_get(7).map_err(failed)?),
    };
    Ok((row.try_get(8).map_err(failed)?, claimed))
}

/// Numbers and strings always have a form in JSON.
fn json<T: Serialize>(list: &[T]) -> String {
    serde_json::to_string(list).unwrap_or_default()
}
