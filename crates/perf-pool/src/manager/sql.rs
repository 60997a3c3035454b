//! What the SQL managers share: tracked statements, transactions, and sqlx's errors.
//!
//! A statement that is cancelled half-way leaves its connection busy, or inside a transaction, and no
//! driver can tell without asking the server. So a guard is *tainted* before each statement and cleared
//! when the statement has ended by itself: whatever happens in between, the connection goes through a
//! reset before its next holder. Statements that may leave something behind, such as `BEGIN` or `SET`,
//! keep the taint.

use super::{Fate, Manager};
use crate::error::PoolError;
use crate::pool::Pool;
use crate::pooled::Pooled;
use perf_core::Transience;
use sqlx::database::Database;
use sqlx::error::{BoxDynError, DatabaseError};
use sqlx::{AssertSqlSafe, ColumnIndex, Decode, Execute, Executor, Row, SqlStr, Type};
use sqlx_core::transaction::TransactionManager;
use std::io;

/// A manager of connections to one kind of database.
pub trait SqlManager:
    Manager<Resource = <Self::Database as Database>::Connection, Error = sqlx::Error>
{
    /// sqlx's name of the kind.
    type Database: Database;

    /// Whether the server may have ended the session together with the statement, so that the next holder
    /// must not get the connection unseen. A wrong "yes" costs one round trip in the background.
    fn ends_session(error: &dyn DatabaseError) -> bool;
}

type TransactionsOf<M> = <<M as SqlManager>::Database as Database>::TransactionManager;

impl<M: SqlManager> Pool<M> {
    /// Runs `work` in a transaction: commits when it returns `Ok`, rolls back when it returns `Err`.
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use perf_pool::{Pool, SqliteManager};
    ///
    /// let pool = Pool::builder(SqliteManager::from_url("sqlite::memory:")?).build()?;
    /// sqlx::query("CREATE TABLE accounts (balance INTEGER)").execute(&pool).await?;
    /// let balance: i64 = pool
    ///     .transaction(async |connection| {
    ///         sqlx::query("INSERT INTO accounts VALUES (5)").execute(&mut *connection).await?;
    ///         sqlx::query_scalar("SELECT balance FROM accounts").fetch_one(connection).await
    ///     })
    ///     .await?;
    /// assert_eq!(balance, 5);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "sqlite"))]
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    ///
    /// Those of `work`, and those of acquiring, `BEGIN` and `COMMIT` as a `sqlx::Error`.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, or `work` panics, the transaction is rolled back before anybody else
    /// gets the connection. Only a `COMMIT` that was already sent may still take effect.
    #[track_caller]
    pub fn transaction<T, E, W>(&self, work: W) -> impl Future<Output = Result<T, E>>
    where
        E: From<sqlx::Error>,
        W: AsyncFnOnce(&mut M::Resource) -> Result<T, E>,
    {
        // Here and not in the future, so that a report of leaks names the caller's line.
        let acquire = self.acquire();
        async move {
            let mut guard = acquire.await.map_err(sqlx::Error::from)?;
            Pooled::taint(&mut guard);
            let connection = Pooled::vouched(&mut guard);
            TransactionsOf::<M>::begin(connection, None).await?;
            let result = work(connection).await;
            let ended = match &result {
                Ok(_) => TransactionsOf::<M>::commit(connection).await,
                Err(_) => TransactionsOf::<M>::rollback(connection).await,
            };
            let is_clean =
                ended.is_ok() && TransactionsOf::<M>::get_transaction_depth(connection) == 0;
            if is_clean {
                Pooled::clear_taint(&mut guard);
            }
            let value = result?;
            ended?;
            Ok(value)
        }
    }
}

/// Refuses the URL of another kind of database, which a driver would read as its own.
pub(crate) fn expect_scheme(url: &str, schemes: &[&str]) -> sqlx::Result<()> {
    let scheme = url.split_once(':').map(|(scheme, _)| scheme);
    if scheme.is_some_and(|scheme| schemes.contains(&scheme)) {
        return Ok(());
    }
    // Without the URL itself, in which a password may stand.
    let message = format!("expected a URL that begins with {}:", schemes.join(": or "));
    Err(sqlx::Error::Configuration(message.into()))
}

