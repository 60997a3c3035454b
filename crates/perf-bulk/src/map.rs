//! Rows whose columns are known at run time only.

use crate::backend::Backend;
use crate::error::BoxError;
use crate::row::{BulkRow, BulkValue};
use std::fmt;

/// A row as a map of columns to values: for a schema that is data itself, and for changes that differ from row
/// to row.
///
/// It may hold values of any type that the database `B` takes. All maps of one insert or upsert have the
/// same columns in the same order; the rows of a [`BulkUpdate`](crate::BulkUpdate) need not.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_bulk::{BulkInsert, BulkMap};
/// use sqlx::{Connection, SqliteConnection};
///
/// let mut connection = SqliteConnection::connect("sqlite::memory:").await?;
/// sqlx::query("CREATE TABLE planes (tailnum TEXT, seats INTEGER)")
///     .execute(&mut connection)
///     .await?;
/// let rows = [
///     BulkMap::new().set("tailnum", "N10156").set("seats", 55),
///     BulkMap::new().set("tailnum", "N102UW").set("seats", None::<i32>),
/// ];
/// let report = BulkInsert::into("planes").execute(&mut connection, &rows).await?;
/// assert_eq!(report.written, 2);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "sqlite"))]
/// # fn main() {}
/// ```
pub struct BulkMap<B: Backend> {
    values: Vec<(String, Value<B>)>,
}

type Value<B> = Box<dyn BulkValue<B> + Send + Sync>;

impl<B: Backend> BulkMap<B> {
    /// A row without columns.
    #[must_use]
    pub const fn new() -> Self {
        Self { values: Vec::new() }
    }

    /// Sets a column, which goes behind those that are set already, or takes the place of its old value.
    #[must_use]
    pub fn set(
        mut self,
        column: impl Into<String>,
        value: impl BulkValue<B> + Send + Sync + 'static,
    ) -> Self {
        let column = column.into();
        let value: Value<B> = Box::new(value);
        match self.values.iter_mut().find(|(name, _)| *name == column) {
            Some((_, old)) => *old = value,
            None => self.values.push((column, value)),
        }
        self
    }

    /// The `columns` of a JSON object, each as the type that the database's column has; NULL for those that
    /// the object lacks.
    ///
    /// Numbers, texts, booleans and nested values go to columns that hold such; on Postgres, texts go to
    /// enums and UUIDs too. Anything else is a [`TypeMismatch`](crate::BulkError::TypeMismatch) there.
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")] {
    /// use perf_bulk::{BulkMap, BulkRow};
    /// use sqlx::Sqlite;
    ///
    /// let object = serde_json::json!({ "tailnum": "N10156", "remarks": [1, 2] });
    /// let row = BulkMap::<Sqlite>::from_json(["tailnum", "seats"], &object);
    /// assert_eq!(row.columns(), ["tailnum", "seats"]);
    /// # }
    /// ```
    pub fn from_json<C: Into<String>>(
        columns: impl IntoIterator<Item = C>,
        object: &serde_json::Value,
    ) -> Self
    where
        JsonValue: BulkValue<B>,
    {
        let values = columns.into_iter().map(|column| {
            let column = column.into();
            let value = object.get(&column).cloned().unwrap_or_default();
            (column, Box::new(JsonValue(value)) as Value<B>)
        });
        Self {
            values: values.collect(),
        }
    }
}

impl<B: Backend> Default for BulkMap<B> {
    fn default() -> Self {
        Self::new()
    }
}

impl<B: Backend> BulkRow<B> for BulkMap<B> {
    const COLUMNS: &'static [&'static str] = &[];

    fn encode<'r>(&'r self, cells: &mut B::Cells<'r>) -> Result<(), BoxError> {
        self.values
            .iter()
            .try_for_each(|(_, value)| value.encode(cells))
    }

    fn columns(&self) -> Vec<&str> {
        self.values.iter().map(|(name, _)| name.as_str()).collect()
    }
}

impl<B: Backend> fmt::Debug for BulkMap<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BulkMap").field(&self.columns()).finish()
    }
}

/// A JSON value that takes the type of its column, where serde's own is a document.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a newtype to be written and read"
)]
pub struct JsonValue(pub serde_json::Value);
