//! What can go wrong, with the row and the column where it did.

mod batch;
mod export;
mod task;

use perf_core::Transience;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

pub use batch::BatchError;
pub use export::ExportError;
pub use task::TaskError;

/// Any error, as drivers and encoders hand it over.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Why a bulk operation failed.
///
/// Rows are counted from 0 in the order in which they were passed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BulkError {
    /// The operation as configured makes no sense; nothing was sent.
    #[error("invalid configuration: {0}")]
    Config(&'static str),
    /// A value cannot be represented in the database.
    #[error("row {row}, column `{column}`: the value cannot be encoded")]
    Encode {
        /// The row's index.
        row: u64,
        /// The column's name.
        column: String,
        /// What the encoder said.
        source: BoxError,
    },
    /// A row has more or fewer values than the operation has columns.
    #[error("row {row} has {found} values for {expected} columns")]
    ColumnCount {
        /// The row's index.
        row: u64,
        /// How many columns the operation writes.
        expected: usize,
        /// How many values the row gave.
        found: usize,
    },
    /// A row that is a map has other columns than the first one.
    #[error("row {row} has other columns than the first: {found}")]
    ColumnNames {
        /// The row's index.
        row: u64,
        /// The columns that it has.
        found: String,
    },
    /// A row breaks a constraint of its table.
    #[error("{} violates a {kind} constraint{}", Subject(*row), OnColumns(columns))]
    Constraint {
        /// The row's index; `None` when the database does not tell which one it was.
        row: Option<u64>,
        /// Which kind of constraint.
        kind: ConstraintKind,
        /// The columns the database named, or the constraint's own name; empty when it named none.
        columns: Vec<String>,
        /// The database's error.
        source: BoxError,
    },
    /// A column's type in Rust is not its type in the database. Nothing was stored: a binary COPY would
    /// take the bytes of one for the other.
    #[error("column `{column}` is {expected}, but the row has {found} for it")]
    TypeMismatch {
        /// The column's name.
        column: String,
        /// The column's type.
        expected: String,
        /// The type that the row's value has.
        found: String,
    },
    /// A row is larger than the database accepts.
    #[error("row {row} is larger than the database accepts")]
    RowTooLarge {
        /// The row's index.
        row: u64,
        /// The database's error.
        source: BoxError,
    },
    /// Two rows of one upsert have the same key, and
    /// [`DuplicateKeys::Error`](crate::DuplicateKeys::Error) forbids it. Nothing was sent.
    #[error("rows {first} and {second} have the same key")]
    DuplicateKey {
        /// The index of the first row with the key.
        first: u64,
        /// The index of the second.
        second: u64,
    },
    /// Which id belongs to which row cannot be proven here. Nothing was written.
    #[error("the ids of column `{column}` cannot be told apart: {reason}")]
    OrderUnprovable {
        /// The column that the ids are in.
        column: String,
        /// What stands against it.
        reason: &'static str,
    },
    /// The table has no column of this name.
    #[error("table `{table}` has no column `{column}`")]
    UnknownColumn {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// A chunk failed after earlier ones were committed, which stay.
    #[error("stopped after {settled} rows, {} of them refused", failed.len())]
    Partial {
        /// Rows `0..settled` are committed, except for those in `failed`. No later row was written,
        /// unless `source` is a [`CommitUnknown`](Self::CommitUnknown), which leaves one chunk open.
        settled: u64,
        /// Why rows before `settled` were refused, by ascending [`row`](Self::row); empty unless
        /// [`Atomicity::BestEffort`](crate::Atomicity) was asked for.
        failed: Vec<Self>,
        /// What stopped the operation.
        source: Box<Self>,
    },
    /// The stream that the rows came from failed. Under [`Atomicity::All`](crate::Atomicity) nothing is written; otherwise
    /// this is the source of a [`Partial`](Self::Partial), and the rows that came before are settled.
    #[error("the input failed after {rows} rows")]
    Input {
        /// How many rows had come.
        rows: u64,
        /// What the stream said.
        source: BoxError,
    },
    /// More rows were refused than the caller puts up with. The chunk with the last of them is undone.
    #[error("more than {most} rows were refused")]
    TooManyRefused {
        /// How many may be.
        most: usize,
    },
    /// The database ended the caller's transaction while rows were written in it, as SQLite does for a
    /// trigger's `RAISE(ROLLBACK)` and MySQL for a deadlock. Nothing of it remains, and what is written on the
    /// connection from now on is not part of it either. On SQLite its COMMIT will fail: drop it and close the
    /// connection. On MySQL its COMMIT would commit nothing: drop it, and the connection is usable.
    #[error("the database ended the transaction that the rows were written in")]
    TransactionLost {
        /// What the database ended it for.
        source: Box<Self>,
    },
    /// The connection was lost during COMMIT: the rows may or may not be there. Never retry this
    /// without looking.
    #[error("the connection was lost during COMMIT, its outcome is unknown")]
    CommitUnknown {
        /// The driver's error.
        source: BoxError,
    },
    /// The dead letters could not be kept, read or understood.
    #[error("the dead letters failed")]
    DeadLetters {
        /// Whether trying again may help.
        transience: Transience,
        /// What the sink said.
        source: BoxError,
    },
    /// The database, or the way to it, failed.
    #[error("the database failed")]
    Database {
        /// Whether trying again may help.
        transience: Transience,
        /// The driver's error.
        source: BoxError,
    },
}

impl BulkError {
    /// Whether the same call may succeed later.
    ///
    /// A [`CommitUnknown`](Self::CommitUnknown) is never transient: its rows may already be there.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database { transience, .. } | Self::DeadLetters { transience, .. } => {
                transience.is_transient()
            }
            Self::Partial { source, .. } => source.is_transient(),
            _ => false,
        }
    }

    /// A failure of dead letters that trying again does not cure.
    pub(crate) fn dead_letters(source: impl Into<BoxError>) -> Self {
        Self::DeadLetters {
            transience: Transience::Permanent,
            source: source.into(),
        }
    }

    /// The index of the row at fault, when one is known.
    ///
    /// ```
    /// use perf_bulk::BulkError;
    ///
    /// let error = BulkError::DuplicateKey { first: 3, second: 9 };
    /// assert_eq!(error.row(), Some(9));
    /// assert_eq!(error.to_string(), "rows 3 and 9 have the same key");
    /// ```
    #[must_use]
    pub const fn row(&self) -> Option<u64> {
        match self {
            Self::Encode { row, .. }
            | Self::ColumnCount { row, .. }
            | Self::ColumnNames { row, .. }
            | Self::RowTooLarge { row, .. } => Some(*row),
            Self::Constraint { row, .. } => *row,
            Self::DuplicateKey { second, .. } => Some(*second),
            Self::Partial { source, .. } | Self::TransactionLost { source } => source.row(),
            _ => None,
        }
    }
}

