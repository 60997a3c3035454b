//! Transactions that survive being dropped at any moment.
//!
//! sqlx queues what must be said without waiting, and answers are counted, so that the next statement
//! skips them. Four moments need more than its own transactions give:
//!
//! - **BEGIN, not yet answered.** sqlx thinks that nothing has begun and rolls nothing back, so later
//!   statements would run in a transaction that nobody commits. A ROLLBACK is queued behind it.
//! - **SAVEPOINT, not yet answered.** sqlx rolls back one level too many: the caller's transaction. Its
//!   future is leaked instead; a savepoint too many harms nobody.
//! - **RELEASE, not yet answered.** The savepoint may be gone, and a rollback to it would be an error that
//!   dooms the caller's transaction. So nothing is released: a second savepoint of the same name is set, and
//!   rolling back leads to whichever of the two is the last.
//! - **Rows.** Whether the server is in the middle of a COPY is unknown, and with that the number of
//!   answers to skip; and a statement that fails after all gives its error to whatever comes next. The
//!   connection is told to end itself. A caller's transaction cannot be ended like that without its COMMIT
//!   seeming to succeed, so inside one there is no COPY, and a late error stays possible.

use super::failure::{database_error, writing};
use crate::backend::{Scope, driver_error};
use crate::error::BulkError;
use sqlx::postgres::PgSeverity;
use sqlx::{AssertSqlSafe, Database, Executor, PgConnection, Postgres, SqlSafeStr};
use sqlx_core::transaction::TransactionManager;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

type Depth = <Postgres as Database>::TransactionManager;

const END_CONNECTION: &str = "SELECT pg_terminate_backend(pg_backend_pid())";

pub(super) async fn begin(connection: &mut PgConnection) -> Result<Scope<'_, Postgres>, BulkError> {
    if Depth::get_transaction_depth(connection) == 0 {
        // The scope is there first, so that it can be dropped before the answer has come.
        let mut scope = Scope::begun(connection);
        Depth::begin(&mut scope, None).await.map_err(driver_error)?;
        return Ok(scope);
    }
    let savepoint = Depth::begin(connection, None);
    Leaked(Some(Box::pin(savepoint)))
        .await
        .map_err(driver_error)?;
    Ok(Scope::begun(connection))
}

pub(super) async fn commit(mut scope: Scope<'_, Postgres>) -> Result<(), BulkError> {
    let depth = Depth::get_transaction_depth(&scope);
    if depth > 1 {
        let savepoint = format!("SAVEPOINT _sqlx_savepoint_{}", depth - 1);
        let outcome = scope.execute(AssertSqlSafe(savepoint)).await;
        // Dropping the scope rolls back to this second savepoint, which undoes nothing.
        return outcome.map(drop).map_err(driver_error);
    }
    Depth::commit(&mut scope).await.map_err(commit_error)?;
    scope.close();
    Ok(())
}

pub(super) fn depth(connection: &PgConnection) -> usize {
    Depth::get_transaction_depth(connection)
}

/// Whether the transaction is the caller's own, and ours a savepoint in it.
pub(super) fn is_nested(connection: &PgConnection) -> bool {
    depth(connection) > 1
}

pub(super) fn abandon(connection: &mut PgConnection, writing: bool) {
    if Depth::get_transaction_depth(connection) == 0 {
        queue(connection, "ROLLBACK");
    } else if writing {
        // In the middle of a COPY, the first statement ends that and is not carried out. The last is one
        // too many, so that no number of answers ever makes the connection look ready.
        Depth::start_rollback(connection);
        for statement in ["ROLLBACK", END_CONNECTION, END_CONNECTION] {
            queue(connection, statement);
        }
    } else {
        Depth::start_rollback(connection);
    }
}

/// Queues a statement outside a transaction, by a BEGIN of that text whose answer nobody waits for.
fn queue(connection: &mut PgConnection, statement: &'static str) {
    let begin = pin!(Depth::begin(connection, Some(statement.into_sql_str())));
    let _unanswered = begin.poll(&mut Context::from_waker(Waker::noop()));
}

/// An error that the server reports is an answer: nothing was committed. Anything else leaves it open.
fn commit_error(error: sqlx::Error) -> BulkError {
    let answered =
        database_error(&error).is_some_and(|error| matches!(error.severity(), PgSeverity::Error));
    if answered {
        // A deferred constraint names no row.
        writing(error, 0, 0).error
    } else {
        BulkError::CommitUnknown {
            source: error.into(),
        }
    }
}

/// A future that is leaked, not dropped, unless it has ended.
struct Leaked<F>(Option<Pin<Box<F>>>);

impl<F: Future> Future for Leaked<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Some(future) = &mut self.0 else {
            return Poll::Pending;
        };
        let outcome = future.as_mut().poll(context);
        if outcome.is_ready() {
            self.0 = None;
        }
        outcome
    }
}

impl<F> Drop for Leaked<F> {
    fn drop(&mut self) {
        std::mem::forget(self.0.take());
    }
}
