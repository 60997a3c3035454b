//! Tasks in a table of Postgres.
//!
//! Reports and the next claim are one statement. Rows that another transaction holds are skipped and not
//! waited for (`SKIP LOCKED`), so workers do not queue behind each other. The limit of a claim stands in the
//! text: bound as a parameter, the planner guesses a tenth of the table and reads it from end to end.
//! Workers round theirs, so the texts are few.
//!
//! NOTIFY takes a lock that all committing transactions of the server share. So enqueuing through the queue
//! commits without one, and tells other processes at most every 5 ms from a connection of its own.

mod enqueue;
mod notify;
mod text;

use super::sql::{self, Report, count, failed, limit_from};
use super::{
    Claim, Claimed, Counts, Exchange, Lease, NewTask, Promotion, QueueBackend, Settlement,
    TaskRecord,
};
use crate::error::TaskError;
use crate::tasks::worker::Job;
use crate::tasks::{Enqueue, Task, TaskHandle, TaskId, TaskQueue};
use crate::wall::{from_micros, to_micros};
use async_trait::async_trait;
use notify::Bell;
use serde::Serialize;
use sqlx::types::Uuid;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, query, query_as, query_scalar};
use std::sync::Arc;
use std::time::SystemTime;
use text::Text;
use tokio::sync::watch;

/// Tasks in a table of Postgres. Clones share their pool.
#[derive(Clone, Debug)]
pub struct PostgresTasks {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    pool: PgPool,
    text: Text,
    bell: Bell,
}

impl PostgresTasks {
    /// The tasks in `table`, which is created unless it exists; a dot in the name divides the schema from
    /// the table.
    ///
    /// Listening for tasks of other processes takes a connection beside the pool's, from the first worker on.
    ///
    /// # Errors
    ///
    /// [`TaskError::Backend`] when it cannot be created.
    ///
    /// # Cancel safety
    ///
    /// Dropped midway, table and indexes exist or not.
    pub async fn create(pool: PgPool, table: &str) -> Result<Self, TaskError> {
        let text = Text::new(table);
        let created = sqlx::raw_sql(AssertSqlSafe(text.create.clone()));
        created.execute(&pool).await.map_err(failed)?;
        let bell = Bell::new(pool.clone(), table);
        let shared = Arc::new(Shared { pool, text, bell });
        Ok(Self { shared })
    }

    /// Enqueues a task inside the caller's transaction: it exists when that commits.
    ///
    /// # Errors
    ///
    /// As [`TaskQueue::enqueue`]; the transaction may be unusable then.
    ///
    /// # Cancel safety
    ///
    /// Dropped midway, roll the transaction back.
    pub async fn enqueue_in<T: Task>(
        &self,
        connection: &mut PgConnection,
        queue: &TaskQueue,
        task: Enqueue<T>,
    ) -> Result<TaskHandle<T>, TaskError> {
        let task = task.into_new()?;
        let now = queue.now();
        let text = &self.shared.text;
        let ids = enqueue::enqueue(connection, text, queue.name(), &[task], now).await?;
        self.shared.bell.ring_in(connection).await?;
        Ok(TaskHandle::new(queue.clone(), ids[0]))
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
        connection: &mut PgConnection,
        job: &Job,
        output: &O,
    ) -> Result<(), TaskError> {
        let settlement = job.success(output)?;
        let report = Report::of(&settlement);
        let done = query(AssertSqlSafe(self.shared.text.common.acknowledge.as_str()))
            .bind(uuid(settlement.lease.id))
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
}

#[async_trait]
impl QueueBackend for PostgresTasks {
    async fn enqueue(
        &self,
        queue: &str,
        tasks: &[NewTask],
        now: SystemTime,
    ) -> Result<Vec<TaskId>, TaskError> {
        let Shared { pool, text, bell } = &*self.shared;
        let mut transaction = pool.begin().await.map_err(failed)?;
        let ids = enqueue::enqueue(&mut transaction, text, queue, tasks, now).await?;
        transaction.commit().await.map_err(failed)?;
        bell.ring();
        Ok(ids)
    }

    async fn exchange(
        &self,
        queue: &str,
        settlements: &[Settlement],
        claim: &Claim,
    ) -> Result<Exchange, TaskError> {
        let reports: Vec<_> = settlements.iter().map(Report::of).collect();
        let leases = settlements.iter().map(|settlement| settlement.lease);
        let sql = self.shared.text.exchange(claim.limit);
        let query = query_as::<Postgres, ExchangeRow>(AssertSqlSafe(sql))
            .bind(
                leases
                    .clone()
                    .map(|lease| uuid(lease.id))
                    .collect::<Vec<_>>(),
            )
            .bind(leases.map(|lease| lease.token).collect::<Vec<_>>())
            .bind(
                reports
                    .iter()
                    .map(|report| report.state)
                    .collect::<Vec<_>>(),
            )
            .bind(
                reports
                    .iter()
                    .map(|report| report.run_at)
                    .collect::<Vec<_>>(),
            )
            .bind(
                reports
                    .into_iter()
                    .map(|report| report.note)
                    .collect::<Vec<_>>(),
            )
            .bind(to_micros(claim.now))
            .bind(queue)
            .bind(to_micros(claim.until))
            .bind(&claim.worker);
        let rows = query.fetch_all(&self.shared.pool).await.map_err(failed)?;
        Ok(read_exchange(rows))
    }

