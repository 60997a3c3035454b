//! Statements watched where they are run, instead of where sqlx tells of them.
//!
//! sqlx's events come when a statement has ended well or been dropped, from whichever thread the driver
//! uses. An executor in between also knows those that fail, those that are running now, how long the first
//! row took, and on every engine the profiled function that asked. In return each place that runs
//! statements must be given it.

mod captured;
mod running;
mod stream;

use crate::Profiler;
use captured::Captured;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use running::Ticket;
use sqlx::{Database, Describe, Either, Error, Execute, Executor, SqlStr};
use std::fmt;
use stream::Recorded;

/// Any sqlx executor, with each of its statements recorded.
///
/// [`Profiler::executor`] makes it, of a pool, a connection or a transaction. Switch sqlx's own logging of
/// statements off for the connections (`disable_statement_logging`), or a [`SqlLayer`](crate::SqlLayer)
/// counts them as well. A statement's time begins with its first poll and includes the wait for one of
/// the pool's connections. How many rows it changed is not recorded.
pub struct ProfiledExecutor<E> {
    inner: E,
    profiler: Profiler,
}

impl Profiler {
    /// Records what `inner` runs.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> sqlx::Result<()> {
    /// use perf_profile::Profiler;
    /// use sqlx::ConnectOptions;
    /// use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
    ///
    /// let profiler = Profiler::builder().dialect(perf_core::Dialect::Sqlite).build();
    /// let options = SqliteConnectOptions::new().in_memory(true).disable_statement_logging();
    /// let pool = SqlitePool::connect_with(options).await?;
    ///
    /// sqlx::query("SELECT 1").fetch_one(profiler.executor(&pool)).await?;
    /// assert!(sqlx::query("SELECT a FROM missing").fetch_one(profiler.executor(&pool)).await.is_err());
    ///
    /// let snapshot = profiler.snapshot();
    /// let errors: Vec<_> = snapshot.queries().iter().map(|query| (query.count, query.errors)).collect();
    /// assert_eq!(errors.len(), 2);
    /// assert!(errors.contains(&(1, 0)) && errors.contains(&(1, 1)));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn executor<E>(&self, inner: E) -> ProfiledExecutor<E> {
        ProfiledExecutor {
            inner,
            profiler: self.clone(),
        }
    }
}

impl<E> ProfiledExecutor<E> {
    fn ticket(&self, sql: &str) -> Ticket {
        Ticket::new(&self.profiler, sql)
    }
}

impl<'c, I: Executor<'c>> Executor<'c> for ProfiledExecutor<I> {
    type Database = I::Database;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<
        'e,
        Result<
            Either<<I::Database as Database>::QueryResult, <I::Database as Database>::Row>,
            Error,
        >,
    >
    where
        'c: 'e,
        E: 'q + Execute<'q, I::Database>,
    {
        let query = Captured::new(query);
        let ticket = self.ticket(query.text());
        Box::pin(Recorded::new(self.inner.fetch_many(query), ticket))
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<<I::Database as Database>::Row>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, I::Database>,
    {
        let query = Captured::new(query);
        let ticket = self.ticket(query.text());
        let fetch = self.inner.fetch_optional(query);
        Box::pin(async move {
            let mut running = ticket.begin();
            let row = fetch.await;
            match &row {
                Ok(Some(_)) => running.row(),
                Ok(None) => {}
                Err(_) => running.fail(),
            }
            row
        })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [<I::Database as Database>::TypeInfo],
    ) -> BoxFuture<'e, Result<<I::Database as Database>::Statement, Error>>
    where
        'c: 'e,
    {
        self.inner.prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<I::Database>, Error>>
    where
        'c: 'e,
    {
        self.inner.describe(sql)
    }
}

impl<E> fmt::Debug for ProfiledExecutor<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProfiledExecutor").finish_non_exhaustive()
    }
}
