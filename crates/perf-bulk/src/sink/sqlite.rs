use super::stored::{Row, letter, row_id, select};
use super::{DeadLetter, DeadLetterSink, KeptLetter, LetterId};
use crate::backend::driver_error;
use crate::error::BulkError;
use crate::table::quoted;
use async_trait::async_trait;
use perf_core::Dialect;
use sqlx::{AssertSqlSafe, SqlitePool};

/// Dead letters in a table of SQLite.
#[derive(Clone, Debug)]
pub struct SqliteDeadLetters {
    pool: SqlitePool,
    table: String,
}

impl SqliteDeadLetters {
    /// The sink in `table`, which is created unless it exists.
    ///
    /// # Errors
    ///
    /// [`BulkError::Database`] when it cannot be created.
    ///
    /// # Cancel safety
    ///
    /// Dropped midway, the table may exist.
    pub async fn create(pool: SqlitePool, table: &str) -> Result<Self, BulkError> {
        let table = quoted(Dialect::Sqlite, table);
        let sql = format!(
            "CREATE TABLE IF NOT EXISTS {table} (id INTEGER PRIMARY KEY AUTOINCREMENT, \
               source TEXT NOT NULL, payload TEXT NOT NULL, error TEXT NOT NULL, \
               attempts INTEGER NOT NULL, failed_at INTEGER NOT NULL)"
        );
        let created = sqlx::query(AssertSqlSafe(sql)).execute(&pool).await;
        created.map_err(driver_error)?;
        Ok(Self { pool, table })
    }
}

#[async_trait]
impl DeadLetterSink for SqliteDeadLetters {
    async fn keep(&self, letters: &[DeadLetter]) -> Result<(), BulkError> {
        let sql = format!(
            "INSERT INTO {} (source, payload, error, attempts, failed_at) \
             SELECT value ->> '$.source', value -> '$.payload', value ->> '$.error', \
               value ->> '$.attempts', value ->> '$.failed_at' FROM json_each(?) ORDER BY key",
            self.table
        );
        let letters = serde_json::to_string(letters).map_err(BulkError::dead_letters)?;
        let query = sqlx::query(AssertSqlSafe(sql)).bind(letters);
        query.execute(&self.pool).await.map_err(driver_error)?;
        Ok(())
    }

    async fn read(
        &self,
        after: Option<LetterId>,
        limit: usize,
    ) -> Result<Vec<KeptLetter>, BulkError> {
        let query = sqlx::query_as(AssertSqlSafe(select(&self.table)))
            .bind(after.map_or(0, row_id))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows: Vec<Row> = query.fetch_all(&self.pool).await.map_err(driver_error)?;
        rows.into_iter().map(letter).collect()
    }

    async fn discard(&self, ids: &[LetterId]) -> Result<(), BulkError> {
        let sql = format!(
            "DELETE FROM {} WHERE id IN (SELECT value FROM json_each(?))",
            self.table
        );
        let ids: Vec<_> = ids.iter().copied().map(row_id).collect();
        let ids = serde_json::to_string(&ids).map_err(BulkError::dead_letters)?;
        let query = sqlx::query(AssertSqlSafe(sql)).bind(ids);
        query.execute(&self.pool).await.map_err(driver_error)?;
        Ok(())
    }
}
