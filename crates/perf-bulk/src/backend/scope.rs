//! A transaction, or a savepoint in the one that is open.

use super::Backend;
use std::fmt;
use std::ops::{Deref, DerefMut};

/// Rolls back on drop what was not committed.
///
/// sqlx's own [`Transaction`](sqlx::Transaction) counts as begun before its BEGIN is. Dropped in
/// between, inside a caller's transaction, it rolls back that one, whose COMMIT then succeeds without
/// its rows. So this one exists only once its BEGIN has been acknowledged, and each backend sees to a
/// BEGIN that is cancelled.
pub struct Scope<'c, B: Backend> {
    pub(crate) connection: &'c mut B::Connection,
    pub(crate) session: B::Session,
    open: bool,
}

impl<'c, B: Backend> Scope<'c, B> {
    /// What has begun on `connection`.
    pub(crate) fn begun(connection: &'c mut B::Connection) -> Self {
        Self {
            connection,
            session: B::Session::default(),
            open: true,
        }
    }

    /// Notes that there is nothing left to roll back.
    pub(crate) const fn close(&mut self) {
        self.open = false;
    }
}

impl<B: Backend> Deref for Scope<'_, B> {
    type Target = B::Connection;

    fn deref(&self) -> &B::Connection {
        self.connection
    }
}

impl<B: Backend> DerefMut for Scope<'_, B> {
    fn deref_mut(&mut self) -> &mut B::Connection {
        self.connection
    }
}

impl<B: Backend> Drop for Scope<'_, B> {
    fn drop(&mut self) {
        if self.open {
            B::abandon(self.connection, &self.session);
        }
    }
}

impl<B: Backend> fmt::Debug for Scope<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}
