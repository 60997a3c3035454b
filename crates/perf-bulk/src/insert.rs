//! Many rows into one table.

use crate::backend::{Backend, Rejection, Scope, Target, driver_error};
use crate::chunk::Chunks;
use crate::error::BulkError;
use crate::policy::{Atomicity, Strategy};
use crate::progress::{Meter, Observer, Progress};
use crate::report::{BulkReport, FailedRow};
use crate::row::BulkRow;
use futures_core::future::BoxFuture;
use perf_core::{Clock, SystemClock};
use sqlx::Acquire;
use std::fmt;
use std::ops::DerefMut;
use std::sync::Arc;

/// Inserts many rows into one table by the database's fastest way.
///
/// Rows are anything that iterates over [`BulkRow`]s, owned or borrowed; they are drawn one chunk at a
/// time, so a lazy input needs no more memory than that. The connection is a connection, a transaction
/// or a pool of sqlx. Inside a transaction a savepoint takes the place of a transaction, and what was
/// written becomes permanent with the caller's COMMIT.
///
/// ```
/// # #[cfg(all(feature = "sqlite", feature = "macros"))]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_bulk::{BulkInsert, BulkRow};
/// use sqlx::{Connection, SqliteConnection};
///
/// #[derive(BulkRow)]
/// struct Airline {
///     carrier: &'static str,
///     name: Option<String>,
/// }
///
/// let mut connection = SqliteConnection::connect("sqlite::memory:").await?;
/// sqlx::query("CREATE TABLE airlines (carrier TEXT PRIMARY KEY, name TEXT)")
///     .execute(&mut connection)
///     .await?;
/// let airlines = [
///     Airline { carrier: "DL", name: Some("Delta Air Lines Inc.".to_owned()) },
///     Airline { carrier: "UA", name: None },
/// ];
/// let report = BulkInsert::into("airlines").execute(&mut connection, &airlines).await?;
/// assert_eq!((report.written, report.failed.len()), (2, 0));
/// # Ok(())
/// # }
/// # #[cfg(not(all(feature = "sqlite", feature = "macros")))]
/// # fn main() {}
/// ```
pub struct BulkInsert<'p> {
    table: String,
    atomicity: Atomicity,
    chunk_rows: usize,
    strategy: Strategy,
    id: Option<String>,
    observer: Option<Observer<'p>>,
    clock: Arc<dyn Clock>,
}

impl<'p> BulkInsert<'p> {
    /// The rows of a chunk, unless [`chunk_rows`](Self::chunk_rows) says otherwise.
    pub const DEFAULT_CHUNK_ROWS: usize = 50_000;

