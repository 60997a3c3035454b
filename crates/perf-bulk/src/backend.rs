//! The databases that rows can be written to.
//!
//! A backend supplies the least that differs: how a value becomes a cell, how a transaction begins that
//! is ready to write, and how a slice of rows goes over the wire. Chunks, atomicity, isolation of bad
//! rows, duplicate keys and progress are built above it, once for all.

#[cfg(feature = "mysql")]
pub(crate) mod mysql;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;

#[cfg(any(feature = "mysql", feature = "postgres"))]
mod failed;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod isolate;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod on_conflict;
mod scope;
mod sql;

use crate::error::{BoxError, BulkError};
use crate::policy::Strategy;
use crate::progress::Meter;
use crate::report::Upserted;
use crate::row::BulkRow;
use perf_core::Transience;
use sqlx::Database;
use std::fmt;
use std::future::Future;

pub use scope::Scope;

/// A database that rows can be written to in bulk. Sealed: the drivers' own marker types implement it.
pub trait Backend: Database + sealed::Sealed {
    /// Collects the values of rows, in the form that the database takes fastest.
    type Cells<'r>;

    /// What a backend remembers for the length of one transaction.
    #[doc(hidden)]
    type Session: Default + fmt::Debug + Send;

    /// How many transactions and savepoints are open.
    #[doc(hidden)]
    fn depth(connection: &Self::Connection) -> usize;

    /// Begins a transaction that is ready to write, or a savepoint inside the one that is open.
    #[doc(hidden)]
    fn begin(
        connection: &mut Self::Connection,
    ) -> impl Future<Output = Result<Scope<'_, Self>, BulkError>> + Send;

    /// Commits it.
    #[doc(hidden)]
    fn commit(scope: Scope<'_, Self>) -> impl Future<Output = Result<(), BulkError>> + Send;

    /// Rolls it back without waiting, whatever it was doing.
    #[doc(hidden)]
    fn abandon(connection: &mut Self::Connection, session: &Self::Session);

    /// Writes `rows` in order, as part of the open transaction. With `isolate`, a row that is refused
    /// leaves those before it written and the transaction usable.
    #[doc(hidden)]
    fn insert<R: BulkRow<Self> + Sync>(
        scope: &mut Scope<'_, Self>,
        target: &Target<'_>,
        isolate: bool,
        rows: &[R],
        meter: &mut Meter<'_>,
    ) -> impl Future<Output = Result<(), Rejection>> + Send;

    /// As `insert` into a table that gives its column `id` a number itself; appends the numbers of the rows
    /// that are written, in their order.
    #[doc(hidden)]
    fn insert_with_ids<R: BulkRow<Self> + Sync>(
        scope: &mut Scope<'_, Self>,
        target: &Target<'_>,
        id: &str,
        isolate: bool,
        rows: &[R],
        ids: &mut Vec<i64>,
        meter: &mut Meter<'_>,
    ) -> impl Future<Output = Result<(), Rejection>> + Send;

    /// Writes `rows`, of which no two share a key, and says for each what became of it.
    #[doc(hidden)]
    fn upsert<R: BulkRow<Self> + Sync>(
        scope: &mut Scope<'_, Self>,
        target: &Target<'_>,
        conflict: &Conflict,
        rows: &[R],
        meter: &mut Meter<'_>,
    ) -> impl Future<Output = Result<Vec<Upserted>, Rejection>> + Send;

    /// Changes the rows that have the keys of `rows`, of which no two are equal; whether each was there.
    #[doc(hidden)]
    fn update<R: BulkRow<Self> + Sync>(
        scope: &mut Scope<'_, Self>,
        target: &Target<'_>,
        conflict: &Conflict,
        rows: &[R],
        meter: &mut Meter<'_>,
    ) -> impl Future<Output = Result<Vec<bool>, Rejection>> + Send;

    /// Removes the rows that have one of `keys`; whether there was one for each.
    #[doc(hidden)]
    fn delete<R: BulkRow<Self> + Sync>(
        scope: &mut Scope<'_, Self>,
        target: &Target<'_>,
        keys: &[R],
        meter: &mut Meter<'_>,
    ) -> impl Future<Output = Result<Vec<bool>, Rejection>> + Send;

    /// The rows that have one of `keys`, each with the position of its key.
    #[doc(hidden)]
    fn read<R: BulkRow<Self> + Sync>(
        connection: &mut Self::Connection,
        target: &Target<'_>,
        keys: &[R],
    ) -> impl Future<Output = Result<Vec<(usize, Self::Row)>, Rejection>> + Send;

    /// Appends to `key` what tells the values at `positions` apart; `false` if one of them is NULL,
    /// which equals nothing.
    #[doc(hidden)]
    fn key<R: BulkRow<Self>>(
        row: &R,
        target: &Target<'_>,
        positions: &[usize],
        key: &mut Vec<u8>,
    ) -> Result<bool, BulkError>;
}

/// Where rows go.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The table's name.
    pub table: &'a str,
    /// The columns that each row has a value for.
    pub columns: &'a [&'a str],
    /// By which way.
    pub strategy: Strategy,
    /// Whether a column is among them that numbers its rows itself unless told otherwise.
    pub overriding: bool,
}