/// Rolls back what the driver knows to be open. What it does not know of, such as a `BEGIN` that was
/// cancelled on its way, the caller ends with a plain `ROLLBACK`.
pub(crate) async fn roll_back_known<DB: Database>(
    connection: &mut DB::Connection,
) -> sqlx::Result<()> {
    while DB::TransactionManager::get_transaction_depth(connection) > 0 {
        DB::TransactionManager::rollback(connection).await?;
    }
    Ok(())
}

/// Asks in one round trip what `question` makes of a nonce, which is to end with a plain `ROLLBACK`
/// whatever is open and to select the nonce, and keeps the connection only if it answers that. A
/// connection on which a statement was cancelled between its request and its answer may be one answer
/// behind, and would hand somebody's rows to somebody else.
#[cfg_attr(
    not(any(feature = "postgres", feature = "mysql")),
    expect(dead_code, reason = "SQLite has no protocol to fall behind in")
)]
pub(crate) async fn prove_clean<DB>(
    connection: &mut DB::Connection,
    question: impl FnOnce(&str) -> String,
) -> sqlx::Result<Fate>
where
    DB: Database,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    for<'r> String: Decode<'r, DB>,
    String: Type<DB>,
    usize: ColumnIndex<DB::Row>,
{
    let nonce = format!("{:016x}", fastrand::u64(..));
    let row = sqlx::raw_sql(AssertSqlSafe(question(&nonce)))
        .fetch_one(connection)
        .await?;
    let answer: Option<String> = row.try_get(0)?;
    Ok(if answer == Some(nonce) {
        Fate::Keep
    } else {
        Fate::Discard
    })
}

/// Whether trying to connect again may help; `of_code` judges what the server said.
pub(crate) fn classify(
    error: &sqlx::Error,
    of_code: impl Fn(&dyn DatabaseError) -> Transience,
) -> Transience {
    match error {
        sqlx::Error::Database(error) => of_code(error.as_ref()),
        sqlx::Error::Configuration(_) | sqlx::Error::Tls(_) => Transience::Permanent,
        sqlx::Error::Io(error) => match error.kind() {
            io::ErrorKind::InvalidInput
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::Unsupported => Transience::Permanent,
            // A name that does not resolve or a socket that is not there may well appear.
            _ => Transience::Transient,
        },
        _ => Transience::Transient,
    }
}

impl From<PoolError<Self>> for sqlx::Error {
    /// Keeps the pool's error as the source: a time-out as [`sqlx::Error::Io`] of kind `TimedOut`, a
    /// permanent failure to connect as [`sqlx::Error::Configuration`].
    fn from(error: PoolError<Self>) -> Self {
        match error {
            PoolError::Closed => Self::PoolClosed,
            PoolError::Create(_) | PoolError::Misconfigured { .. } => {
                Self::Configuration(Box::new(error))
            }
            PoolError::NoRuntime | PoolError::Panicked => Self::Io(io::Error::other(error)),
            PoolError::Timeout(_)
            | PoolError::Exhausted(_)
            | PoolError::QueueFull(_)
            | PoolError::Suspended
            | PoolError::Circle { .. }
            | PoolError::Shed { .. } => Self::Io(io::Error::new(io::ErrorKind::TimedOut, error)),
        }
    }
}

/// A statement taken apart, so that its text can be looked at before it runs.
pub(crate) struct Inspected<DB: Database> {
    sql: SqlStr,
    statement: Option<DB::Statement>,
    arguments: Result<Option<DB::Arguments>, BoxDynError>,
    persistent: bool,
}

impl<DB: Database> Inspected<DB> {
    pub(crate) fn new<'q>(mut query: impl Execute<'q, DB>) -> Self {
        Self {
            statement: query.statement().cloned(),
            persistent: query.persistent(),
            arguments: query.take_arguments(),
            sql: query.sql(),
        }
    }

    /// Whether the statement, once it has ended, has left nothing on its connection.
    pub(crate) fn leaves_no_trace(&self) -> bool {
        leaves_no_trace(self.sql.as_str())
    }
}

impl<DB: Database> Execute<'_, DB> for Inspected<DB> {
    fn sql(self) -> SqlStr {
        self.sql
    }

    fn statement(&self) -> Option<&DB::Statement> {
        self.statement.as_ref()
    }

    fn take_arguments(&mut self) -> Result<Option<DB::Arguments>, BoxDynError> {
        std::mem::replace(&mut self.arguments, Ok(None))
    }

    fn persistent(&self) -> bool {
        self.persistent
    }
}