    /// An insert into `table`; a dot in its name divides the schema from the table.
    pub fn into(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            atomicity: Atomicity::default(),
            chunk_rows: Self::DEFAULT_CHUNK_ROWS,
            strategy: Strategy::default(),
            id: None,
            observer: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// What happens to the good rows when a bad one is among them; default [`Atomicity::All`].
    #[must_use]
    pub const fn atomicity(mut self, atomicity: Atomicity) -> Self {
        self.atomicity = atomicity;
        self
    }

    /// How many rows are held in memory at once, and committed together where the atomicity is less
    /// than [`Atomicity::All`]; default 50,000. Zero, as it may stand in a configuration file, is an error
    /// of [`execute`](Self::execute).
    #[must_use]
    pub const fn chunk_rows(mut self, rows: usize) -> Self {
        self.chunk_rows = rows;
        self
    }

    /// The way that rows take to Postgres; default [`Strategy::Auto`].
    #[must_use]
    pub const fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Asks for the numbers that the database gives the rows in `column`:
    /// [`ids`](crate::BulkReport::ids) of the report, in the order of the input.
    ///
    /// That they belong to their rows is proven on each database: Postgres reserves them from
    /// the column's sequence before the rows are sent, SQLite returns each with its row. A column where that cannot be
    /// proven is refused with [`BulkError::OrderUnprovable`].
    ///
    /// ```
    /// # #[cfg(all(feature = "sqlite", feature = "macros"))]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use perf_bulk::{BulkInsert, BulkRow};
    /// use sqlx::{Connection, SqliteConnection};
    ///
    /// #[derive(BulkRow)]
    /// struct Plane {
    ///     tailnum: &'static str,
    /// }
    ///
    /// let mut connection = SqliteConnection::connect("sqlite::memory:").await?;
    /// sqlx::query("CREATE TABLE planes (id INTEGER PRIMARY KEY, tailnum TEXT)")
    ///     .execute(&mut connection)
    ///     .await?;
    /// let planes = [Plane { tailnum: "N10156" }, Plane { tailnum: "N102UW" }];
    /// let insert = BulkInsert::into("planes").returning_ids("id");
    /// let report = insert.execute(&mut connection, &planes).await?;
    /// assert_eq!(report.ids, [1, 2]);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(all(feature = "sqlite", feature = "macros")))]
    /// # fn main() {}
    /// ```
    #[must_use]
    pub fn returning_ids(mut self, column: impl Into<String>) -> Self {
        self.id = Some(column.into());
        self
    }

    /// Calls `observer` as the insert advances: several times a chunk, and once at its end.
    #[must_use]
    pub fn progress(mut self, observer: impl FnMut(&Progress) + Send + 'p) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// The clock that elapsed time and rates are read from; default [`SystemClock`].
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Inserts `rows` and says what became of them.
    ///
    /// An empty input touches nothing. Bad rows are reported under [`Atomicity::BestEffort`] only;
    /// otherwise the first one is the error.
    ///
    /// # Errors
    ///
    /// - [`BulkError::Config`] for a chunk of zero rows.
    /// - [`BulkError::Encode`], [`Constraint`](BulkError::Constraint),
    ///   [`RowTooLarge`](BulkError::RowTooLarge) for a bad row, with its index.
    /// - [`BulkError::OrderUnprovable`] for ids that cannot be told apart.
    /// - [`BulkError::UnknownColumn`] and [`BulkError::Database`] for the rest.
    /// - Any of them inside [`BulkError::Partial`] when earlier chunks are already committed.
    ///
    /// # Cancel safety
    ///
    /// Dropped at any point, the open transaction is rolled back and the connection usable. Chunks that
    /// were committed before stay, as [`Atomicity`] says.
    pub fn execute<'c, B, A, I>(
        self,
        connection: A,
        rows: I,
    ) -> BoxFuture<'c, Result<BulkReport<I::Item>, BulkError>>
    where
        'p: 'c,
        B: Backend,
        A: Acquire<'c, Database = B> + Send + 'c,
        I: IntoIterator<IntoIter: Send + 'c, Item: BulkRow<B> + Send + Sync + 'c>,
    {
        let chunks = Chunks::new(rows.into_iter(), self.chunk_rows);
        Box::pin(self.run(connection, chunks))
    }

    async fn run<'c, B, A, I>(
        self,
        connection: A,
        chunks: Chunks<I>,
    ) -> Result<BulkReport<I::Item>, BulkError>
    where
        B: Backend,
        A: Acquire<'c, Database = B> + Send,
        I: Iterator<Item: BulkRow<B> + Send + Sync> + Send,
    {
        if self.chunk_rows == 0 {
            return Err(BulkError::Config("a chunk needs at least one row"));
        }
        let mut meter = Meter::start(self.clock, self.observer);
        meter.expect(chunks.exact_len());
        let mut run = Run {
            target: Target {
                strategy: self.strategy,
                ..Target::new(&self.table, <I::Item as BulkRow<B>>::COLUMNS)
            },
            id: self.id.as_deref(),
            ids: Vec::new(),
            best_effort: self.atomicity == Atomicity::BestEffort,
            chunks,
            meter,
            settled: 0,
            failed: Vec::new(),
        };
        let mut chunk = run.chunks.next_chunk();
        if !chunk.is_empty() {
            let mut connection = connection.acquire().await.map_err(driver_error)?;
            if self.atomicity == Atomicity::All {
                run.all::<B>(connection.deref_mut(), chunk).await?;
            } else {
                while !chunk.is_empty() {
                    run.chunk::<B>(connection.deref_mut(), chunk).await?;
                    chunk = run.chunks.next_chunk();
                }
            }
        }
        Ok(run.report())
    }
}

impl fmt::Debug for BulkInsert<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkInsert")
            .field("table", &self.table)
            .field("atomicity", &self.atomicity)
            .field("chunk_rows", &self.chunk_rows)
            .finish_non_exhaustive()
    }
}

/// One insert under way.
struct Run<'a, I: Iterator> {
    target: Target<'a>,
    /// The column that ids are wanted from.
    id: Option<&'a str>,
    /// The ids of rows that are settled.
    ids: Vec<i64>,
    best_effort: bool,
    chunks: Chunks<I>,
    meter: Meter<'a>,
    /// Rows that are committed or set aside.
    settled: u64,
    failed: Vec<FailedRow<I::Item>>,
}

