//! Transactions that survive being dropped.
//!
//! sqlx counts the answers it still waits for, so that a statement dropped midway is skipped by the next
//! one. Three moments need more:
//!
//! - **BEGIN, not yet answered.** sqlx thinks that nothing has begun and rolls nothing back. A ROLLBACK is
//!   sent after it if its answer is there by then. If it is not, nothing can be sent, and the connection stays in the
//!   transaction. Left in one that writes, it would swallow what it is told next. So the first BEGIN opens one that
//!   only reads, and reads what is committed: every write is refused by name until some BEGIN, COMMIT or ROLLBACK ends
//!   it. Once it is answered, sqlx rolls back what follows, and the first question to the server begins the
//!   transaction that writes.
//! - **RELEASE, not yet answered.** The savepoint may be gone, and a rollback to it would be an error. So
//!   nothing is released: a second savepoint of the same name takes the first one's place.
//! - **PREPARE, not yet answered.** Its answer is not among those that are counted. The server is told to end
//!   the connection.

use super::failure::{database_error, database_failure, writing};
use crate::backend::Scope;
use crate::error::BulkError;
use sqlx::{AssertSqlSafe, Database, Executor, MySql, MySqlConnection, SqlSafeStr};
use sqlx_core::transaction::TransactionManager;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

type Depth = <MySql as Database>::TransactionManager;

const END_CONNECTION: &str = "KILL CONNECTION_ID()";

/// Begins the transaction that only reads. A session that is left in one cannot be told how the next one is to
/// be; the COMMIT is what every BEGIN implies.
const BEGIN_READING: &str =
    "COMMIT; SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY; START TRANSACTION";
/// Begins the one that writes in its place.
pub(super) const BEGIN_WRITING: &str = "START TRANSACTION; ";

pub(super) async fn begin(connection: &mut MySqlConnection) -> Result<Scope<'_, MySql>, BulkError> {
    if Depth::get_transaction_depth(connection) == 0 {
        // The scope is there first, so that it can be dropped before the answer has come.
        let mut scope = Scope::begun(connection);
        Depth::begin(&mut scope, Some(BEGIN_READING.into_sql_str()))
            .await
            .map_err(database_failure)?;
        return Ok(scope);
    }
    Depth::begin(connection, None)
        .await
        .map_err(database_failure)?;
    let mut scope = Scope::<MySql>::begun(connection);
    scope.session.writes = true;
    Ok(scope)
}

pub(super) async fn commit(mut scope: Scope<'_, MySql>) -> Result<(), BulkError> {
    let depth = Depth::get_transaction_depth(&scope);
    if depth > 1 {
        let savepoint = format!("SAVEPOINT _sqlx_savepoint_{}", depth - 1);
        let outcome = scope.execute(AssertSqlSafe(savepoint)).await;
        // Dropping the scope rolls back to this second savepoint, which undoes nothing.
        return outcome.map(drop).map_err(database_failure);
    }
    Depth::commit(&mut scope).await.map_err(commit_error)?;
    scope.close();
    Ok(())
}

pub(super) fn depth(connection: &MySqlConnection) -> usize {
    Depth::get_transaction_depth(connection)
}

/// Whether the transaction is the caller's own, and ours a savepoint in it.
pub(super) fn is_nested(connection: &MySqlConnection) -> bool {
    depth(connection) > 1
}

/// Puts empty savepoints in the place of those that went with a transaction that the server ended: the
/// driver does not learn of that and rolls back to them, which would be an error of whatever comes next.
pub(super) async fn restore(scope: &mut Scope<'_, MySql>) {
    let savepoints = (1..depth(scope)).map(|depth| format!("SAVEPOINT _sqlx_savepoint_{depth}"));
    let statements = std::iter::once("BEGIN".to_owned()).chain(savepoints);
    for statement in statements {
        // Should it fail, the transaction is lost all the same, and that is what is reported.
        let _outcome = scope.execute(AssertSqlSafe(statement)).await;
    }
}

pub(super) fn abandon(connection: &mut MySqlConnection, preparing: bool) {
    if preparing {
        send(connection, END_CONNECTION);
    }
    if Depth::get_transaction_depth(connection) == 0 {
        send(connection, "ROLLBACK");
    } else {
        Depth::start_rollback(connection);
    }
}

/// Sends a statement whose answer nobody waits for, if the connection is ready for one.
fn send(connection: &mut MySqlConnection, statement: &'static str) {
    let execution = pin!(connection.execute(statement));
    let _unanswered = execution.poll(&mut Context::from_waker(Waker::noop()));
}

/// An error that the server reports is an answer: nothing was committed. Anything else leaves it open.
fn commit_error(error: sqlx::Error) -> BulkError {
    if database_error(&error).is_some() {
        writing(error, 0).error
    } else {
        BulkError::CommitUnknown {
            source: error.into(),
        }
    }
}
