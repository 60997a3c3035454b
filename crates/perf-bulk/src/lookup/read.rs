use crate::backend::{Backend, Target, driver_error};
use crate::error::BulkError;
use crate::row::BulkRow;
use futures_core::future::BoxFuture;
use sqlx::{Acquire, FromRow};
use std::ops::DerefMut;

/// Reads the rows that have given keys, in the order of the keys.
///
/// A key is a row of its columns; all keys of a call have the same ones. What is read has all columns of the
/// table, and a last one with a number of ours.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_bulk::{BulkMap, BulkRead};
/// use sqlx::{Connection, SqliteConnection};
///
/// let mut connection = SqliteConnection::connect("sqlite::memory:").await?;
/// sqlx::query("CREATE TABLE planes (id INTEGER PRIMARY KEY, tailnum TEXT)")
///     .execute(&mut connection)
///     .await?;
/// sqlx::query("INSERT INTO planes VALUES (1, 'N1'), (2, 'N2')").execute(&mut connection).await?;
/// let keys = [2, 3, 1].map(|id| BulkMap::new().set("id", id));
/// let planes: Vec<Option<(i64, String)>> =
///     BulkRead::from("planes").execute(&mut connection, &keys).await?;
/// assert_eq!(planes, [Some((2, "N2".to_owned())), None, Some((1, "N1".to_owned()))]);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "sqlite"))]
/// # fn main() {}
/// ```
#[derive(Clone, Debug)]
pub struct BulkRead {
    table: String,
}

impl BulkRead {
    /// Reads from `table`; a dot in its name divides the schema from the table.
    pub fn from(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
        }
    }

    /// For each key the row that has it. Of several rows with one key, one is the answer.
    ///
    /// # Errors
    ///
    /// [`BulkError::TypeMismatch`], [`UnknownColumn`](BulkError::UnknownColumn),
    /// [`Encode`](BulkError::Encode) and [`Database`](BulkError::Database), the last also for a row that
    /// `O` cannot be made of.
    ///
    /// # Cancel safety
    ///
    /// Dropped at any point, the connection is usable, or closed where a bulk insert would be.
    pub fn execute<'c, B, A, R, O>(
        self,
        connection: A,
        keys: &'c [R],
    ) -> BoxFuture<'c, Result<Vec<Option<O>>, BulkError>>
    where
        B: Backend,
        A: Acquire<'c, Database = B> + Send + 'c,
        R: BulkRow<B> + Sync,
        O: for<'r> FromRow<'r, B::Row> + Send + 'c,
    {
        Box::pin(self.run(connection, keys))
    }

    async fn run<'c, B, A, R, O>(
        self,
        connection: A,
        keys: &[R],
    ) -> Result<Vec<Option<O>>, BulkError>
    where
        B: Backend,
        A: Acquire<'c, Database = B> + Send,
        R: BulkRow<B> + Sync,
        O: for<'r> FromRow<'r, B::Row> + Send,
    {
        let mut answers: Vec<Option<O>> = keys.iter().map(|_| None).collect();
        if let Some(first) = keys.first() {
            let columns = first.columns();
            let target = Target::new(&self.table, &columns);
            let mut connection = connection.acquire().await.map_err(driver_error)?;
            let rows = B::read(connection.deref_mut(), &target, keys)
                .await
                .map_err(|rejection| rejection.error)?;
            for (position, row) in rows {
                if let Some(answer) = answers.get_mut(position) {
                    *answer = Some(O::from_row(&row).map_err(driver_error)?);
                }
            }
        }
        Ok(answers)
    }
}
