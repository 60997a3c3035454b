//! MySQL and MariaDB: multi-row `VALUES`, in statements of few sizes that the server prepares once.
//!
//! A hundred rows a statement are near the best: fewer cost round trips, many more cost the server more than they
//! save. While the server works on one statement, the next is encoded. `LOAD DATA LOCAL` would be about a third faster, but sqlx announces it and never answers the server's
//! request for the data, and a hostile server may ask for any file.
//!
//! A statement that fails undoes itself, so parts of an insert need no savepoints. That holds for
//! InnoDB; what an engine without transactions has written stays.

mod alongside;
mod batch;
mod cells;
mod describe;
mod failure;
mod ids;
mod json;
mod keyed;
mod round;
mod statement;
mod transaction;
mod upsert;

use super::failed::{Failed, encode_error};
use super::{Backend, Conflict, Rejection, Scope, Target, encoded, has_columns};
use crate::error::BulkError;
use crate::progress::Meter;
use crate::report::Upserted;
use crate::row::BulkRow;
use alongside::alongside;
use batch::Batch;
use describe::Table;
use sqlx::mysql::MySqlRow;
use sqlx::{MySql, MySqlConnection};
use statement::Form;
use std::sync::Arc;

pub use cells::MySqlCells;

/// What is remembered for the length of a transaction.
#[derive(Debug, Default)]
pub struct Session {
    /// Set while the server's answer to a PREPARE is awaited.
    preparing: bool,
    /// Whether the transaction is the one that writes.
    writes: bool,
    table: Option<Arc<Table>>,
}

impl super::sealed::Sealed for MySql {}

impl Backend for MySql {
    type Cells<'r> = MySqlCells;
    type Session = Session;

    fn depth(connection: &MySqlConnection) -> usize {
        transaction::depth(connection)
    }

    async fn begin(connection: &mut MySqlConnection) -> Result<Scope<'_, Self>, BulkError> {
        transaction::begin(connection).await
    }

    async fn commit(scope: Scope<'_, Self>) -> Result<(), BulkError> {
        transaction::commit(scope).await
    }

    fn abandon(connection: &mut MySqlConnection, session: &Session) {
        transaction::abandon(connection, session.preparing);
    }

    async fn insert<R: BulkRow<Self> + Sync>(
        scope: &mut Scope<'_, Self>,
        target: &Target<'_>,
        isolate: bool,
        rows: &[R],
        meter: &mut Meter<'_>,
    ) -> Result<(), Rejection> {
        let outcome = insert(scope, target, rows, &mut statement::Plain, meter).await;
        rejection(scope, outcome, isolate).await
    }

    async fn insert_with_ids<R: BulkRow<Self> + Sync>(
        scope: &mut Scope<'_, Self>,
        target: &Target<'_>,
        id: &str,
        isolate: bool,
        rows: &[R],
        ids: &mut Vec<i64>,
        meter: &mut Meter<'_>,
    ) -> Result<(), Rejection> {
        let outcome = match ids::Numbered::prove(scope, target, id, ids).await {
            Ok(mut numbered) => insert(scope, target, rows, &mut numbered, meter).await,
            Err(failed) => Err(failed),
        };
        rejection(scope, outcome, isolate).await
    }

    async fn upsert<R: BulkRow<Self> + Sync>(
        scope: &mut Scope<'_, Self>,
        target: &Target<'_>,
        conflict: &Conflict,
        rows: &[R],
        meter: &mut Meter<'_>,
    ) -> Result<Vec<Upserted>, Rejection> {
        let outcome = upsert::write(scope, target, conflict, rows, meter).await;
        rejection(scope, outcome, false).await
    }

    async fn update<R: BulkRow<Self> + Sync>(
        scope: &mut Scope<'_, Self>,
        target: &Target<'_>,
        conflict: &Conflict,
        rows: &[R],
        meter: &mut Meter<'_>,
    ) -> Result<Vec<bool>, Rejection> {
        let outcome = keyed::update(scope, target, conflict, rows, meter).await;
        rejection(scope, outcome, false).await
    }

    async fn delete<R: BulkRow<Self> + Sync>(
        scope: &mut Scope<'_, Self>,
        target: &Target<'_>,
        keys: &[R],
        meter: &mut Meter<'_>,
    ) -> Result<Vec<bool>, Rejection> {
        let outcome = keyed::delete(scope, target, keys, meter).await;
        rejection(scope, outcome, false).await
    }

    async fn read<R: BulkRow<Self> + Sync>(
        connection: &mut MySqlConnection,
        target: &Target<'_>,
        keys: &[R],
    ) -> Result<Vec<(usize, MySqlRow)>, Rejection> {
        let fatal = |error| Failed::fatal(error).into_rejection(false);
        let mut scope = transaction::begin(connection).await.map_err(fatal)?;
        let outcome = keyed::read(&mut scope, target, keys).await;
        let rows = rejection(&mut scope, outcome, false).await?;
        transaction::commit(scope).await.map_err(fatal)?;
        Ok(rows)
    }

    fn key<R: BulkRow<Self>>(
        row: &R,
        target: &Target<'_>,
        positions: &[usize],
        key: &mut Vec<u8>,
    ) -> Result<bool, BulkError> {
        let mut cells = MySqlCells::default();
        encode(row, 0, target, &mut cells)?;
        let mut chosen = positions.iter().map(|position| cells.value(*position));
        for value in chosen.clone().flatten() {
            key.extend((value.len() as u64).to_ne_bytes());
            key.extend(value);
        }
        Ok(chosen.all(|value| value.is_some()))
    }
}

