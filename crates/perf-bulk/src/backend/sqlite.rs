//! SQLite: a prepared statement on the connection's own handle.
//!
//! sqlx runs SQLite on a thread of its own and sends it one command a statement. For bulk work that
//! hand-over costs more than the insert, so multi-row `VALUES` through sqlx stays below half the speed of
//! a prepared loop. Here the worker thread is parked, [`lock_handle`](sqlx::SqliteConnection::lock_handle)
//! lends its handle, and rows are bound and stepped on the caller's thread, which yields to its runtime
//! every 100 rows or 256 KiB with the handle still in hand: giving it back and preparing anew would
//! cost as much as the rows in between.
//!
//! Transactions stay with sqlx, which counts their depth and rolls back what is dropped.

mod failure;
mod json;
mod raw;
mod statement;
mod value;

use super::{Backend, Conflict, Rejection, Scope, Target, driver_error, encoded, has_columns};
use crate::error::BulkError;
use crate::progress::Meter;
use crate::report::Upserted;
use crate::row::BulkRow;
use failure::Failure;
use raw::Session;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Row, Sqlite, SqliteConnection};
use sqlx_core::sql_str::SqlSafeStr;
use sqlx_core::transaction::TransactionManager;

pub use value::{SqliteCells, SqliteValue};

/// How much work is done between two yields to the runtime.
const ROWS_PER_POLL: u64 = 100;
const BYTES_PER_POLL: u64 = 256 << 10;

/// How many keys one statement looks up.
const READ_KEYS: usize = 500;

type Depth = <Sqlite as sqlx::Database>::TransactionManager;

impl super::sealed::Sealed for Sqlite {}

impl Backend for Sqlite {
    type Cells<'r> = SqliteCells<'r>;
    type Session = ();

    fn depth(connection: &SqliteConnection) -> usize {
        Depth::get_transaction_depth(connection)
    }

    async fn begin(connection: &mut SqliteConnection) -> Result<Scope<'_, Self>, BulkError> {
        // A deferred transaction that turns into a writer midway can fail where waiting would have
        // helped, so the write lock is taken first. A savepoint has its transaction's lock.
        let outermost = Depth::get_transaction_depth(connection) == 0;
        let statement = outermost.then(|| "BEGIN IMMEDIATE".into_sql_str());
        // Cancelled, this is undone by the worker thread.
        Depth::begin(connection, statement)
            .await
            .map_err(driver_error)?;
        Ok(Scope::begun(connection))
    }

    async fn commit(mut scope: Scope<'_, Self>) -> Result<(), BulkError> {
        // A failed COMMIT leaves the transaction open, and dropping it rolls back: nothing is unknown.
        Depth::commit(&mut scope)
            .await
            .map_err(failure::commit_error)?;
        scope.close();
        Ok(())
    }

    fn abandon(connection: &mut SqliteConnection, (): &()) {
        Depth::start_rollback(connection);
    }

    async fn insert<R: BulkRow<Self> + Sync>(
        scope: &mut Scope<'_, Self>,
        target: &Target<'_>,
        _isolate: bool,
        rows: &[R],
        meter: &mut Meter<'_>,
    ) -> Result<(), Rejection> {
        let statements = [statement::insert(target)];
        write(scope, target, &statements, rows, meter, |session, row| {
            run_changing(session, 0, row)
        })
        .await
    }

    /// SQLite returns the id of one row before it writes the next: there is no order to prove.
    async fn insert_with_ids<R: BulkRow<Self> + Sync>(
        scope: &mut Scope<'_, Self>,
        target: &Target<'_>,
        id: &str,
        _isolate: bool,
        rows: &[R],
        ids: &mut Vec<i64>,
        meter: &mut Meter<'_>,
    ) -> Result<(), Rejection> {
        let statements = [statement::insert_returning(target, id)];
        write(scope, target, &statements, rows, meter, |session, row| {
            let returned = session.run_returning(0, row)?;
            ids.push(returned.ok_or_else(Failure::ignored)?);
            Ok(())
        })
        .await
    }

    async fn upsert<R: BulkRow<Self> + Sync>(
        scope: &mut Scope<'_, Self>,
        target: &Target<'_>,
        conflict: &Conflict,
        rows: &[R],
        meter: &mut Meter<'_>,
    ) -> Result<Vec<Upserted>, Rejection> {
        let statements = [
            statement::lookup(target, conflict),
            statement::upsert(target, conflict),
        ];
        let mut outcomes = Vec::with_capacity(rows.len());
        write(scope, target, &statements, rows, meter, |session, row| {
            let existed = session.run(0, conflict.key.iter().map(|position| &row[*position]))?;
            outcomes.push(match existed {
                false => Upserted::Inserted,
                true if conflict.update.is_empty() => Upserted::Kept,
                true => Upserted::Updated,
            });
            match outcomes.last() {
                Some(Upserted::Kept) => session.run(1, row).map(drop),
                _ => run_changing(session, 1, row),
            }
        })
        .await?;
        Ok(outcomes)
    }

    async fn update<R: BulkRow<Self> + Sync>(
        scope: &mut Scope<'_, Self>,
        target: &Target<'_>,
        conflict: &Conflict,
        rows: &[R],
        meter: &mut Meter<'_>,
    ) -> Result<Vec<bool>, Rejection> {
        let statements = [statement::update(target, conflict)];
        let mut matched = Vec::with_capacity(rows.len());
        write(scope, target, &statements, rows, meter, |session, row| {
            let positions = conflict.update.iter().chain(&conflict.key);
            let before = session.changes();
            session.run(0, positions.map(|position| &row[*position]))?;
            matched.push(session.changes() != before);
            Ok(())
        })
        .await?;
        Ok(matched)
    }

    async fn delete<R: BulkRow<Self> + Sync>(
        scope: &mut Scope<'_, Self>,
        target: &Target<'_>,
        keys: &[R],
        meter: &mut Meter<'_>,
    ) -> Result<Vec<bool>, Rejection> {
        let statements = [statement::delete(target)];
        let mut matched = Vec::with_capacity(keys.len());
        write(scope, target, &statements, keys, meter, |session, key| {
            let before = session.changes();
            session.run(0, key)?;
            matched.push(session.changes() != before);
            Ok(())
        })
        .await?;
        Ok(matched)
    }

    async fn read<R: BulkRow<Self> + Sync>(
        connection: &mut SqliteConnection,
        target: &Target<'_>,
        keys: &[R],
    ) -> Result<Vec<(usize, SqliteRow)>, Rejection> {
        let mut found = Vec::new();
        let mut cells = SqliteCells::default();
        for (first, part) in (0..).step_by(READ_KEYS).zip(keys.chunks(READ_KEYS)) {
            let mut arguments = SqliteArguments::default();
            for (at, key) in part.iter().enumerate() {
                encode(key, first + at, target, &mut cells)
                    .and_then(|()| value::bind(cells.values(), &mut arguments))
                    .map_err(|error| rejection(first + at, false, error))?;
            }
            let sql = AssertSqlSafe(statement::read(target, first, part.len()));
            let rows = sqlx::query_with(sql, arguments)
                .fetch_all(&mut *connection)
                .await
                .map_err(|error| rejection(first, false, failure::read_error(error, target)))?;
            for row in rows {
                let position: i64 = row
                    .try_get(row.len() - 1)
                    .map_err(|error| rejection(first, false, driver_error(error)))?;
                found.push((usize::try_from(position).unwrap_or(usize::MAX), row));
            }
        }
        Ok(found)
    }

    fn key<R: BulkRow<Self>>(
        row: &R,
        target: &Target<'_>,
        positions: &[usize],
        key: &mut Vec<u8>,
    ) -> Result<bool, BulkError> {
        let mut cells = SqliteCells::default();
        encode(row, 0, target, &mut cells)?;
        let mut values = positions.iter().map(|position| &cells.values()[*position]);
        values.clone().for_each(|value| value.append_to_key(key));
        Ok(values.all(|value| *value != SqliteValue::Null))
    }
}