impl<I: Iterator> Run<'_, I> {
    /// Writes everything in one transaction.
    async fn all<B: Backend>(
        &mut self,
        connection: &mut B::Connection,
        mut chunk: Vec<I::Item>,
    ) -> Result<(), BulkError>
    where
        I::Item: BulkRow<B> + Send + Sync,
    {
        let mut scope = B::begin(connection).await?;
        let mut sent = 0;
        let mut ids = Vec::new();
        while !chunk.is_empty() {
            self.write::<B>(&mut scope, &chunk, &mut ids)
                .await
                .map_err(|rejection| rejection.error.offset_row(sent))?;
            sent += chunk.len() as u64;
            chunk = self.chunks.next_chunk();
        }
        B::commit(scope).await?;
        self.settled = sent;
        self.ids = ids;
        Ok(())
    }

    /// Writes one chunk in a transaction of its own, or in several if a constraint that is checked at
    /// COMMIT refuses it: the halves of it are tried until the row is alone.
    async fn chunk<B: Backend>(
        &mut self,
        connection: &mut B::Connection,
        chunk: Vec<I::Item>,
    ) -> Result<(), BulkError>
    where
        I::Item: BulkRow<B> + Send + Sync,
    {
        let mut pending = vec![chunk];
        while let Some(mut chunk) = pending.pop() {
            let before = self.meter.position();
            match self.try_chunk::<B>(connection, &chunk).await {
                Ok(bad) => self.settle(chunk, bad),
                Err(error) if self.best_effort && error.blames_an_unknown_row() => {
                    self.meter.return_to(before);
                    if chunk.len() == 1 {
                        self.settle(chunk, vec![(0, error.at_row(self.settled))]);
                        self.meter.advance(1, 0);
                    } else {
                        let second = chunk.split_off(chunk.len() / 2);
                        pending.extend([second, chunk]);
                    }
                }
                Err(error) => return Err(self.stopped(error)),
            }
        }
        Ok(())
    }

    fn settle(&mut self, chunk: Vec<I::Item>, bad: Vec<(usize, BulkError)>) {
        let first = self.settled;
        self.settled += chunk.len() as u64;
        self.failed.extend(set_aside(chunk, bad, first));
    }

    /// The bad rows of a chunk whose good ones are committed.
    async fn try_chunk<B: Backend>(
        &mut self,
        connection: &mut B::Connection,
        chunk: &[I::Item],
    ) -> Result<Vec<(usize, BulkError)>, BulkError>
    where
        I::Item: BulkRow<B> + Send + Sync,
    {
        let mut scope = B::begin(connection).await?;
        let (mut bad, mut ids) = (Vec::new(), Vec::new());
        let mut start = 0;
        while start < chunk.len() {
            let rest = &chunk[start..];
            match self.write::<B>(&mut scope, rest, &mut ids).await {
                Ok(()) => break,
                Err(rejection) => {
                    let error = rejection.error.offset_row(self.settled + start as u64);
                    if !(self.best_effort && rejection.isolated) {
                        return Err(error);
                    }
                    bad.push((start + rejection.at, error));
                    start += rejection.at + 1;
                    self.meter.advance(1, 0);
                }
            }
        }
        B::commit(scope).await?;
        self.ids.extend(ids);
        Ok(bad)
    }

    /// Writes rows, and appends the ids of those that are written, if ids are wanted.
    async fn write<B: Backend>(
        &mut self,
        scope: &mut Scope<'_, B>,
        rows: &[I::Item],
        ids: &mut Vec<i64>,
    ) -> Result<(), Rejection>
    where
        I::Item: BulkRow<B> + Send + Sync,
    {
        let (target, isolate) = (&self.target, self.best_effort);
        match self.id {
            Some(id) => {
                B::insert_with_ids(scope, target, id, isolate, rows, ids, &mut self.meter).await
            }
            None => B::insert(scope, target, isolate, rows, &mut self.meter).await,
        }
    }

    fn stopped(&mut self, error: BulkError) -> BulkError {
        match (self.settled, error) {
            // What was settled in a transaction is gone with it.
            (0, error) | (_, error @ BulkError::TransactionLost { .. }) => error,
            (settled, error) => BulkError::Partial {
                settled,
                failed: self.failed.drain(..).map(|row| row.error).collect(),
                source: Box::new(error),
            },
        }
    }

    fn report(self) -> BulkReport<I::Item> {
        let progress = self.meter.progress();
        BulkReport {
            written: self.settled - self.failed.len() as u64,
            bytes: progress.bytes,
            elapsed: progress.elapsed,
            ids: self.ids,
            failed: self.failed,
        }
    }
}

/// The rows of `chunk` named in `bad`, whose positions ascend.
fn set_aside<R>(
    chunk: Vec<R>,
    bad: Vec<(usize, BulkError)>,
    first: u64,
) -> impl Iterator<Item = FailedRow<R>> {
    let mut rows = chunk.into_iter().enumerate();
    bad.into_iter().filter_map(move |(position, error)| {
        let (_, row) = rows.find(|(other, _)| *other == position)?;
        Some(FailedRow {
            index: first + position as u64,
            row,
            error,
        })
    })
}
