use super::MatchReport;
use crate::backend::{Backend, Scope, Target, driver_error};
use crate::course::{Course, course_setters};
use crate::error::BulkError;
use crate::progress::Meter;
use crate::retry::{Work, transact};
use crate::row::BulkRow;
use futures_core::future::BoxFuture;
use sqlx::Acquire;
use std::fmt;
use std::ops::DerefMut;

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
pub struct BulkDelete<'p> {
    table: String,
    course: Course<'p>,
}

impl<'p> BulkDelete<'p> {
    /// A delete from `table`; a dot in its name divides the schema from the table.
    pub fn from(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            course: Course::default(),
        }
    }

    course_setters!();

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
        'p: 'c,
        B: Backend,
        A: Acquire<'c, Database = B> + Send + 'c,
        R: BulkRow<B> + Sync,
    {
        Box::pin(self.run(connection, keys))
    }

    async fn run<'c, B, A, R>(mut self, connection: A, keys: &[R]) -> Result<MatchReport, BulkError>
    where
        B: Backend,
        A: Acquire<'c, Database = B> + Send,
        R: BulkRow<B> + Sync,
    {
        let (mut meter, retry) = self.course.start(u64::try_from(keys.len()).ok());
        let mut matched = Vec::new();
        if let Some(first) = keys.first() {
            let columns = first.columns();
            let target = Target::new(&self.table, &columns);
            let mut connection = connection.acquire().await.map_err(driver_error)?;
            let work = Delete {
                target: &target,
                keys,
            };
            matched = transact(connection.deref_mut(), work, &mut meter, &retry).await?;
        }
        Ok(MatchReport::new(matched, &meter))
    }
}

impl fmt::Debug for BulkDelete<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkDelete")
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

struct Delete<'a, R> {
    target: &'a Target<'a>,
    keys: &'a [R],
}

impl<B: Backend, R: BulkRow<B> + Sync> Work<B> for Delete<'_, R> {
    type Output = Vec<bool>;

    async fn run(
        &mut self,
        scope: &mut Scope<'_, B>,
        meter: &mut Meter<'_>,
    ) -> Result<Vec<bool>, BulkError> {
        B::delete(scope, self.target, self.keys, meter)
            .await
            .map_err(|rejection| rejection.error)
    }
}
