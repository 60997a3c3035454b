use super::MatchReport;
use crate::backend::{Backend, Conflict, Scope, Target, driver_error, index_in};
use crate::course::{Course, course_setters};
use crate::error::BulkError;
use crate::progress::Meter;
use crate::retry::{Work, transact};
use crate::row::BulkRow;
use futures_core::future::BoxFuture;
use sqlx::Acquire;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::DerefMut;

/// Changes existing rows, each in columns of its own, in one transaction.
///
/// A row is the key and what is to change. [`BulkMap`](crate::BulkMap)s may change different columns: rows
/// that change the same ones share statements. Two rows with one key are refused.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_bulk::{BulkMap, BulkUpdate};
/// use sqlx::{Connection, SqliteConnection};
///
/// let mut connection = SqliteConnection::connect("sqlite::memory:").await?;
/// sqlx::query("CREATE TABLE planes (id INTEGER PRIMARY KEY, tailnum TEXT, seats INTEGER)")
///     .execute(&mut connection)
///     .await?;
/// sqlx::query("INSERT INTO planes VALUES (1, 'N1', 55), (2, 'N2', 182)")
///     .execute(&mut connection)
///     .await?;
/// let changes = [
///     BulkMap::new().set("id", 1).set("seats", 50),
///     BulkMap::new().set("id", 2).set("tailnum", "N102UW").set("seats", 180),
///     BulkMap::new().set("id", 3).set("seats", 9),
/// ];
/// let update = BulkUpdate::of("planes").by(["id"]);
/// let report = update.execute(&mut connection, &changes).await?;
/// assert_eq!(report.matched, [true, true, false]);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "sqlite"))]
/// # fn main() {}
/// ```
pub struct BulkUpdate<'p> {
    table: String,
    key: Vec<String>,
    course: Course<'p>,
}

impl<'p> BulkUpdate<'p> {
    /// An update of `table`; a dot in its name divides the schema from the table.
    pub fn of(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            key: Vec::new(),
            course: Course::default(),
        }
    }

    /// The columns that identify a row; at least one.
    #[must_use]
    pub fn by<C: Into<String>>(mut self, columns: impl IntoIterator<Item = C>) -> Self {
        self.key = columns.into_iter().map(Into::into).collect();
        self
    }

    course_setters!();

    /// Changes the rows and says for each, in order, whether it was there.
    ///
    /// # Errors
    ///
    /// - [`BulkError::Config`] without a key or for a row that changes nothing, and
    ///   [`BulkError::UnknownColumn`] for a row without the key.
    /// - [`BulkError::DuplicateKey`] for two rows with the same key.
    /// - [`BulkError::TypeMismatch`], [`Encode`](BulkError::Encode), [`Constraint`](BulkError::Constraint) and
    ///   [`Database`](BulkError::Database) for the rest; nothing is changed then.
    ///
    /// # Cancel safety
    ///
    /// Dropped at any point, the transaction is rolled back, as for an insert.
    pub fn execute<'c, B, A, R>(
        self,
        connection: A,
        rows: &'c [R],
    ) -> BoxFuture<'c, Result<MatchReport, BulkError>>
    where
        'p: 'c,
        B: Backend,
        A: Acquire<'c, Database = B> + Send + 'c,
        R: BulkRow<B> + Sync,
    {
        Box::pin(self.run(connection, rows))
    }

    async fn run<'c, B, A, R>(mut self, connection: A, rows: &[R]) -> Result<MatchReport, BulkError>
    where
        B: Backend,
        A: Acquire<'c, Database = B> + Send,
        R: BulkRow<B> + Sync,
    {
        let (mut meter, retry) = self.course.start(u64::try_from(rows.len()).ok());
        let shapes = self.shapes::<B, R>(rows)?;
        let mut matched = Vec::new();
        if !rows.is_empty() {
            let mut connection = connection.acquire().await.map_err(driver_error)?;
            let work = Update {
                table: &self.table,
                key: &self.key,
                shapes: &shapes,
                rows,
            };
            matched = transact(connection.deref_mut(), work, &mut meter, &retry).await?;
        }
        Ok(MatchReport::new(matched, &meter))
    }

    /// The rows by the columns that they have, after a look at their keys.
    fn shapes<'r, B: Backend, R: BulkRow<B>>(
        &self,
        rows: &'r [R],
    ) -> Result<Shapes<'r>, BulkError> {
        if self.key.is_empty() {
            return Err(BulkError::Config("an update needs the columns of its key"));
        }
        let mut shapes = Shapes::new();
        let mut holders: HashMap<Vec<u8>, usize> = HashMap::with_capacity(rows.len());
        for (index, row) in rows.iter().enumerate() {
            let columns = row.columns();
            let target = Target::new(&self.table, &columns);
            let conflict = conflict(&target, &self.key)?;
            let mut key = Vec::new();
            let is_whole = B::key(row, &target, &conflict.key, &mut key)
                .map_err(|error| error.offset_row(index as u64))?;
            if is_whole && let Some(first) = holders.insert(key, index) {
                return Err(BulkError::DuplicateKey {
                    first: first as u64,
                    second: index as u64,
                });
            }
            shapes.entry(columns).or_default().push(index);
        }
        Ok(shapes)
    }
}

impl fmt::Debug for BulkUpdate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkUpdate")
            .field("table", &self.table)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// The indices of rows by the columns that they have.
type Shapes<'r> = BTreeMap<Vec<&'r str>, Vec<usize>>;

/// The columns of the key, and all others to be changed.
fn conflict(target: &Target<'_>, key: &[String]) -> Result<Conflict, BulkError> {
    let key = target.positions(key)?;
    let update: Vec<_> = (0..target.columns.len())
        .filter(|position| !key.contains(position))
        .collect();
    if update.is_empty() {
        return Err(BulkError::Config("a row of an update changes nothing"));
    }
    Ok(Conflict { key, update })
}

struct Update<'a, R> {
    table: &'a str,
    key: &'a [String],
    shapes: &'a Shapes<'a>,
    rows: &'a [R],
}

impl<B: Backend, R: BulkRow<B> + Sync> Work<B> for Update<'_, R> {
    type Output = Vec<bool>;

    async fn run(
        &mut self,
        scope: &mut Scope<'_, B>,
        meter: &mut Meter<'_>,
    ) -> Result<Vec<bool>, BulkError> {
        let mut matched = vec![false; self.rows.len()];
        for (columns, indices) in self.shapes {
            let target = Target::new(self.table, columns);
            let conflict = conflict(&target, self.key)?;
            let sent: Vec<&R> = indices.iter().map(|index| &self.rows[*index]).collect();
            let found = B::update(scope, &target, &conflict, &sent, meter)
                .await
                .map_err(|rejection| rejection.error.map_row(|row| index_in(indices, row)))?;
            for (index, found) in indices.iter().zip(found) {
                matched[*index] = found;
            }
        }
        Ok(matched)
    }
}
