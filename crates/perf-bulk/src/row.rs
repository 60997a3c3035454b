//! What a row is: columns by name, and values that know how to write themselves.

use crate::backend::Backend;
use crate::error::BoxError;

/// A value that one column of a bulk write can hold on the database `B`.
///
/// The types that the driver of a database encodes are `BulkValue`s of it. A type of your own delegates
/// to one of them:
///
/// ```
/// use perf_bulk::{Backend, BoxError, BulkValue};
///
/// enum Carrier {
///     Delta,
///     United,
/// }
///
/// impl<B: Backend> BulkValue<B> for Carrier
/// where
///     for<'s> &'s str: BulkValue<B>,
/// {
///     fn encode<'r>(&'r self, cells: &mut B::Cells<'r>) -> Result<(), BoxError> {
///         match self {
///             Self::Delta => BulkValue::<B>::encode(&"DL", cells),
///             Self::United => BulkValue::<B>::encode(&"UA", cells),
///         }
///     }
/// }
/// ```
pub trait BulkValue<B: Backend> {
    /// Appends exactly one value to the row.
    ///
    /// # Errors
    ///
    /// The database cannot represent the value: a number out of range, a NaN where there is none.
    fn encode<'r>(&'r self, cells: &mut B::Cells<'r>) -> Result<(), BoxError>;
}

/// A row of a bulk write to the database `B`. Usually derived, for every database at once:
///
/// ```
/// # #[cfg(feature = "macros")] {
/// use perf_bulk::BulkRow;
///
/// #[derive(BulkRow)]
/// struct Plane {
///     tailnum: String,
///     seats: Option<i32>,
///     #[bulk(column = "type")]
///     kind: String,
///     #[bulk(skip)]
///     remarks: Vec<String>,
/// }
/// # }
/// ```
///
/// By hand it is this:
///
/// ```
/// # #[cfg(feature = "sqlite")] {
/// use perf_bulk::{Backend, BoxError, BulkRow, BulkValue};
/// use sqlx::Sqlite;
///
/// struct Plane {
///     tailnum: String,
///     seats: Option<i32>,
/// }
///
/// impl BulkRow<Sqlite> for Plane {
///     const COLUMNS: &'static [&'static str] = &["tailnum", "seats"];
///
///     fn encode<'r>(&'r self, cells: &mut <Sqlite as Backend>::Cells<'r>) -> Result<(), BoxError> {
///         BulkValue::<Sqlite>::encode(&self.tailnum, cells)?;
///         BulkValue::<Sqlite>::encode(&self.seats, cells)
///     }
/// }
/// # }
/// ```
pub trait BulkRow<B: Backend> {
    /// The names of the columns, in the order in which [`encode`](BulkRow::encode) writes them.
    const COLUMNS: &'static [&'static str];

    /// Appends one value for each column.
    ///
    /// # Errors
    ///
    /// That of the first value which the database cannot represent.
    fn encode<'r>(&'r self, cells: &mut B::Cells<'r>) -> Result<(), BoxError>;

    /// The columns of this row: those of its type, unless it is a [`BulkMap`](crate::BulkMap).
    fn columns(&self) -> Vec<&str> {
        Self::COLUMNS.to_vec()
    }
}

impl<B: Backend, R: BulkRow<B>> BulkRow<B> for &R {
    const COLUMNS: &'static [&'static str] = R::COLUMNS;

    fn encode<'r>(&'r self, cells: &mut B::Cells<'r>) -> Result<(), BoxError> {
        R::encode(self, cells)
    }

    fn columns(&self) -> Vec<&str> {
        R::columns(self)
    }
}