impl<'a> Target<'a> {
    /// Rows go to `columns` of `table` by the best way.
    pub(crate) const fn new(table: &'a str, columns: &'a [&'a str]) -> Self {
        Self {
            table,
            columns,
            strategy: Strategy::Auto,
            overriding: false,
        }
    }

    /// Where among the columns those named are.
    pub(crate) fn positions(&self, columns: &[String]) -> Result<Vec<usize>, BulkError> {
        let position = |column: &String| {
            let found = self.columns.iter().position(|other| other == column);
            found.ok_or_else(|| BulkError::UnknownColumn {
                table: self.table.to_owned(),
                column: column.clone(),
            })
        };
        columns.iter().map(position).collect()
    }
}

/// What identifies a row and what happens when it exists; both as positions of columns.
#[derive(Debug, Default)]
pub struct Conflict {
    /// The columns of the key.
    pub key: Vec<usize>,
    /// The columns to update; none leaves an existing row alone.
    pub update: Vec<usize>,
}

/// Why writing a slice of rows stopped.
pub struct Rejection {
    /// The position in the slice up to which rows are written and stay.
    pub at: usize,
    /// Whether the row at that position is to blame and the transaction can go on without it.
    pub isolated: bool,
    /// The error; rows in it are positions in the slice.
    pub error: BulkError,
}

impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rejected at {}: {:?}", self.at, self.error)
    }
}

/// What the driver said, with the judgement whether trying again may help.
pub(crate) fn driver_error(error: sqlx::Error) -> BulkError {
    let transience = match &error {
        sqlx::Error::Io(error) => Transience::of_io(error.kind()),
        sqlx::Error::PoolTimedOut => Transience::Transient,
        sqlx::Error::Database(error) => database_transience(&**error),
        _ => Transience::Permanent,
    };
    BulkError::Database {
        transience,
        source: BoxError::from(error),
    }
}

/// What the judgement of a database's error needs to know of it: only its code, whose form tells the
/// databases apart. Postgres has five letters or digits, SQLite a number.
fn database_transience(error: &dyn sqlx::error::DatabaseError) -> Transience {
    match error.code() {
        Some(code) if code.len() == 5 => Transience::of_sqlstate(&code),
        Some(code) => code
            .parse()
            .map_or(Transience::Permanent, Transience::of_sqlite_code),
        None => Transience::Permanent,
    }
}

impl BulkError {
    /// Whether some row broke a constraint and the database did not say which.
    pub(crate) const fn blames_an_unknown_row(&self) -> bool {
        matches!(self, Self::Constraint { row: None, .. })
    }

    /// The same error, now that its row is known.
    pub(crate) fn at_row(mut self, found: u64) -> Self {
        if let Self::Constraint { row, .. } = &mut self {
            *row = Some(found);
        }
        self
    }

    /// The same error with its row counted from `first`.
    pub(crate) fn offset_row(self, first: u64) -> Self {
        self.map_row(|row| row + first)
    }

    /// The same error with another row.
    pub(crate) fn map_row(mut self, map: impl Fn(u64) -> u64) -> Self {
        self.map_row_in_place(&map);
        self
    }

    fn map_row_in_place(&mut self, map: &dyn Fn(u64) -> u64) {
        match self {
            Self::Encode { row, .. }
            | Self::ColumnCount { row, .. }
            | Self::ColumnNames { row, .. }
            | Self::RowTooLarge { row, .. }
            | Self::Constraint { row: Some(row), .. } => *row = map(*row),
            Self::TransactionLost { source } => source.map_row_in_place(map),
            _ => {}
        }
    }
}

/// The index in the input of a row that was sent, where `sent` has the indices of those.
pub(crate) fn index_in(sent: &[usize], row: u64) -> u64 {
    let position = usize::try_from(row).ok();
    position
        .and_then(|position| sent.get(position))
        .map_or(row, |index| *index as u64)
}

/// Whether a row has the columns that are written; one of a type with fixed columns need not be asked.
pub(crate) fn has_columns<B: Backend, R: BulkRow<B>>(
    row: &R,
    target: &Target<'_>,
    at: usize,
) -> Result<(), BulkError> {
    if !R::COLUMNS.is_empty() {
        return Ok(());
    }
    let columns = row.columns();
    if columns == target.columns {
        return Ok(());
    }
    Err(BulkError::ColumnNames {
        row: at as u64,
        found: columns.join(", "),
    })
}

/// A row's encoding, judged: the column that failed is the one after those that were pushed.
pub(crate) fn encoded(
    outcome: Result<(), BoxError>,
    target: &Target<'_>,
    at: usize,
    found: usize,
) -> Result<(), BulkError> {
    let (row, expected) = (at as u64, target.columns.len());
    if let Err(source) = outcome {
        let column = target.columns.get(found).copied().unwrap_or_default();
        return Err(BulkError::Encode {
            row,
            column: column.to_owned(),
            source,
        });
    }
    if found != expected {
        return Err(BulkError::ColumnCount {
            row,
            expected,
            found,
        });
    }
    Ok(())
}

#[expect(
    unnameable_types,
    reason = "that nobody can name it is what seals the trait"
)]
mod sealed {
    pub trait Sealed {}
}