    async fn promote(&self, queue: &str, now: SystemTime) -> Result<Promotion, TaskError> {
        let query = query_as(AssertSqlSafe(self.shared.text.promote.as_str()))
            .bind(queue)
            .bind(to_micros(now));
        let row: (i64, i64, Option<i64>) =
            query.fetch_one(&self.shared.pool).await.map_err(failed)?;
        let (due, expired, next) = row;
        Ok(Promotion {
            due: due.unsigned_abs(),
            expired: expired.unsigned_abs(),
            next: next.map(from_micros),
        })
    }

    async fn renew(
        &self,
        _queue: &str,
        leases: &[Lease],
        until: SystemTime,
    ) -> Result<Vec<TaskId>, TaskError> {
        let ids: Vec<_> = leases.iter().map(|lease| uuid(lease.id)).collect();
        let tokens: Vec<_> = leases.iter().map(|lease| lease.token).collect();
        let query = query_scalar(AssertSqlSafe(self.shared.text.renew.as_str()))
            .bind(ids)
            .bind(tokens)
            .bind(to_micros(until));
        let lost: Vec<Uuid> = query.fetch_all(&self.shared.pool).await.map_err(failed)?;
        Ok(lost.into_iter().map(id).collect())
    }

    async fn find(&self, queue: &str, id: TaskId) -> Result<Option<TaskRecord>, TaskError> {
        let query = query_as(AssertSqlSafe(self.shared.text.common.find.as_str()))
            .bind(queue)
            .bind(uuid(id));
        let row = query.fetch_optional(&self.shared.pool).await;
        Ok(row.map_err(failed)?.map(sql::record))
    }

    async fn cancel(&self, queue: &str, id: TaskId, now: SystemTime) -> Result<bool, TaskError> {
        self.change(&self.shared.text.common.cancel, queue, id, now)
            .await
    }

    async fn revive(&self, queue: &str, id: TaskId, now: SystemTime) -> Result<bool, TaskError> {
        let revived = self
            .change(&self.shared.text.common.revive, queue, id, now)
            .await;
        self.shared.bell.ring();
        revived
    }

    async fn dead(&self, queue: &str, limit: usize) -> Result<Vec<TaskId>, TaskError> {
        let query = query_scalar(AssertSqlSafe(self.shared.text.common.dead.as_str()))
            .bind(queue)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let ids: Vec<Uuid> = query.fetch_all(&self.shared.pool).await.map_err(failed)?;
        Ok(ids.into_iter().map(id).collect())
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
        let query = query(AssertSqlSafe(self.shared.text.common.purge.as_str()))
            .bind(queue)
            .bind(to_micros(finished));
        let purged = query.execute(&self.shared.pool).await.map_err(failed)?;
        Ok(purged.rows_affected())
    }

    fn arrivals(&self) -> watch::Receiver<()> {
        self.shared.bell.listen()
    }
}

impl PostgresTasks {
    /// Whether the transition was one for this task.
    async fn change(
        &self,
        sql: &str,
        queue: &str,
        id: TaskId,
        now: SystemTime,
    ) -> Result<bool, TaskError> {
        let query = query(AssertSqlSafe(sql))
            .bind(queue)
            .bind(uuid(id))
            .bind(to_micros(now));
        let changed = query.execute(&self.shared.pool).await.map_err(failed)?;
        Ok(changed.rows_affected() > 0)
    }
}

/// A claimed task, or the id of one whose report was refused; then the rest is NULL.
#[derive(Debug)]
struct ExchangeRow {
    id: Uuid,
    claimed: Option<ClaimedRow>,
}

#[derive(Debug)]
struct ClaimedRow {
    claimed: Claimed,
    priority: i16,
}

impl<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> for ExchangeRow {
    fn from_row(row: &'r sqlx::postgres::PgRow) -> Result<Self, sqlx::Error> {
        use sqlx::Row;
        let id: Uuid = row.try_get(0)?;
        let Some(token) = row.try_get(1)? else {
            return Ok(Self { id, claimed: None });
        };
        let claimed = Claimed {
            lease: Lease::new(self::id(id), token),
            name: row.try_get(2)?,
            args: row.try_get(3)?,
            attempt: count(row.try_get(4)?),
            max_attempts: count(row.try_get(5)?),
            time_limit: limit_from(row.try_get(6)?),
            run_at: from_micros(row.try_get(7)?),
        };
        let priority = row.try_get(8)?;
        let claimed = Some(ClaimedRow { claimed, priority });
        Ok(Self { id, claimed })
    }
}

fn read_exchange(rows: Vec<ExchangeRow>) -> Exchange {
    let mut exchange = Exchange::default();
    let mut claimed = Vec::with_capacity(rows.len());
    for row in rows {
        match row.claimed {
            Some(row) => claimed.push(row),
            None => exchange.refused.push(id(row.id)),
        }
    }
    // RETURNING keeps no order.
    claimed.sort_by_key(|row| {
        let run_at = row.claimed.run_at;
        (
            std::cmp::Reverse(row.priority),
            run_at,
            row.claimed.lease.id,
        )
    });
    exchange.claimed = claimed.into_iter().map(|row| row.claimed).collect();
    exchange
}

const fn uuid(id: TaskId) -> Uuid {
    Uuid::from_u128(id.to_u128())
}

const fn id(uuid: Uuid) -> TaskId {
    TaskId::from_u128(uuid.as_u128())
}
