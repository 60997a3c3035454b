//! Postgres: `VALUES` for a few rows, binary COPY for more.
//!
//! COPY wins from some ten rows on where the server is near. What keeps it from being the only way is
//! sqlx 0.9, which leaves Nagle's algorithm on: over TCP, a COPY that fits into the socket's buffer waits
//! 40 ms for the server's delayed acknowledgement. So the transport is asked for, in the same round
//! trip that reads the columns' types, and over TCP less than 1 MiB goes as `VALUES`. So does everything
//! inside a caller's transaction, for a reason that the module `transaction` gives.

mod cells;
mod copy;
mod describe;
mod failure;
mod isolate;
mod transaction;
mod upsert;
mod values;

use super::{Backend, Conflict, Rejection, Scope, Target, encoded};
use crate::error::BulkError;
use crate::progress::Meter;
use crate::report::Upserted;
use crate::row::BulkRow;
use failure::Failed;
use sqlx::postgres::PgTypeInfo;
use sqlx::{PgConnection, Postgres};

pub use cells::PgCells;

/// Below this many rows one `VALUES` statement is as fast as COPY, and needs no question first.
const COPY_FROM_ROWS: usize = 16;
/// What a COPY over TCP must at least carry to be free of the wait.
const COPY_OVER_TCP_BYTES: usize = 1 << 20;

/// What is remembered for the length of a transaction.
#[derive(Debug, Default)]
pub struct Session {
    /// Set while the connection may be in the middle of a COPY.
    copying: bool,
}

impl super::sealed::Sealed for Postgres {}

impl Backend for Postgres {
    type Cells<'r> = PgCells;
    type Session = Session;

    async fn begin(connection: &mut PgConnection) -> Result<Scope<'_, Self>, BulkError> {
        transaction::begin(connection).await
    }

    async fn commit(scope: Scope<'_, Self>) -> Result<(), BulkError> {
        transaction::commit(scope).await
    }

    fn abandon(connection: &mut PgConnection, session: &Session) {
        transaction::abandon(connection, session.copying);
    }

    async fn insert<R: BulkRow<Self> + Sync>(
        scope: &mut Scope<'_, Self>,
        target: &Target<'_>,
        isolate: bool,
        rows: &[R],
        meter: &mut Meter<'_>,
    ) -> Result<(), Rejection> {
        let outcome = if isolate {
            isolate::insert(scope, target, rows, meter).await
        } else {
            insert(scope, target, rows, meter).await
        };
        outcome.map_err(|failed| failed.into_rejection(isolate))
    }

    async fn upsert<R: BulkRow<Self> + Sync>(
        scope: &mut Scope<'_, Self>,
        target: &Target<'_>,
        conflict: &Conflict,
        rows: &[R],
        meter: &mut Meter<'_>,
    ) -> Result<Vec<Upserted>, Rejection> {
        upsert::write(scope, target, conflict, rows, meter)
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

/// Writes rows by the way that suits their number and the transport.
async fn insert<R: BulkRow<Postgres> + Sync>(
    scope: &mut Scope<'_, Postgres>,
    target: &Target<'_>,
    rows: &[R],
    meter: &mut Meter<'_>,
) -> Result<(), Failed> {
    if rows.len() < COPY_FROM_ROWS || transaction::is_nested(scope) {
        let types = describe::columns(scope, target).await?;
        return values::write(scope, target, types, rows, meter).await;
    }
    let (types, over_tcp) = describe::columns_and_transport(scope, target).await?;
    if over_tcp && !exceeds(rows, target, &types, COPY_OVER_TCP_BYTES)? {
        values::write(scope, target, types, rows, meter).await
    } else {
        copy::write(scope, target, types, rows, meter).await
    }
}

/// Whether the rows encode to more than `limit` bytes; encodes no more of them than it takes to know.
fn exceeds<R: BulkRow<Postgres>>(
    rows: &[R],
    target: &Target<'_>,
    types: &[PgTypeInfo],
    limit: usize,
) -> Result<bool, Failed> {
    let mut cells = PgCells::checked(types.to_vec());
    let mut bytes = 0;
    for (at, row) in rows.iter().enumerate() {
        cells.clear();
        encode(row, at, target, &mut cells).map_err(|error| Failed::encoding(at, error))?;
        bytes += cells.len();
        if bytes > limit {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Appends `row`, or leaves the cells as they were.
fn encode<R: BulkRow<Postgres>>(
    row: &R,
    at: usize,
    target: &Target<'_>,
    cells: &mut PgCells,
) -> Result<(), BulkError> {
    let before = cells.len();
    cells.start_row(target.columns.len());
    let outcome = row.encode(cells);
    encoded(outcome, target, at, cells.position())
        .map_err(failure::encode_error)
        .inspect_err(|_| cells.truncate(before))
}
