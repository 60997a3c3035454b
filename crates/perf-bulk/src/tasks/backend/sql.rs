//! What the SQL backends have in common: how states, tasks and reports look in a table.

use super::{Outcome, Settlement, TaskRecord, TaskStatus};
use crate::backend::driver_error;
use crate::error::{BoxError, BulkError, TaskError};
use crate::wall::to_micros;
use perf_core::Transience;
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