/// Encodes every row and hands it to `each`, with pauses for the runtime.
async fn write<R: BulkRow<Sqlite> + Sync>(
    connection: &mut SqliteConnection,
    target: &Target<'_>,
    statements: &[String],
    rows: &[R],
    meter: &mut Meter<'_>,
    mut each: impl FnMut(&mut Session<'_>, &[SqliteValue<'_>]) -> Result<(), Failure> + Send,
) -> Result<(), Rejection> {
    let own_transaction = Depth::get_transaction_depth(connection) == 1;
    let mut session = Session::open(connection, statements)
        .await
        .map_err(|failure| rejection(0, false, failure.into_statement_error(target)))?;
    let mut cells = SqliteCells::default();
    let (mut sent, mut bytes) = (0, 0);
    for (at, row) in rows.iter().enumerate() {
        if let Err(error) = encode(row, at, target, &mut cells) {
            meter.advance(sent, bytes);
            return Err(rejection(at, true, error));
        }
        let changes = session.changes();
        if let Err(failure) = each(&mut session, cells.values()) {
            meter.advance(sent, bytes);
            // A trigger's RAISE(FAIL) leaves in the table what it complains of.
            let undone = session.in_transaction() && session.changes() == changes;
            let isolated = failure.blames_the_row() && undone;
            let error = failure.into_row_error(at);
            if own_transaction {
                session.restore_transaction();
            } else if !session.in_transaction() {
                // An empty one in its place would let the caller's COMMIT seem to succeed.
                return Err(rejection(at, false, lost(error)));
            }
            return Err(rejection(at, isolated, error));
        }
        (sent, bytes) = (sent + 1, bytes + cells.bytes());
        if sent == ROWS_PER_POLL || bytes >= BYTES_PER_POLL {
            meter.advance(sent, bytes);
            (sent, bytes) = (0, 0);
            tokio::task::yield_now().await;
        }
    }
    meter.advance(sent, bytes);
    Ok(())
}

/// Runs a statement that must change something.
fn run_changing(
    session: &mut Session<'_>,
    statement: usize,
    row: &[SqliteValue<'_>],
) -> Result<(), Failure> {
    let before = session.changes();
    session.run(statement, row)?;
    if session.changes() == before {
        return Err(Failure::ignored());
    }
    Ok(())
}

fn encode<'r, R: BulkRow<Sqlite>>(
    row: &'r R,
    at: usize,
    target: &Target<'_>,
    cells: &mut SqliteCells<'r>,
) -> Result<(), BulkError> {
    has_columns(row, target, at)?;
    cells.clear();
    let outcome = row.encode(cells);
    encoded(outcome, target, at, cells.values().len())
}

fn lost(error: BulkError) -> BulkError {
    BulkError::TransactionLost {
        source: Box::new(error),
    }
}

const fn rejection(at: usize, isolated: bool, error: BulkError) -> Rejection {
    Rejection {
        at,
        isolated,
        error,
    }
}
