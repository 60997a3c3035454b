//! Many rows into one table, where some may exist.

use crate::backend::{Backend, Conflict, Scope, Target, driver_error, index_in};
use crate::course::{Course, course_setters};
use crate::error::BulkError;
use crate::policy::{DuplicateKeys, Strategy};
use crate::progress::Meter;
use crate::report::{UpsertReport, Upserted};
use crate::retry::{Work, transact};
use crate::row::BulkRow;
use futures_core::future::BoxFuture;
use sqlx::Acquire;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::ops::DerefMut;

/// Inserts rows whose key is new and updates those whose key exists, all in one transaction.
///
/// The key needs a unique index. Unless told otherwise, an existing row gets the new values of all other
/// columns. Rows of one call that share a key are refused; [`DuplicateKeys`] has the alternatives. A key
/// with a NULL in it equals no other, as in a unique index.
///
/// ```
/// # #[cfg(all(feature = "sqlite", feature = "macros"))]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_bulk::{BulkRow, BulkUpsert, Upserted};
/// use sqlx::{Connection, SqliteConnection};
///
/// #[derive(BulkRow)]
/// struct Plane {
///     tailnum: &'static str,
///     seats: i32,
/// }
///
/// let mut connection = SqliteConnection::connect("sqlite::memory:").await?;
/// sqlx::query("CREATE TABLE planes (tailnum TEXT PRIMARY KEY, seats INTEGER)")
///     .execute(&mut connection)
///     .await?;
/// let upsert = || BulkUpsert::into("planes").on_conflict(["tailnum"]);
/// let first = [Plane { tailnum: "N10156", seats: 55 }];
/// upsert().execute(&mut connection, &first).await?;
///
/// let second = [Plane { tailnum: "N102UW", seats: 182 }, Plane { tailnum: "N10156", seats: 50 }];
/// let report = upsert().execute(&mut connection, &second).await?;
/// assert_eq!(report.outcomes, [Upserted::Inserted, Upserted::Updated]);
/// # Ok(())
/// # }
/// # #[cfg(not(all(feature = "sqlite", feature = "macros")))]
/// # fn main() {}
/// ```
pub struct BulkUpsert<'p> {
    table: String,
    key: Vec<String>,
    update: Update,
    duplicates: DuplicateKeys,
    strategy: Strategy,
    course: Course<'p>,
}

enum Update {
    AllOthers,
    Columns(Vec<String>),
}