/// Which kind of constraint a row broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConstraintKind {
    /// UNIQUE or PRIMARY KEY: the key is taken.
    Unique,
    /// NOT NULL.
    NotNull,
    /// FOREIGN KEY: the referenced row is missing.
    ForeignKey,
    /// CHECK.
    Check,
    /// The column's declared type refuses the value.
    DataType,
    /// Another one: an exclusion, or one that a trigger raised.
    Other,
}

impl fmt::Display for ConstraintKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unique => "unique",
            Self::NotNull => "not-null",
            Self::ForeignKey => "foreign-key",
            Self::Check => "check",
            Self::DataType => "data-type",
            Self::Other => "table",
        })
    }
}

struct Subject(Option<u64>);

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(row) => write!(f, "row {row}"),
            None => f.write_str("a row"),
        }
    }
}

struct OnColumns<'a>(&'a [String]);

impl fmt::Display for OnColumns<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, column) in self.0.iter().enumerate() {
            f.write_str(if position == 0 { " on " } else { ", " })?;
            write!(f, "`{column}`")?;
        }
        Ok(())
    }
}

/// Why a [`BatchLoader`](crate::BatchLoader) has no answer for a key.
///
/// All callers who waited for the key share one error, hence the [`Arc`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError<E: Error + 'static> {
    /// The loader failed, for this key or for its whole batch.
    #[error("the load failed")]
    Failed(#[source] Arc<E>),
    /// The loader panicked, or its runtime shut down, before it answered.
    #[error("the load ended without an answer")]
    Abandoned,
}

impl<E: Error> LoadError<E> {
    /// Whether the same load may succeed later. The loader's error is the caller's to judge, and a loader
    /// that panicked would do so again: never, so far.
    ///
    /// ```
    /// use perf_bulk::LoadError;
    ///
    /// assert!(!LoadError::<std::io::Error>::Abandoned.is_transient());
    /// ```
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Failed(_) | Self::Abandoned => false,
        }
    }
}

impl<E: Error> Clone for LoadError<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Failed(error) => Self::Failed(Arc::clone(error)),
            Self::Abandoned => Self::Abandoned,
        }
    }
}
