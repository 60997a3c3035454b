//! What statements run on: anything of sqlx that executes them.

use super::Pace;
use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use futures_util::lock::{Mutex, MutexGuard};
use sqlx::{AssertSqlSafe, Database, Either, Executor, IntoArguments, Pool};
use std::any::Any;
use std::fmt;
use std::ops::DerefMut;
use std::sync::Arc;

/// Takes the rows of a statement one by one, as they arrive, and says when the next is welcome. An error ends the statement.
pub type EachRow<'a, R> = &'a mut (dyn FnMut(R) -> Result<Pace, sqlx::Error> + Send);

/// Runs statements for a [`SqlSource`](crate::SqlSource).
///
/// Rows are handed over one by one, so that they are decoded while the database still looks for more.
///
/// Every type whose reference is an sqlx executor is one: `sqlx::Pool`, and any other pool that is made so.
/// [`Exclusive`] makes one of a connection or a transaction.
#[async_trait]
pub trait Runner<DB: Database>: Send + Sync + 'static {
    /// Hands every row of a statement to `each`, in order, at the [`Pace`] that it asks for.
    ///
    /// # Errors
    ///
    /// Whatever the driver or `each` says.
    ///
    /// # Cancel safety
    ///
    /// As the executor's own.
    async fn run(
        &self,
        sql: Arc<str>,
        arguments: DB::Arguments,
        each: EachRow<'_, DB::Row>,
    ) -> Result<(), sqlx::Error>;
}

#[async_trait]
impl<DB, E> Runner<DB> for E
where
    DB: Database,
    DB::Arguments: IntoArguments<DB>,
    E: Send + Sync + 'static,
    for<'e> &'e E: Executor<'e, Database = DB>,
    for<'e> &'e mut DB::Connection: Executor<'e, Database = DB>,
{
    async fn run(
        &self,
        sql: Arc<str>,
        arguments: DB::Arguments,
        each: EachRow<'_, DB::Row>,
    ) -> Result<(), sqlx::Error> {
        let Some(pool) = (self as &dyn Any).downcast_ref::<Pool<DB>>() else {
            return run_on(self, sql, arguments, each).await;
        };
        // Asked itself, the pool would hand each row on from one stream to another.
        let mut connection = pool.acquire().await?;
        run_on(&mut *connection, sql, arguments, each).await
    }
}

async fn run_on<'e, DB, E>(
    executor: E,
    sql: Arc<str>,
    arguments: DB::Arguments,
    each: EachRow<'_, DB::Row>,
) -> Result<(), sqlx::Error>
where
    DB: Database,
    DB::Arguments: IntoArguments<DB>,
    E: Executor<'e, Database = DB>,
{
    // The text is the planner's: identifiers from the declaration, every value bound.
    let query = sqlx::query_with(AssertSqlSafe(sql), arguments);
    let mut steps = executor.fetch_many(query);
    while let Some(step) = steps.try_next().await? {
        // What else comes is the number of rows that the statement has written.
        if let Either::Right(row) = step
            && each(row)? == Pace::Rest
        {
            Pace::Rest.keep().await;
        }
    }
    Ok(())
}

/// One connection or one transaction, whose statements wait for each other. Clones share it.
///
/// Within a transaction that repeats its reads, a walk sees the rows of one moment.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_paginate::{Exclusive, Field, PageQuery, Paginator, Plain, Schema, SqlSource};
/// use sqlx::Sqlite;
/// use sqlx::sqlite::SqlitePool;
///
/// let pool = SqlitePool::connect("sqlite::memory:").await?;
/// let mut transaction = pool.begin().await?;
/// sqlx::raw_sql("CREATE TABLE codes (code TEXT PRIMARY KEY); INSERT INTO codes VALUES ('EWR')")
///     .execute(&mut *transaction)
///     .await?;
///
/// let schema = Schema::builder("codes")
///     .field(Field::new("code", |row: &(String,)| row.0.clone()))
///     .key(["code"])
///     .build()?;
/// let exclusive = Exclusive::new(transaction);
/// let source = SqlSource::<Sqlite, (String,), _>::with_schema(exclusive.clone(), schema)?;
/// let paginator = Paginator::new(source, Plain);
/// assert_eq!(paginator.page(&PageQuery::new()).await?.items.len(), 1);
///
/// drop(paginator);
/// exclusive.into_inner().ok_or("the last clone")?.rollback().await?;
/// # Ok(())
/// # }
/// ```
pub struct Exclusive<C>(Arc<Mutex<C>>);

impl<C> Exclusive<C> {
    /// Shares a transaction, a pooled connection or a boxed one.
    #[must_use]
    pub fn new(connection: C) -> Self {
        Self(Arc::new(Mutex::new(connection)))
    }

    /// The connection, for statements of one's own.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in line and changes nothing.
    pub async fn lock(&self) -> MutexGuard<'_, C> {
        self.0.lock().await
    }

    /// The connection back, if no clone is left.
    #[must_use]
    pub fn into_inner(self) -> Option<C> {
        Arc::into_inner(self.0).map(Mutex::into_inner)
    }
}

#[async_trait]
impl<DB, C> Runner<DB> for Exclusive<C>
where
    DB: Database,
    DB::Arguments: IntoArguments<DB>,
    C: DerefMut<Target = DB::Connection> + Send + 'static,
    for<'e> &'e mut DB::Connection: Executor<'e, Database = DB>,
{
    async fn run(
        &self,
        sql: Arc<str>,
        arguments: DB::Arguments,
        each: EachRow<'_, DB::Row>,
    ) -> Result<(), sqlx::Error> {
        let mut connection = self.0.lock().await;
        run_on(&mut **connection, sql, arguments, each).await
    }
}

impl<C> Clone for Exclusive<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C> fmt::Debug for Exclusive<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exclusive").finish_non_exhaustive()
    }
}