/// Whether `sql` is a single statement of a kind that ends with itself. Anything unknown is not: the
/// price of a wrong "no" is one round trip in the background, of a wrong "yes" somebody's data.
fn leaves_no_trace(sql: &str) -> bool {
    const CONTAINED: [&str; 8] = [
        "SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "VALUES", "REPLACE", "EXPLAIN",
    ];
    let sql = sql.trim_start();
    let keyword = sql
        .split(|c: char| !c.is_ascii_alphabetic())
        .next()
        .unwrap_or_default();
    let is_contained = CONTAINED
        .iter()
        .any(|known| keyword.eq_ignore_ascii_case(known));
    is_contained && !sql.trim_end().trim_end_matches(';').contains(';')
}

/// One statement on a guard: tainted from [`Tracked::begin`] until [`Tracked::end`].
pub(crate) struct Tracked<'g, M: SqlManager> {
    guard: &'g mut Pooled<M>,
    clears: bool,
}

impl<'g, M: SqlManager> Tracked<'g, M> {
    pub(crate) fn begin(guard: &'g mut Pooled<M>, leaves_no_trace: bool) -> Self {
        let clears = leaves_no_trace && !Pooled::meta(guard).tainted;
        Pooled::taint(guard);
        Self { guard, clears }
    }

    pub(crate) fn connection(&mut self) -> &mut M::Resource {
        Pooled::vouched(self.guard)
    }

    /// Ends the statement. A failure that the server reported has ended it as well as a success, unless it
    /// was the last word of the whole session.
    pub(crate) fn end<T>(self, outcome: sqlx::Result<T>) -> sqlx::Result<T> {
        let has_ended = match &outcome {
            Ok(_) | Err(sqlx::Error::RowNotFound) => true,
            Err(sqlx::Error::Database(error)) => !M::ends_session(error.as_ref()),
            Err(_) => false,
        };
        if has_ended && self.clears {
            Pooled::clear_taint(self.guard);
        }
        outcome
    }
}

