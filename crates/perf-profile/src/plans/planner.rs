#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod failure;
#[cfg(feature = "mysql")]
pub(super) mod mysql;
#[cfg(feature = "postgres")]
pub(super) mod postgres;
#[cfg(feature = "sqlite")]
pub(super) mod sqlite;

use super::{Index, Plan};
use crate::ProfileError;
use async_trait::async_trait;
use perf_core::Dialect;

/// A database that can be asked what it would do.
#[async_trait]
pub trait Planner: Send + Sync {
    /// Whose SQL it speaks.
    fn dialect(&self) -> Dialect;

    /// The columns of `table`, in any order; none when there is no such table.
    ///
    /// # Errors
    ///
    /// [`ProfileError::PlannerFailed`].
    ///
    /// # Cancel safety
    ///
    /// Reading changes nothing.
    async fn columns(&self, table: &str) -> Result<Vec<String>, ProfileError>;

    /// What it would do with `sql` if `indexes` existed. Its plan calls the first of them `perf_advice_0`,
    /// and so on.
    ///
    /// It must not run the statement, and must leave no index behind.
    ///
    /// # Errors
    ///
    /// [`ProfileError::PlannerFailed`] when the database refuses, and [`ProfileError::UnreadablePlan`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is left behind.
    async fn explain(&self, sql: &str, indexes: &[Index]) -> Result<Plan, ProfileError>;
}

/// What plans call the index of that position among those that are asked about.
pub(super) fn advice_name(position: usize) -> String {
    format!("perf_advice_{position}")
}
