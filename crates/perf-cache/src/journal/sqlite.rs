use super::{Journal, Position};
use crate::store::StoreError;
use async_trait::async_trait;
use perf_core::Transience;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Row, SqlitePool};
use std::path::Path;
use std::time::Duration;

/// A journal in a file of SQLite: a record that was acknowledged survives the process and the machine.
///
/// Records that come while others are being written are written together, so the wait for the disk is
/// shared.
#[derive(Clone, Debug)]
pub struct SqliteJournal {
    pool: SqlitePool,
}

const BUSY: Duration = Duration::from_secs(5);
const CREATE: &str = "CREATE TABLE IF NOT EXISTS perf_cache_journal \
    (position INTEGER PRIMARY KEY AUTOINCREMENT, record BLOB NOT NULL)";
const APPEND: &str = "INSERT INTO perf_cache_journal (record) VALUES (?)";
const FORGET: &str = "DELETE FROM perf_cache_journal WHERE position = ?";
const READ: &str =
    "SELECT position, record FROM perf_cache_journal WHERE position > ? ORDER BY position LIMIT ?";

impl SqliteJournal {
    /// The journal in this file, which is created unless it exists.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened.
    ///
    /// # Cancel safety
    ///
    /// The file may or may not have been created.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY);
        // One writes at a time, and reads are for the start alone.
        let pool = SqlitePoolOptions::new().max_connections(1);
        let pool = pool.connect_with(options).await.map_err(judge)?;
        sqlx::query(CREATE).execute(&pool).await.map_err(judge)?;
        Ok(Self { pool })
    }
}

#[async_trait]
impl Journal for SqliteJournal {
    async fn append(&self, records: &[Vec<u8>]) -> Result<Vec<Position>, StoreError> {
        let mut transaction = self.pool.begin().await.map_err(judge)?;
        let mut positions = Vec::with_capacity(records.len());
        for record in records {
            let appended = sqlx::query(APPEND).bind(&record[..]);
            let appended = appended.execute(&mut *transaction).await.map_err(judge)?;
            let position = u64::try_from(appended.last_insert_rowid()).unwrap_or(0);
            positions.push(Position(position, 0));
        }
        transaction.commit().await.map_err(judge)?;
        Ok(positions)
    }

    async fn forget(&self, positions: &[Position]) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await.map_err(judge)?;
        for position in positions {
            let forgotten = sqlx::query(FORGET).bind(row_of(*position));
            forgotten.execute(&mut *transaction).await.map_err(judge)?;
        }
        transaction.commit().await.map_err(judge)
    }

    async fn read(
        &self,
        after: Position,
        limit: usize,
    ) -> Result<Vec<(Position, Vec<u8>)>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = sqlx::query(READ).bind(row_of(after)).bind(limit);
        let rows = rows.fetch_all(&self.pool).await.map_err(judge)?;
        let records = rows.iter().map(|row| {
            let position: i64 = row.try_get(0).map_err(judge)?;
            let position = Position(u64::try_from(position).unwrap_or(0), 0);
            Ok((position, row.try_get(1).map_err(judge)?))
        });
        records.collect()
    }
}

fn row_of(position: Position) -> i64 {
    i64::try_from(position.0).unwrap_or(i64::MAX)
}

fn judge(error: sqlx::Error) -> StoreError {
    let transience = match &error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => Transience::Transient,
        _ => Transience::Permanent,
    };
    StoreError::new(error, transience)
}
