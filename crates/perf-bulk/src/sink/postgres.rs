use super::stored::{Row, letter, row_id, select};
use super::{DeadLetter, DeadLetterSink, KeptLetter, LetterId};
use crate::backend::driver_error;
use crate::error::BulkError;
use crate::table::quoted;
use crate::wall::to_micros;
use async_trait::async_trait;
use perf_core::Dialect;
use sqlx::{AssertSqlSafe, PgPool};

/// Dead letters in a table of Postgres.
#[derive(Clone, Debug)]
pub struct PostgresDeadLetters {
    pool: PgPool,
    table: String,
}

impl PostgresDeadLetters {
    /// The sink in `table`, which is created unless it exists; a dot in the name divides the schema from
    /// the table.
    ///
    /// # Errors
    ///
    /// [`BulkError::Database`] when it cannot be created.
    ///
    /// # Cancel safety
    ///
    /// Dropped midway, the table may exist.
    pub async fn create(pool: PgPool, table: &str) -> Result<Self, BulkError> {
        let table = quoted(Dialect::Postgres, table);
        let sql = format!(
            "CREATE TABLE IF NOT EXISTS {table} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
               source text NOT NULL, payload text NOT NULL, error text NOT NULL, \
               attempts bigint NOT NULL, failed_at bigint NOT NULL)"
        );
        let created = sqlx::query(AssertSqlSafe(sql)).execute(&pool).await;
        created.map_err(driver_error)?;
        Ok(Self { pool, table })
    }
}

#[async_trait]
impl DeadLetterSink for PostgresDeadLetters {
    async fn keep(&self, letters: &[DeadLetter]) -> Result<(), BulkError> {
        let sql = format!(
            "INSERT INTO {} (source, payload, error, attempts, failed_at) \
             SELECT source, payload, error, attempts, failed_at \
             FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[]) \
               WITH ORDINALITY AS letter (source, payload, error, attempts, failed_at, place) \
             ORDER BY place",
            self.table
        );
        let column =
            |value: fn(&DeadLetter) -> String| letters.iter().map(value).collect::<Vec<_>>();
        let number = |value: fn(&DeadLetter) -> i64| letters.iter().map(value).collect::<Vec<_>>();
        let query = sqlx::query(AssertSqlSafe(sql))
            .bind(column(|letter| without_nul(&letter.source)))
            .bind(column(|letter| letter.payload.to_string()))
            .bind(column(|letter| without_nul(&letter.error)))
            .bind(number(|letter| i64::from(letter.attempts)))
            .bind(number(|letter| to_micros(letter.failed_at)));
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
        let sql = format!("DELETE FROM {} WHERE id = ANY($1)", self.table);
        let ids: Vec<_> = ids.iter().copied().map(row_id).collect();
        let query = sqlx::query(AssertSqlSafe(sql)).bind(ids);
        query.execute(&self.pool).await.map_err(driver_error)?;
        Ok(())
    }
}

/// The one character that Postgres has no place for.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
