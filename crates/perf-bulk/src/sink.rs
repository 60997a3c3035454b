//! Where work goes that failed for good.
//!
//! A batch that drops what it cannot write loses data; one that stops at it loses time. A dead letter is
//! the third way: the item, why it failed, how often it was tried and when, kept until somebody has
//! looked. [`replay`] hands letters back to the work that failed and discards those that succeed.
//!
//! A sink supplies three primitives, keep, read and discard. A letter is discarded only after it was dealt
//! with, so a crash between the two hands it out once more and never loses it.

mod letter;
mod memory;
mod ndjson;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
mod replay;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod row;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod stored;

use crate::error::BulkError;
use async_trait::async_trait;
use std::fmt;

pub(crate) use letter::describe;
pub use letter::{DeadLetter, KeptLetter, LetterId};
pub use memory::MemoryDeadLetters;
pub use ndjson::NdjsonDeadLetters;
#[cfg(feature = "postgres")]
pub use postgres::PostgresDeadLetters;
#[cfg(feature = "redis")]
pub use redis::RedisDeadLetters;
pub use replay::{Replayed, replay};
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
pub use row::keep_failed_rows;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteDeadLetters;

/// Keeps dead letters in the order of their arrival.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_bulk::{DeadLetter, DeadLetterSink, MemoryDeadLetters};
/// use std::time::SystemTime;
///
/// let sink = MemoryDeadLetters::new();
/// let letter = DeadLetter::new("mail", &"to@example.org", "no such mailbox", 3, SystemTime::UNIX_EPOCH)?;
/// sink.keep(&[letter]).await?;
///
/// let kept = sink.read(None, 10).await?;
/// assert_eq!(kept[0].letter.error, "no such mailbox");
/// sink.discard(&[kept[0].id]).await?;
/// assert!(sink.read(None, 10).await?.is_empty());
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait DeadLetterSink: fmt::Debug + Send + Sync + 'static {
    /// Keeps `letters`. When this has returned, they survive whatever the sink promises to survive.
    ///
    /// # Errors
    ///
    /// When the sink cannot be written; some of the letters may be kept then.
    ///
    /// # Cancel safety
    ///
    /// Dropped midway, the letters are kept wholly, in part or not at all.
    async fn keep(&self, letters: &[DeadLetter]) -> Result<(), BulkError>;

    /// The oldest letters after `after`, or of all, at most `limit`.
    ///
    /// # Errors
    ///
    /// When the sink cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Reading changes nothing.
    async fn read(
        &self,
        after: Option<LetterId>,
        limit: usize,
    ) -> Result<Vec<KeptLetter>, BulkError>;

    /// Forgets letters; ids that are not there are ignored.
    ///
    /// # Errors
    ///
    /// When the sink cannot be written; some of the letters may be gone then.
    ///
    /// # Cancel safety
    ///
    /// As [`keep`](Self::keep).
    async fn discard(&self, ids: &[LetterId]) -> Result<(), BulkError>;
}
