//! What the SQL backends have in common: how states, tasks and reports look in a table, and the statements that
//! need nothing of one database alone.

use super::{Outcome, Settlement, TaskRecord, TaskStatus};
use crate::backend::driver_error;
use crate::error::{BoxError, BulkError, TaskError};
use crate::wall::to_micros;
use perf_core::{Dialect, Transience};
use std::fmt::Write as _;
use std::time::Duration;

/// States as the table has them. Their order is part of the indexes' conditions.
pub(super) const SCHEDULED: i16 = 0;
pub(super) const WAITING: i16 = 1;
const RUNNING: i16 = 2;
const SUCCEEDED: i16 = 3;
const DEAD: i16 = 4;
const CANCELLED: i16 = 5;
/// Of a report only: the task is deleted.
const FORGOTTEN: i16 = 6;

/// Statements on one table. sqlx numbers SQLite's parameters as those of Postgres.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) acknowledge: String,
    pub(super) find: String,
    pub(super) cancel: String,
    pub(super) revive: String,
    pub(super) dead: String,
    pub(super) counts: String,
    pub(super) purge: String,
}

impl Common {
    pub(super) fn new(table: &str) -> Self {
        let fill = |text: &str| text.replace("{table}", table);
        Self {
            acknowledge: fill(
                "UPDATE {table} SET state = 3, output = $3, error = NULL, finished_at = $4 \
                 WHERE id = $1 AND token = $2 AND state = 2",
            ),
            find: fill(
                "SELECT name, state, attempts, output, error FROM {table} WHERE queue = $1 AND id = $2",
            ),
            cancel: fill(
                "UPDATE {table} SET state = 5, finished_at = $3 \
                 WHERE queue = $1 AND id = $2 AND state < 3",
            ),
            revive: fill(
                "UPDATE {table} SET state = 1, attempts = 0, run_at = $3, finished_at = NULL \
                 WHERE queue = $1 AND id = $2 AND state = 4",
            ),
            dead: fill(
                "SELECT id FROM {table} WHERE queue = $1 AND state = 4 \
                 ORDER BY finished_at, id LIMIT $2",
            ),
            counts: fill("SELECT state, count(*) FROM {table} WHERE queue = $1 GROUP BY state"),
            purge: fill(
                "DELETE FROM {table} WHERE queue = $1 AND state IN (3, 5) AND finished_at < $2",
            ),
        }
    }
}

/// The statements that create the indexes of the table called `name`.
pub(super) fn indexes(dialect: Dialect, name: &str, table: &str) -> String {
    const INDEXES: [(&str, &str, &str); 5] = [
        (
            "INDEX",
            "waiting",
            "(queue, priority DESC, run_at, id) WHERE state = 1",
        ),
        ("INDEX", "scheduled", "(queue, run_at) WHERE state = 0"),
        ("INDEX", "leased", "(queue, lease_until) WHERE state = 2"),
        ("INDEX", "finished", "(queue, finished_at) WHERE state >= 3"),
        ("UNIQUE INDEX", "key", "(queue, key) WHERE key IS NOT NULL"),
    ];
    let mut sql = String::new();
    for (kind, suffix, columns) in INDEXES {
        let mut index = String::new();
        dialect.push_identifier(&mut index, &format!("{name}_{suffix}"));
        let _infallible = write!(
            sql,
            "CREATE {kind} IF NOT EXISTS {index} ON {table} {columns}; "
        );
    }
    sql
}

/// A report as columns.
pub(super) struct Report {
    pub(super) state: i16,
    pub(super) note: Option<String>,
    pub(super) run_at: i64,
}

impl Report {
    pub(super) fn of(settlement: &Settlement) -> Self {
        let report = |state, note: Option<&String>| Self {
            state,
            note: note.map(|note| note.replace('\0', "\u{fffd}")),
            run_at: 0,
        };
        match &settlement.outcome {
            Outcome::Succeeded(output) => report(SUCCEEDED, Some(output)),
            Outcome::Forgotten => report(FORGOTTEN, None),
            Outcome::Dead(error) => report(DEAD, Some(error)),
            Outcome::Released => report(WAITING, None),
            Outcome::Retry { at, error } => Self {
                run_at: to_micros(*at),
                ..report(SCHEDULED, Some(error))
            },
        }
    }
}

pub(super) const fn status(state: i16) -> TaskStatus {
    match state {
        SCHEDULED => TaskStatus::Scheduled,
        WAITING => TaskStatus::Waiting,
        RUNNING => TaskStatus::Running,
        SUCCEEDED => TaskStatus::Succeeded,
        CANCELLED => TaskStatus::Cancelled,
        _ => TaskStatus::Dead,
    }
}

/// A task's name, state, attempts, output and error, as a table has them.
pub(super) type RecordRow = (String, i16, i32, Option<String>, Option<String>);

pub(super) fn record((name, state, attempts, output, error): RecordRow) -> TaskRecord {
    TaskRecord {
        name,
        status: status(state),
        attempts: count(attempts),
        output,
        error,
    }
}

/// A count as it comes from a column; it is never negative.
pub(super) const fn count(value: i32) -> u32 {
    value.unsigned_abs()
}

/// A count as it goes into a column.
pub(super) fn column(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

pub(super) fn limit_micros(limit: Option<Duration>) -> Option<i64> {
    limit.map(|limit| i64::try_from(limit.as_micros()).unwrap_or(i64::MAX))
}

pub(super) fn limit_from(micros: Option<i64>) -> Option<Duration> {
    micros.map(|micros| Duration::from_micros(micros.unsigned_abs()))
}

/// What the driver said.
pub(super) fn failed(error: sqlx::Error) -> TaskError {
    match driver_error(error) {
        BulkError::Database { transience, source } => TaskError::Backend { transience, source },
        error => TaskError::Backend {
            transience: Transience::Permanent,
            source: BoxError::from(error),
        },
    }
}