/// Lets statements run on `&Pool<Manager>` and, tracked, on `&mut Pooled<Manager>`.
///
/// A macro and no generic impl, because the compiler overflows on the bound
/// `for<'c> &'c mut Connection: Executor<'c>` that the latter would need.
macro_rules! impl_executor {
    ($manager:ty, $database:ty) => {
        impl<'c> sqlx::Executor<'c> for &'c mut $crate::Pooled<$manager> {
            type Database = $database;

            fn fetch_many<'e, 'q: 'e, E>(
                self,
                query: E,
            ) -> futures_core::stream::BoxStream<
                'e,
                sqlx::Result<
                    sqlx::Either<
                        <$database as sqlx::Database>::QueryResult,
                        <$database as sqlx::Database>::Row,
                    >,
                >,
            >
            where
                'c: 'e,
                E: 'q + sqlx::Execute<'q, $database>,
            {
                use futures_util::StreamExt as _;
                let query = $crate::manager::sql::Inspected::<$database>::new(query);
                Box::pin(async_stream::try_stream! {
                    let mut tracked =
                        $crate::manager::sql::Tracked::begin(self, query.leaves_no_trace());
                    let mut failure = None;
                    {
                        let mut steps = sqlx::Executor::fetch_many(tracked.connection(), query);
                        while let Some(step) = steps.next().await {
                            match step {
                                Ok(step) => yield step,
                                Err(error) => {
                                    failure = Some(error);
                                    break;
                                }
                            }
                        }
                    }
                    tracked.end(failure.map_or(Ok(()), Err))?;
                })
            }

            fn fetch_optional<'e, 'q: 'e, E>(
                self,
                query: E,
            ) -> futures_core::future::BoxFuture<
                'e,
                sqlx::Result<Option<<$database as sqlx::Database>::Row>>,
            >
            where
                'c: 'e,
                E: 'q + sqlx::Execute<'q, $database>,
            {
                let query = $crate::manager::sql::Inspected::<$database>::new(query);
                Box::pin(async move {
                    let mut tracked =
                        $crate::manager::sql::Tracked::begin(self, query.leaves_no_trace());
                    let row = sqlx::Executor::fetch_optional(tracked.connection(), query).await;
                    tracked.end(row)
                })
            }

            fn prepare_with<'e>(
                self,
                sql: sqlx::SqlStr,
                parameters: &'e [<$database as sqlx::Database>::TypeInfo],
            ) -> futures_core::future::BoxFuture<
                'e,
                sqlx::Result<<$database as sqlx::Database>::Statement>,
            >
            where
                'c: 'e,
            {
                Box::pin(async move {
                    let mut tracked = $crate::manager::sql::Tracked::begin(self, true);
                    let connection = tracked.connection();
                    let statement = sqlx::Executor::prepare_with(connection, sql, parameters).await;
                    tracked.end(statement)
                })
            }

            fn describe<'e>(
                self,
                sql: sqlx::SqlStr,
            ) -> futures_core::future::BoxFuture<'e, sqlx::Result<sqlx::Describe<$database>>>
            where
                'c: 'e,
            {
                Box::pin(async move {
                    let mut tracked = $crate::manager::sql::Tracked::begin(self, true);
                    let described = sqlx::Executor::describe(tracked.connection(), sql).await;
                    tracked.end(described)
                })
            }
        }

        impl<'p> sqlx::Executor<'p> for &'p $crate::Pool<$manager> {
            type Database = $database;

            fn fetch_many<'e, 'q: 'e, E>(
                self,
                query: E,
            ) -> futures_core::stream::BoxStream<
                'e,
                sqlx::Result<
                    sqlx::Either<
                        <$database as sqlx::Database>::QueryResult,
                        <$database as sqlx::Database>::Row,
                    >,
                >,
            >
            where
                'p: 'e,
                E: 'q + sqlx::Execute<'q, $database>,
            {
                use futures_util::StreamExt as _;
                let query = $crate::manager::sql::Inspected::<$database>::new(query);
                Box::pin(async_stream::try_stream! {
                    let mut guard = self.acquire().await.map_err(sqlx::Error::from)?;
                    let mut steps = sqlx::Executor::fetch_many(&mut guard, query);
                    while let Some(step) = steps.next().await {
                        yield step?;
                    }
                })
            }

            fn fetch_optional<'e, 'q: 'e, E>(
                self,
                query: E,
            ) -> futures_core::future::BoxFuture<
                'e,
                sqlx::Result<Option<<$database as sqlx::Database>::Row>>,
            >
            where
                'p: 'e,
                E: 'q + sqlx::Execute<'q, $database>,
            {
                let query = $crate::manager::sql::Inspected::<$database>::new(query);
                Box::pin(async move {
                    let mut guard = self.acquire().await.map_err(sqlx::Error::from)?;
                    sqlx::Executor::fetch_optional(&mut guard, query).await
                })
            }

            fn prepare_with<'e>(
                self,
                sql: sqlx::SqlStr,
                parameters: &'e [<$database as sqlx::Database>::TypeInfo],
            ) -> futures_core::future::BoxFuture<
                'e,
                sqlx::Result<<$database as sqlx::Database>::Statement>,
            >
            where
                'p: 'e,
            {
                Box::pin(async move {
                    let mut guard = self.acquire().await.map_err(sqlx::Error::from)?;
                    sqlx::Executor::prepare_with(&mut guard, sql, parameters).await
                })
            }

            fn describe<'e>(
                self,
                sql: sqlx::SqlStr,
            ) -> futures_core::future::BoxFuture<'e, sqlx::Result<sqlx::Describe<$database>>>
            where
                'p: 'e,
            {
                Box::pin(async move {
                    let mut guard = self.acquire().await.map_err(sqlx::Error::from)?;
                    sqlx::Executor::describe(&mut guard, sql).await
                })
            }
        }
    };
}
pub(crate) use impl_executor;

#[cfg(test)]
mod tests {
    use super::leaves_no_trace;

    #[test]
    fn single_data_statements_leave_no_trace() {
        for sql in [
            "SELECT 1",
            "  select 1;  ",
            "WITH a AS (VALUES (1)) SELECT * FROM a",
        ] {
            assert!(leaves_no_trace(sql), "{sql}");
        }
    }

    #[test]
    fn everything_else_may_leave_something() {
        for sql in [
            "BEGIN",
            "SET x = 1",
            "SELECT 1; BEGIN",
            "/* hint */ SELECT 1",
            "SELECTED",
            "",
            "(1)",
        ] {
            assert!(!leaves_no_trace(sql), "{sql}");
        }
    }
}
