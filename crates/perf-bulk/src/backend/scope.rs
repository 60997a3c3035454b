//! A transaction, or a savepoint in the one that is open.

use sqlx::{Database, Error};
use sqlx_core::sql_str::SqlStr;
use sqlx_core::transaction::TransactionManager;
use std::fmt;
use std::ops::{Deref, DerefMut};

/// Rolls back on drop what was not committed.
///
/// sqlx's own [`Transaction`](sqlx::Transaction) counts as begun before its BEGIN is. Dropped in
/// between on SQLite, it rolls back what it never opened: nothing at the outermost level, but one level
/// further in the caller's transaction, whose COMMIT then succeeds without its rows. So this one exists
/// only once its BEGIN has been acknowledged; a cancelled BEGIN is undone by the driver.
pub struct Scope<'c, B: Database> {
    connection: &'c mut B::Connection,
    open: bool,
}

impl<'c, B: Database> Scope<'c, B> {
    /// Begins with `statement`, or with the driver's own.
    pub(crate) async fn begin(
        connection: &'c mut B::Connection,
        statement: Option<SqlStr>,
    ) -> Result<Self, Error> {
        B::TransactionManager::begin(connection, statement).await?;
        Ok(Self {
            connection,
            open: true,
        })
    }

    pub(crate) async fn commit(mut self) -> Result<(), Error> {
        B::TransactionManager::commit(self.connection).await?;
        self.open = false;
        Ok(())
    }
}

impl<B: Database> Deref for Scope<'_, B> {
    type Target = B::Connection;

    fn deref(&self) -> &B::Connection {
        self.connection
    }
}

impl<B: Database> DerefMut for Scope<'_, B> {
    fn deref_mut(&mut self) -> &mut B::Connection {
        self.connection
    }
}

impl<B: Database> Drop for Scope<'_, B> {
    fn drop(&mut self) {
        if self.open {
            B::TransactionManager::start_rollback(self.connection);
        }
    }
}

impl<B: Database> fmt::Debug for Scope<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}
