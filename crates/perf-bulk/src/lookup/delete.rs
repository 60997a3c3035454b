use super::MatchReport;
use crate::backend::{Backend, Target, driver_error};
use crate::error::BulkError;
use crate::progress::Meter;
use crate::row::BulkRow;
use futures_core::future::BoxFuture;
use perf_core::{Clock, SystemClock};
use sqlx::Acquire;
use std::ops::DerefMut;
use std::sync::Arc;

/// Removes the rows that have given keys, in one transaction.
///
/// A key is a row of its columns; all keys of a call have the same ones.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_bulk::{BulkDelete, BulkMap};
/// use sqlx::{Connection, SqliteConnection};
///
/// let mut connection = SqliteConnection::connect("sqlite::memory:").await?;
/// sqlx::query("CREATE TABLE planes (id INTEGER PRIMARY KEY)").execute(&mut connection).await?;
/// sqlx::query("INSERT INTO planes VALUES (1), (2)").execute(&mut connection).await?;
/// let keys = [2, 3].map(|id| BulkMap::new().set("id", id));
/// let report = BulkDelete::from("planes").execute(&mut connection, &keys).await?;
/// assert_eq!(report.matched, [true, false]);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "sqlite"))]
/// # fn main() {}
/// ```
#[derive(Clone, Debug)]
pub struct BulkDelete {
    table: String,
    clock: Arc<dyn Clock>,
}

impl BulkDelete {
    /// A delete from `table`; a dot in its name divides the schema from the table.
    pub fn from(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            clock: Arc::new(SystemClock),
        }
    }

    /// The clock that elapsed time is read from; default [`SystemClock`].
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Removes the rows that have one of `keys` and says for each key whether there was one.
    ///
    /// # Errors
    ///
    /// [`BulkError::TypeMismatch`], [`UnknownColumn`](BulkError::UnknownColumn),
    /// [`Encode`](BulkError::Encode), [`Constraint`](BulkError::Constraint) and
    /// [`Database`](BulkError::Database); nothing is removed then.
    ///
    /// # Cancel safety
    ///
    /// Dropped at any point, the transaction is rolled back, as for an insert.
    pub fn execute<'c, B, A, R>(
        self,
        connection: A,
        keys: &'c [R],
    ) -> BoxFuture<'c, Result<MatchReport, BulkError>>
    where
        B: Backend,
        A: Acquire<'c, Database = B> + Send + 'c,
        R: BulkRow<B> + Sync,
    {
        Box::pin(self.run(connection, keys))
    }

    async fn run<'c, B, A, R>(self, connection: A, keys: &[R]) -> Result<MatchReport, BulkError>
    where
        B: Backend,
        A: Acquire<'c, Database = B> + Send,
        R: BulkRow<B> + Sync,
    {
        let mut meter = Meter::start(self.clock, None);
        let mut matched = Vec::new();
        if let Some(first) = keys.first() {
            let columns = first.columns();
            let target = Target::new(&self.table, &columns);
            let mut connection = connection.acquire().await.map_err(driver_error)?;
            let mut scope = B::begin(connection.deref_mut()).await?;
            matched = B::delete(&mut scope, &target, keys, &mut meter)
                .await
                .map_err(|rejection| rejection.error)?;
            B::commit(scope).await?;
        }
        let progress = meter.progress();
        Ok(MatchReport {
            matched,
            bytes: progress.bytes,
            elapsed: progress.elapsed,
        })
    }
}
