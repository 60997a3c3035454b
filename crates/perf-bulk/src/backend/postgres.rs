//! Postgres: `VALUES` for a few rows, `unnest` or binary COPY for more.

mod cells;
mod copy;
mod describe;
mod failure;
mod ids;
mod input;
mod isolate;
mod json;
mod keyed;
mod numbered;
mod statement;
mod transaction;
mod upsert;
mod way;

use super::{Backend, Conflict, Rejection, Scope, Target, encoded, has_columns};
use crate::error::BulkError;
use crate::progress::Meter;
use crate::report::Upserted;
use crate::row::BulkRow;
use failure::Failed;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Postgres};
use way::Way;

pub use cells::PgCells;

/// What is remembered for the length of a transaction.
#[derive(Debug, Default)]
pub struct Session {
    /// Set while rows are on their way outside of a transaction of the caller's.
    writing: bool,
    known: Option<describe::Known>,
    /// Where ids come from.
    sequence: Option<String>,
}

impl super::sealed::Sealed for Postgres {}

impl Backend for Postgres {
    type Cells<'r> = PgCells;
    type Session = Session;

    fn depth(connection: &PgConnection) -> usize {
        transaction::depth(connection)
    }

    async fn begin(connection: &mut PgConnection) -> Result<Scope<'_, Self>, BulkError> {
        transaction::begin(connection).await
    }

    async fn commit(scope: Scope<'_, Self>) -> Result<(), BulkError> {
        transaction::commit(scope).await
    }

    fn abandon(connection: &mut PgConnection, session: &Session) {
        transaction::abandon(connection, session.writing);
    }

    async fn insert<R: BulkRow<Self> + Sync>(
        scope: &mut Scope<'_, Self>,
        target: &Target<'_>,
        isolate: bool,
        rows: &[R],
        meter: &mut Meter<'_>,
    ) -> Result<(), Rejection> {
        write(scope, target, isolate, rows, meter).await
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
        ids::insert(scope, target, id, isolate, rows, ids, meter).await
    }

    async fn upsert<R: BulkRow<Self> + Sync>(
        scope: &mut Scope<'_, Self>,
        target: &Target<'_>,
        conflict: &Conflict,
        rows: &[R],
        meter: &mut Meter<'_>,
    ) -> Result<Vec<Upserted>, Rejection> {
        start_writing(scope);
        let outcome = upsert::write(scope, target, conflict, rows, meter).await;
        end_writing(scope, outcome, false)
    }

    async fn update<R: BulkRow<Self> + Sync>(
        scope: &mut Scope<'_, Self>,
        target: &Target<'_>,
        conflict: &Conflict,
        rows: &[R],
        meter: &mut Meter<'_>,
    ) -> Result<Vec<bool>, Rejection> {
        start_writing(scope);
        let outcome = keyed::update(scope, target, conflict, rows, meter).await;
        end_writing(scope, outcome, false)
    }

    async fn delete<R: BulkRow<Self> + Sync>(
        scope: &mut Scope<'_, Self>,
        target: &Target<'_>,
        keys: &[R],
        meter: &mut Meter<'_>,
    ) -> Result<Vec<bool>, Rejection> {
        start_writing(scope);
        let outcome = keyed::delete(scope, target, keys, meter).await;
        end_writing(scope, outcome, false)
    }

    async fn read<R: BulkRow<Self> + Sync>(
        connection: &mut PgConnection,
        target: &Target<'_>,
        keys: &[R],
    ) -> Result<Vec<(usize, PgRow)>, Rejection> {
        keyed::read(connection, target, keys)
            .await
            .map_err(|failed| failed.into_rejection(false))
    }

    fn key<R: BulkRow<Self>>(
        row: &R,
        target: &Target<'_>,
        positions: &[usize],
        key: &mut Vec<u8>,
    ) -> Result<bool, BulkError> {
        let mut cells = PgCells::default();
        encode(row, 0, target, &mut cells)?;
        let values: Vec<_> = cells::values(cells.bytes(), target.columns.len()).collect();
        let mut chosen = positions.iter().map(|position| values[*position]);
        for value in chosen.clone().flatten() {
            key.extend((value.len() as u64).to_ne_bytes());
            key.extend(value);
        }
        Ok(chosen.all(|value| value.is_some()))
    }
}

async fn write<R: BulkRow<Postgres> + Sync>(
    scope: &mut Scope<'_, Postgres>,
    target: &Target<'_>,
    isolate: bool,
    rows: &[R],
    meter: &mut Meter<'_>,
) -> Result<(), Rejection> {
    start_writing(scope);
    let outcome = if isolate {
        isolate::insert(scope, target, rows, meter).await
    } else {
        insert(scope, target, rows, meter).await
    };
    end_writing(scope, outcome, isolate)
}

/// Notes that from here on a scope that is dropped ends its connection.
fn start_writing(scope: &mut Scope<'_, Postgres>) {
    scope.session.writing = !transaction::is_nested(scope);
}

fn end_writing<T>(
    scope: &mut Scope<'_, Postgres>,
    outcome: Result<T, Failed>,
    isolate: bool,
) -> Result<T, Rejection> {
    scope.session.writing = false;
    outcome.map_err(|failed| failed.into_rejection(isolate))
}

/// Writes rows by the way that suits their number and the transport.
async fn insert<R: BulkRow<Postgres> + Sync>(
    scope: &mut Scope<'_, Postgres>,
    target: &Target<'_>,
    rows: &[R],
    meter: &mut Meter<'_>,
) -> Result<(), Failed> {
    let (types, way) = way::of_insert(scope, target, rows).await?;
    match way {
        Way::Copy(transport) => copy::write(scope, target, &types, transport, rows, meter).await,
        Way::Statements(form) => statement::write(scope, target, &types, form, rows, meter).await,
    }
}

/// Appends `row`, or leaves the cells as they were.
fn encode<R: BulkRow<Postgres>>(
    row: &R,
    at: usize,
    target: &Target<'_>,
    cells: &mut PgCells,
) -> Result<(), BulkError> {
    has_columns(row, target, at)?;
    let before = cells.len();
    cells.start_row(target.columns.len());
    let outcome = row.encode(cells);
    encoded(outcome, target, at, cells.position())
        .map_err(failure::encode_error)
        .inspect_err(|_| cells.truncate(before))
}
