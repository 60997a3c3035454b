#![doc = include_str!("../README.md")]

mod error;
mod loader;

#[cfg(feature = "sql")]
mod backend;
#[cfg(feature = "sql")]
mod chunk;
#[cfg(feature = "sql")]
mod insert;
#[cfg(feature = "sql")]
mod policy;
#[cfg(feature = "sql")]
mod progress;
#[cfg(feature = "sql")]
mod report;
#[cfg(feature = "sql")]
mod row;
#[cfg(feature = "sql")]
mod upsert;

#[cfg(feature = "sql")]
pub use backend::Backend;
#[cfg(feature = "postgres")]
pub use backend::postgres::PgCells;
#[cfg(feature = "sqlite")]
pub use backend::sqlite::{SqliteCells, SqliteValue};
pub use error::{BoxError, BulkError, ConstraintKind, LoadError};
#[cfg(feature = "sql")]
pub use insert::BulkInsert;
pub use loader::{BatchLoader, BatchLoaderBuilder, Load, Loaded, Loader, RequestCache};
#[cfg(feature = "macros")]
pub use perf_macros::BulkRow;
#[cfg(feature = "sql")]
pub use policy::{Atomicity, DuplicateKeys};
#[cfg(feature = "sql")]
pub use progress::Progress;
#[cfg(feature = "sql")]
pub use report::{BulkReport, FailedRow, UpsertReport, Upserted};
#[cfg(feature = "sql")]
pub use row::{BulkRow, BulkValue};
#[cfg(feature = "sql")]
pub use upsert::BulkUpsert;

/// What the macros' output and the sealed parts of public traits name. No part of the API.
#[cfg(feature = "sql")]
#[doc(hidden)]
pub mod __private {
    #[cfg(feature = "postgres")]
    pub use crate::backend::postgres::Session as PgSession;
    pub use crate::backend::{Backend, Conflict, Rejection, Scope, Target};
    pub use crate::error::BoxError;
    pub use crate::progress::Meter;
    pub use crate::row::{BulkRow, BulkValue};
}