impl<'p> BulkUpsert<'p> {
    /// An upsert into `table`; a dot in its name divides the schema from the table.
    pub fn into(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            key: Vec::new(),
            update: Update::AllOthers,
            duplicates: DuplicateKeys::default(),
            strategy: Strategy::default(),
            course: Course::default(),
        }
    }

    /// The columns that identify a row; at least one.
    #[must_use]
    pub fn on_conflict<C: Into<String>>(mut self, columns: impl IntoIterator<Item = C>) -> Self {
        self.key = columns.into_iter().map(Into::into).collect();
        self
    }

    /// The columns that an existing row gets from the new one, instead of all that are not in the key.
    #[must_use]
    pub fn update<C: Into<String>>(mut self, columns: impl IntoIterator<Item = C>) -> Self {
        self.update = Update::Columns(columns.into_iter().map(Into::into).collect());
        self
    }

    /// Leaves existing rows as they are.
    #[must_use]
    pub fn keep_existing(mut self) -> Self {
        self.update = Update::Columns(Vec::new());
        self
    }

    /// What happens when rows of this call share a key; default [`DuplicateKeys::Error`].
    #[must_use]
    pub const fn duplicates(mut self, duplicates: DuplicateKeys) -> Self {
        self.duplicates = duplicates;
        self
    }

    /// The way that rows take to Postgres; default [`Strategy::Auto`].
    #[must_use]
    pub const fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    course_setters!();

    /// Writes `rows` and says for each, in order, what became of it.
    ///
    /// # Errors
    ///
    /// - [`BulkError::Config`] when the key names no column, and [`BulkError::UnknownColumn`] when the key
    ///   or the update names one that the rows lack.
    /// - [`BulkError::DuplicateKey`] for rows that share a key, unless the policy chooses among them.
    /// - Those of [`BulkInsert::execute`](crate::BulkInsert::execute), except
    ///   [`BulkError::Partial`]: an upsert is whole or not at all.
    ///
    /// # Cancel safety
    ///
    /// Dropped at any point, the transaction is rolled back, and the connection is usable or closed, as after
    /// an insert.
    pub fn execute<'c, B, A, R>(
        self,
        connection: A,
        rows: &'c [R],
    ) -> BoxFuture<'c, Result<UpsertReport, BulkError>>
    where
        'p: 'c,
        B: Backend,
        A: Acquire<'c, Database = B> + Send + 'c,
        R: BulkRow<B> + Sync,
    {
        Box::pin(self.run(connection, rows))
    }

    async fn run<'c, B, A, R>(
        mut self,
        connection: A,
        rows: &[R],
    ) -> Result<UpsertReport, BulkError>
    where
        B: Backend,
        A: Acquire<'c, Database = B> + Send,
        R: BulkRow<B> + Sync,
    {
        let columns = rows.first().map_or_else(|| R::COLUMNS.to_vec(), R::columns);
        let target = Target {
            strategy: self.strategy,
            ..Target::new(&self.table, &columns)
        };
        let conflict = match rows.is_empty() && columns.is_empty() {
            true => Conflict::default(),
            false => self.conflict(&target)?,
        };
        let chosen = choose::<B, R>(rows, &target, &conflict.key, self.duplicates)?;
        let mut outcomes = vec![Upserted::Superseded; rows.len()];
        let (mut meter, retry) = self.course.start(u64::try_from(chosen.len()).ok());
        if !chosen.is_empty() {
            let sent: Vec<&R> = chosen.iter().map(|index| &rows[*index]).collect();
            let mut connection = connection.acquire().await.map_err(driver_error)?;
            let work = Upsert {
                target: &target,
                conflict: &conflict,
                rows: &sent,
            };
            let written = transact(connection.deref_mut(), work, &mut meter, &retry)
                .await
                .map_err(|error| error.map_row(|row| index_in(&chosen, row)))?;
            for (index, outcome) in chosen.into_iter().zip(written) {
                outcomes[index] = outcome;
            }
        }
        let progress = meter.progress();
        Ok(UpsertReport {
            outcomes,
            bytes: progress.bytes,
            elapsed: progress.elapsed,
        })
    }

    fn conflict(&self, target: &Target<'_>) -> Result<Conflict, BulkError> {
        if self.key.is_empty() {
            return Err(BulkError::Config("an upsert needs the columns of its key"));
        }
        let key = target.positions(&self.key)?;
        let update = match &self.update {
            Update::AllOthers => (0..target.columns.len())
                .filter(|position| !key.contains(position))
                .collect(),
            Update::Columns(columns) => target.positions(columns)?,
        };
        Ok(Conflict { key, update })
    }
}

impl fmt::Debug for BulkUpsert<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkUpsert")
            .field("table", &self.table)
            .field("key", &self.key)
            .field("duplicates", &self.duplicates)
            .finish_non_exhaustive()
    }
}

/// The ascending indices of the rows to write, of which no two share a key.
fn choose<B: Backend, R: BulkRow<B>>(
    rows: &[R],
    target: &Target<'_>,
    key: &[usize],
    policy: DuplicateKeys,
) -> Result<Vec<usize>, BulkError> {
    let mut holders: HashMap<Vec<u8>, usize> = HashMap::with_capacity(rows.len());
    let mut chosen = vec![true; rows.len()];
    for (index, row) in rows.iter().enumerate() {
        let mut bytes = Vec::new();
        let equals_others =
            B::key(row, target, key, &mut bytes).map_err(|error| error.offset_row(index as u64))?;
        if !equals_others {
            continue;
        }
        match holders.entry(bytes) {
            Entry::Vacant(free) => {
                free.insert(index);
            }
            Entry::Occupied(mut holder) => match policy {
                DuplicateKeys::KeepFirst => chosen[index] = false,
                DuplicateKeys::KeepLast => chosen[holder.insert(index)] = false,
                DuplicateKeys::Error => {
                    return Err(BulkError::DuplicateKey {
                        first: *holder.get() as u64,
                        second: index as u64,
                    });
                }
            },
        }
    }
    Ok((0..rows.len()).filter(|index| chosen[*index]).collect())
}

struct Upsert<'a, R> {
    target: &'a Target<'a>,
    conflict: &'a Conflict,
    rows: &'a [&'a R],
}

impl<B: Backend, R: BulkRow<B> + Sync> Work<B> for Upsert<'_, R> {
    type Output = Vec<Upserted>;

    async fn run(
        &mut self,
        scope: &mut Scope<'_, B>,
        meter: &mut Meter<'_>,
    ) -> Result<Vec<Upserted>, BulkError> {
        B::upsert(scope, self.target, self.conflict, self.rows, meter)
            .await
            .map_err(|rejection| rejection.error)
    }
}
