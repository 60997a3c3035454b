//! Finding the bad row among good ones.
//!
//! A statement that fails undoes itself up to a savepoint. COPY then names the line, in which case the
//! rows before it are written again and the bad one is known, after three statements in all. A foreign key
//! is checked at the end and names none: the range is halved, the good half written, the other halved
//! again, which takes ten statements for a thousand rows. Looking row by row, as Spring Batch does, takes a
//! thousand.

use super::failure::Failed;
use crate::backend::{Scope, Target, driver_error};
use crate::progress::Meter;
use crate::row::BulkRow;
use sqlx::{Executor, Postgres};
use std::ops::Range;

/// Writes `rows` up to the first bad one, which the error names.
pub(super) async fn insert<R: BulkRow<Postgres> + Sync>(
    scope: &mut Scope<'_, Postgres>,
    target: &Target<'_>,
    rows: &[R],
    meter: &mut Meter<'_>,
) -> Result<(), Failed> {
    let Err(mut failed) = attempt(scope, target, rows, 0..rows.len(), meter).await else {
        return Ok(());
    };
    // A row in this range is bad, and all before it are written.
    let mut suspect = 0..rows.len();
    while failed.blames_a_row {
        let good = match failed.at {
            Some(at) if at == suspect.start => return Err(failed),
            Some(at) => suspect.start..at,
            None => suspect.start..suspect.start + suspect.len() / 2,
        };
        match attempt(scope, target, rows, good.clone(), meter).await {
            Ok(()) if failed.at == Some(good.end) => return Err(failed),
            Ok(()) => {
                suspect.start = good.end;
                if suspect.len() == 1 {
                    match attempt(scope, target, rows, suspect.clone(), meter).await {
                        // What was in its way is gone.
                        Ok(()) => {
                            return Box::pin(rest(scope, target, rows, suspect.end, meter)).await;
                        }
                        Err(other) => failed = other,
                    }
                }
            }
            Err(other) => {
                failed = other;
                suspect = good;
            }
        }
    }
    Err(failed)
}

async fn rest<R: BulkRow<Postgres> + Sync>(
    scope: &mut Scope<'_, Postgres>,
    target: &Target<'_>,
    rows: &[R],
    first: usize,
    meter: &mut Meter<'_>,
) -> Result<(), Failed> {
    insert(scope, target, &rows[first..], meter)
        .await
        .map_err(|failed| failed.offset(first))
}

/// Writes one range, or leaves no trace of it.
async fn attempt<R: BulkRow<Postgres> + Sync>(
    scope: &mut Scope<'_, Postgres>,
    target: &Target<'_>,
    rows: &[R],
    range: Range<usize>,
    meter: &mut Meter<'_>,
) -> Result<(), Failed> {
    let first = range.start;
    run(scope, "SAVEPOINT perf_bulk").await?;
    match super::insert(scope, target, &rows[range], meter).await {
        Ok(()) => run(scope, "RELEASE SAVEPOINT perf_bulk").await,
        Err(failed) => {
            // A savepoint that cannot be had back is the worse news.
            run(scope, "ROLLBACK TO SAVEPOINT perf_bulk").await?;
            Err(failed.offset(first))
        }
    }
}

async fn run(scope: &mut Scope<'_, Postgres>, sql: &'static str) -> Result<(), Failed> {
    let connection = &mut *scope.connection;
    let outcome = connection.execute(sql).await;
    outcome
        .map(drop)
        .map_err(|error| Failed::fatal(driver_error(error)))
}
