//! Where write-behind keeps what it has acknowledged and not yet written.
//!
//! A journal is a list of records that outlives the process: a table of SQLite, or a stream of Redis. Each
//! process has one of its own; whoever opens it next finds what the last one left.

#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "redis")]
pub use self::redis::RedisJournal;
#[cfg(feature = "sqlite")]
pub use self::sqlite::SqliteJournal;
use crate::store::StoreError;
use async_trait::async_trait;
use std::fmt;

/// Where a record stands in its journal; a later one compares greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(
    /// The journal's own number.
    pub u64,
    /// A second one, for journals that need it.
    pub u64,
);

/// A list of records that outlives the process.
#[async_trait]
pub trait Journal: fmt::Debug + Send + Sync + 'static {
    /// Appends the records, all or none, and returns when they are durable; each with its position.
    ///
    /// # Errors
    ///
    /// When the journal cannot be written. Whether it was is then unknown.
    ///
    /// # Cancel safety
    ///
    /// Whether they were appended is unknown.
    async fn append(&self, records: &[Vec<u8>]) -> Result<Vec<Position>, StoreError>;

    /// Drops these records.
    ///
    /// # Errors
    ///
    /// When the journal cannot be written. Some may be gone.
    ///
    /// # Cancel safety
    ///
    /// Some may be gone.
    async fn forget(&self, positions: &[Position]) -> Result<(), StoreError>;

    /// At most `limit` records after a position, in order.
    ///
    /// # Errors
    ///
    /// When the journal cannot be read.
    ///
    /// # Cancel safety
    ///
    /// It changes nothing.
    async fn read(
        &self,
        after: Position,
        limit: usize,
    ) -> Result<Vec<(Position, Vec<u8>)>, StoreError>;
}
