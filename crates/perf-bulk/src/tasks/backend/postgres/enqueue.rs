//! How tasks get into the table.

use super::super::NewTask;
use super::super::sql::{column, failed, limit_micros};
use super::text::Text;
use super::{id, uuid};
use crate::error::TaskError;
use crate::tasks::TaskId;
use crate::wall::to_micros;
use perf_core::Transience;
use sqlx::types::Uuid;
use sqlx::{AssertSqlSafe, PgConnection, query_as, query_scalar};
use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

/// The most tasks of one statement.
const CHUNK: usize = 5_000;

/// Adds tasks in the open transaction; their ids in order.
pub(super) async fn enqueue(
    connection: &mut PgConnection,
    text: &Text,
    queue: &str,
    tasks: &[NewTask],
    now: SystemTime,
) -> Result<Vec<TaskId>, TaskError> {
    let mut ids = Vec::with_capacity(tasks.len());
    for chunk in tasks.chunks(CHUNK) {
        let added = insert(connection, text, queue, chunk, now).await?;
        if added.len() == chunk.len() {
            ids.extend(chunk.iter().map(|task| task.id));
        } else {
            let known = by_key(connection, text, queue, chunk).await?;
            for task in chunk {
                ids.push(resolve(task, &added, &known)?);
            }
        }
    }
    Ok(ids)
}

/// The ids of the tasks whose keys were not known.
async fn insert(
    connection: &mut PgConnection,
    text: &Text,
    queue: &str,
    tasks: &[NewTask],
    now: SystemTime,
) -> Result<HashSet<Uuid>, TaskError> {
    let now = to_micros(now);
    let run_at = |task: &NewTask| task.run_at.map_or(now, to_micros);
    let query = query_scalar(AssertSqlSafe(text.enqueue.as_str()))
        .bind(now)
        .bind(queue)
        .bind(collect(tasks, |task| uuid(task.id)))
        .bind(collect(tasks, |task| task.name.clone()))
        .bind(collect(tasks, |task| task.args.clone()))
        .bind(collect(tasks, |task| task.key.clone()))
        .bind(collect(tasks, |task| task.priority))
        .bind(collect(tasks, run_at))
        .bind(collect(tasks, |task| column(task.max_attempts)))
        .bind(collect(tasks, |task| limit_micros(task.time_limit)));
    let added: Vec<Uuid> = query.fetch_all(connection).await.map_err(failed)?;
    Ok(added.into_iter().collect())
}

/// The id under which a task is in the table, its own or that of the one with its key.
fn resolve(
    task: &NewTask,
    added: &HashSet<Uuid>,
    known: &HashMap<String, TaskId>,
) -> Result<TaskId, TaskError> {
    if added.contains(&uuid(task.id)) {
        return Ok(task.id);
    }
    let other = task.key.as_ref().and_then(|key| known.get(key));
    other.copied().ok_or_else(|| TaskError::Backend {
        transience: Transience::Transient,
        source: "the task with this key was forgotten meanwhile".into(),
    })
}

async fn by_key(
    connection: &mut PgConnection,
    text: &Text,
    queue: &str,
    tasks: &[NewTask],
) -> Result<HashMap<String, TaskId>, TaskError> {
    let keys: Vec<_> = tasks.iter().filter_map(|task| task.key.clone()).collect();
    let query = query_as(AssertSqlSafe(text.by_key.as_str()))
        .bind(queue)
        .bind(keys);
    let known: Vec<(String, Uuid)> = query.fetch_all(connection).await.map_err(failed)?;
    Ok(known
        .into_iter()
        .map(|(key, uuid)| (key, id(uuid)))
        .collect())
}

fn collect<T>(tasks: &[NewTask], column: impl Fn(&NewTask) -> T) -> Vec<T> {
    tasks.iter().map(column).collect()
}