/// Writes `rows` up to the first bad one, which the error names whether the others are to stay or not.
async fn insert<R: BulkRow<MySql> + Sync>(
    scope: &mut Scope<'_, MySql>,
    target: &Target<'_>,
    rows: &[R],
    form: &mut impl Form,
    meter: &mut Meter<'_>,
) -> Result<(), Failed> {
    let table = describe::table(scope, target).await?;
    let suffix = form.suffix();
    let [mut batch, mut next] = [(); 2].map(|()| Batch::new(&table.types));
    batch.fill(target, &table, &suffix, rows);
    let mut first = 0;
    while first < rows.len() {
        let bad = batch.bad.take();
        let rest = match bad {
            Some(_) => &[],
            None => &rows[first + batch.rows..],
        };
        let written = batch.write(scope, target, &suffix, form);
        alongside(written, || next.fill(target, &table, &suffix, rest))
            .await
            .map_err(|failed| failed.offset(first))?;
        meter.advance(batch.rows as u64, batch.cells.value_bytes());
        if let Some(failed) = bad {
            return Err(failed.offset(first));
        }
        first += batch.rows;
        std::mem::swap(&mut batch, &mut next);
    }
    Ok(())
}

/// What failed, with the news that the transaction is gone if it was the caller's.
async fn rejection<T>(
    scope: &mut Scope<'_, MySql>,
    outcome: Result<T, Failed>,
    isolate: bool,
) -> Result<T, Rejection> {
    let mut failed = match outcome {
        Ok(done) => return Ok(done),
        Err(failed) => failed,
    };
    if transaction::is_nested(scope) && failure::ends_the_transaction(&failed.error) {
        transaction::restore(scope).await;
        failed.error = BulkError::TransactionLost {
            source: Box::new(failed.error),
        };
    }
    Err(failed.into_rejection(isolate))
}

/// Appends `row`, or leaves the cells as they were.
fn encode<R: BulkRow<MySql>>(
    row: &R,
    at: usize,
    target: &Target<'_>,
    cells: &mut MySqlCells,
) -> Result<(), BulkError> {
    has_columns(row, target, at)?;
    cells.start_row();
    let outcome = row.encode(cells);
    encoded(outcome, target, at, cells.position())
        .map_err(encode_error)
        .inspect_err(|_| cells.undo_row())
}
