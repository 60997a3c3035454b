//! Many rows into one table.

mod run;

use crate::backend::{Backend, Target, driver_error};
use crate::chunk::{ByteLimit, Input, Limit, Rows, Streamed};
use crate::course::{Course, course_setters};
use crate::error::{BoxError, BulkError};
use crate::policy::{Atomicity, Strategy};
use crate::report::BulkReport;
use crate::row::BulkRow;
use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_util::StreamExt as _;
use run::Run;
use sqlx::Acquire;
use std::fmt;
use std::ops::DerefMut;

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
    max_refused: usize,
    chunk_rows: usize,
    chunk_bytes: Option<usize>,
    strategy: Strategy,
    id: Option<String>,
    course: Course<'p>,
}

impl<'p> BulkInsert<'p> {
    /// The rows of a chunk, unless [`chunk_rows`](Self::chunk_rows) says otherwise.
    pub const DEFAULT_CHUNK_ROWS: usize = 50_000;
    /// The bytes of a chunk of a stream, unless [`chunk_bytes`](Self::chunk_bytes) says otherwise: 4 MiB.
    pub const DEFAULT_STREAM_CHUNK_BYTES: usize = 4 << 20;

    /// An insert into `table`; a dot in its name divides the schema from the table.
    pub fn into(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            atomicity: Atomicity::default(),
            max_refused: usize::MAX,
            chunk_rows: Self::DEFAULT_CHUNK_ROWS,
            chunk_bytes: None,
            strategy: Strategy::default(),
            id: None,
            course: Course::default(),
        }
    }

    /// What happens to the good rows when a bad one is among them; default [`Atomicity::All`].
    #[must_use]
    pub const fn atomicity(mut self, atomicity: Atomicity) -> Self {
        self.atomicity = atomicity;
        self
    }

    /// How many bad rows [`Atomicity::BestEffort`] puts up with; unlimited by default. One more, and the chunk is
    /// undone and the operation ended with [`BulkError::TooManyRefused`]: the wrong file was chosen, say.
    #[must_use]
    pub const fn max_refused(mut self, rows: usize) -> Self {
        self.max_refused = rows;
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

    /// How many bytes of values a chunk holds at most, but for one of a single row; unlimited by default, and
    /// 4 MiB for a stream. Measuring them costs about as much as encoding them.
    #[must_use]
    pub const fn chunk_bytes(mut self, bytes: usize) -> Self {
        self.chunk_bytes = Some(bytes);
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
    /// the column's sequence before the rows are sent, SQLite returns each with its row, and the numbers of one
    /// statement follow each other on MySQL and MariaDB. A column where that cannot be proven is refused with [`BulkError::OrderUnprovable`].
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

    course_setters!();

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
    /// - [`BulkError::TooManyRefused`] when [`max_refused`](Self::max_refused) is exceeded.
    /// - [`BulkError::UnknownColumn`] and [`BulkError::Database`] for the rest.
    /// - Any of them inside [`BulkError::Partial`] when earlier chunks are already committed.
    ///
    /// # Cancel safety
    ///
    /// Dropped at any point, the open transaction is rolled back, and the connection is usable or closed; the
    /// guide says when. Chunks that were committed before stay, as [`Atomicity`] says.
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
        let input = Rows::new(rows.into_iter(), self.limit(self.chunk_bytes));
        Box::pin(self.run(connection, input))
    }

    /// As [`execute`](Self::execute), for rows that arrive while others are written.
    ///
    /// The stream is drawn from while a chunk is on its way, up to one chunk ahead, and no further: what is slow
    /// on either side holds back the other, and memory stays at two chunks.
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
    ///     id: i64,
    /// }
    ///
    /// let mut connection = SqliteConnection::connect("sqlite::memory:").await?;
    /// sqlx::query("CREATE TABLE planes (id INTEGER PRIMARY KEY)")
    ///     .execute(&mut connection)
    ///     .await?;
    /// let planes = futures_util::stream::iter((0..1_000).map(|id| Plane { id }));
    /// let report = BulkInsert::into("planes").execute_stream(&mut connection, planes).await?;
    /// assert_eq!(report.written, 1_000);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(all(feature = "sqlite", feature = "macros")))]
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute). Rows that were drawn and not settled are gone with the stream's place.
    ///
    /// # Cancel safety
    ///
    /// As [`execute`](Self::execute).
    pub fn execute_stream<'c, B, A, S>(
        self,
        connection: A,
        rows: S,
    ) -> BoxFuture<'c, Result<BulkReport<S::Item>, BulkError>>
    where
        'p: 'c,
        B: Backend,
        A: Acquire<'c, Database = B> + Send + 'c,
        S: Stream<Item: BulkRow<B> + Send + Sync + 'c> + Send + 'c,
    {
        self.streamed(connection, rows.map(Ok))
    }

    /// As [`execute_stream`](Self::execute_stream), for rows whose source may fail: a file that cannot be read to its end, or
    /// another server. The first error ends the insert.
    ///
    /// ```
    /// # #[cfg(all(feature = "sqlite", feature = "macros"))]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use perf_bulk::{Atomicity, BulkError, BulkInsert, BulkRow};
    /// use sqlx::{Connection, SqliteConnection};
    ///
    /// #[derive(BulkRow)]
    /// struct Plane {
    ///     id: i64,
    /// }
    ///
    /// let mut connection = SqliteConnection::connect("sqlite::memory:").await?;
    /// sqlx::query("CREATE TABLE planes (id INTEGER PRIMARY KEY)")
    ///     .execute(&mut connection)
    ///     .await?;
    /// let lines = ["1", "2", "three", "4"].map(|line| line.parse().map(|id| Plane { id }));
    /// let insert = BulkInsert::into("planes").atomicity(Atomicity::PerChunk);
    /// let stopped = insert.execute_try_stream(&mut connection, futures_util::stream::iter(lines)).await;
    /// assert!(matches!(
    ///     stopped,
    ///     Err(BulkError::Partial { settled: 2, source, .. }) if matches!(*source, BulkError::Input { rows: 2, .. })
    /// ));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(all(feature = "sqlite", feature = "macros")))]
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    ///
    /// As [`execute_stream`](Self::execute_stream), and [`BulkError::Input`] where the stream fails. Under
    /// [`Atomicity::All`] nothing is written then. Otherwise the rows that came before are written first, and the error is
    /// a [`BulkError::Partial`] that says how many.
    ///
    /// # Cancel safety
    ///
    /// As [`execute`](Self::execute).
    pub fn execute_try_stream<'c, B, A, S, R, E>(
        self,
        connection: A,
        rows: S,
    ) -> BoxFuture<'c, Result<BulkReport<R>, BulkError>>
    where
        'p: 'c,
        B: Backend,
        A: Acquire<'c, Database = B> + Send + 'c,
        S: Stream<Item = Result<R, E>> + Send + 'c,
        R: BulkRow<B> + Send + Sync + 'c,
        E: Into<BoxError> + 'c,
    {
        self.streamed(connection, rows.map(|row| row.map_err(Into::into)))
    }

    fn streamed<'c, B, A, S, R>(
        self,
        connection: A,
        rows: S,
    ) -> BoxFuture<'c, Result<BulkReport<R>, BulkError>>
    where
        'p: 'c,
        B: Backend,
        A: Acquire<'c, Database = B> + Send + 'c,
        S: Stream<Item = Result<R, BoxError>> + Send + 'c,
        R: BulkRow<B> + Send + Sync + 'c,
    {
        let bytes = self.chunk_bytes.or(Some(Self::DEFAULT_STREAM_CHUNK_BYTES));
        let input = Streamed::new(rows, self.limit(bytes));
        Box::pin(self.run(connection, input))
    }

    fn limit<B: Backend, R: BulkRow<B>>(&self, bytes: Option<usize>) -> Limit<R> {
        Limit {
            rows: self.chunk_rows,
            bytes: bytes.map(|most| ByteLimit {
                most,
                measure: measure::<B, R>,
            }),
        }
    }

    async fn run<'c, B, A, N>(
        mut self,
        connection: A,
        mut input: N,
    ) -> Result<BulkReport<N::Row>, BulkError>
    where
        B: Backend,
        A: Acquire<'c, Database = B> + Send,
        N: Input<Row: BulkRow<B>>,
    {
        if self.chunk_rows == 0 {
            return Err(BulkError::Config("a chunk needs at least one row"));
        }
        let (meter, retry) = self.course.start(input.exact_len());
        let chunk = input.next_chunk().await;
        let columns = chunk.first().map(|first| owned(first.columns()));
        let columns: Vec<&str> = columns.iter().flatten().map(String::as_str).collect();
        let target = Target {
            strategy: self.strategy,
            ..Target::new(&self.table, &columns)
        };
        let mut run = Run {
            target,
            id: self.id.as_deref(),
            best_effort: self.atomicity == Atomicity::BestEffort,
            max_refused: self.max_refused,
            retry,
            meter,
            ids: Vec::new(),
            settled: 0,
            failed: Vec::new(),
        };
        if !chunk.is_empty() {
            let mut connection = connection.acquire().await.map_err(driver_error)?;
            if self.atomicity == Atomicity::All {
                run.all::<B>(connection.deref_mut(), &mut input, chunk)
                    .await?;
            } else {
                run.by_chunk::<B>(connection.deref_mut(), &mut input, chunk)
                    .await?;
            }
        }
        run.end(&mut input)?;
        Ok(run.report())
    }
}

fn owned(columns: Vec<&str>) -> Vec<String> {
    columns.into_iter().map(str::to_owned).collect()
}

/// The bytes of a row's values, as far as they can be encoded.
fn measure<B: Backend, R: BulkRow<B>>(row: &R) -> usize {
    let columns = row.columns();
    let all: Vec<_> = (0..columns.len()).collect();
    let mut bytes = Vec::new();
    match B::key(row, &Target::new("", &columns), &all, &mut bytes) {
        Ok(_) => bytes.len(),
        Err(_) => size_of::<R>(),
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
