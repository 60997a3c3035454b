//! Parts of an insert, each behind a savepoint.

use super::failure::Failed;
use super::way;
use crate::backend::isolate::{Attempts, search};
use crate::backend::{Scope, Target, driver_error};
use crate::progress::Meter;
use crate::row::BulkRow;
use sqlx::{Executor, Postgres};
use std::ops::Range;

/// How many rows are tried at once: all of them are sent before the server names a bad one, so that
/// many bad rows among very many would cost too much.
const ROWS_AT_ONCE: usize = 8_192;

/// Writes `rows` up to the first bad one, which the error names.
pub(super) async fn insert<R: BulkRow<Postgres> + Sync>(
    scope: &mut Scope<'_, Postgres>,
    target: &Target<'_>,
    rows: &[R],
    meter: &mut Meter<'_>,
) -> Result<(), Failed> {
    // Outside of the savepoints, the lock stays that keeps what is found out true.
    way::of_insert(scope, target, rows).await?;
    let mut parts = Parts {
        scope,
        target,
        rows,
        meter,
    };
    let mut first = 0;
    while first < rows.len() {
        let end = rows.len().min(first + ROWS_AT_ONCE);
        search(&mut parts, first..end).await?;
        first = end;
    }
    Ok(())
}

struct Parts<'a, 'c, 'm, R> {
    scope: &'a mut Scope<'c, Postgres>,
    target: &'a Target<'a>,
    rows: &'a [R],
    meter: &'a mut Meter<'m>,
}

impl<R: BulkRow<Postgres> + Sync> Attempts for Parts<'_, '_, '_, R> {
    async fn attempt(&mut self, range: Range<usize>) -> Result<(), Failed> {
        let first = range.start;
        let before = self.meter.position();
        run(self.scope, "SAVEPOINT perf_bulk").await?;
        match super::insert(self.scope, self.target, &self.rows[range], self.meter).await {
            Ok(()) => run(self.scope, "RELEASE SAVEPOINT perf_bulk").await,
            Err(failed) => {
                // A savepoint that cannot be had back is the worse news.
                run(self.scope, "ROLLBACK TO SAVEPOINT perf_bulk").await?;
                self.meter.return_to(before);
                Err(failed.offset(first))
            }
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
