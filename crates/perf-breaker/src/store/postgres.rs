use super::sql::{Table, all, answering_store, before, judge, list, ticks};
use super::{Charge, RateLimitStore, Verdict};
use crate::error::StoreError;
use async_trait::async_trait;
use perf_core::{Dialect, Transience};
use sqlx::postgres::{PgArguments, PgPool, PgPoolOptions, PgRow, Postgres};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Row};

/// A store on Postgres, one statement a request.
///
/// Rows stay until [`sweep`](Self::sweep) removes them.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    pool: PgPool,
    table: Table,
}

/// The server's clock in ticks, read when it is reached and not when the statement began.
const NOW: &str = "floor(extract(epoch FROM clock_timestamp()) * 7812500)::bigint";

impl PostgresStore {
    /// A store in the table `perf_rate_limits` of the database at `url`, connected when it is first asked,
    /// over at most eight connections.
    ///
    /// # Errors
    ///
    /// When the URL is malformed.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, on which the connections live.
    pub fn new(url: &str) -> Result<Self, StoreError> {
        // A broken connection shows at the statement, which is safe to refuse; a ping would double the trips.
        let options = PgPoolOptions::new()
            .max_connections(8)
            .test_before_acquire(false);
        let pool = options.connect_lazy(url).map_err(judge_code)?;
        Ok(Self::from_pool(pool, "perf_rate_limits"))
    }

    /// A store in the table `table` over connections of one's own.
    #[must_use]
    pub fn from_pool(pool: PgPool, table: &str) -> Self {
        Self {
            pool,
            table: Table::new(Dialect::Postgres, table),
        }
    }

    /// Creates the table unless it is there.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// The table may have been created.
    pub async fn create_table(&self) -> Result<(), StoreError> {
        let sql = self.table.definition("BYTEA", "");
        let created = sqlx::query(AssertSqlSafe(sql)).execute(&self.pool).await;
        created.map(drop).map_err(judge_code)
    }

    /// Removes keys whose calls have all come back, and says how many they were.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// They may have been removed.
    pub async fn sweep(&self) -> Result<u64, StoreError> {
        let sql = self.table.sweep(&format!("(SELECT {NOW})"));
        let swept = sqlx::query(AssertSqlSafe(sql)).execute(&self.pool).await;
        Ok(swept.map_err(judge_code)?.rows_affected())
    }

    /// The statement reads the server's clock itself.
    fn timed(&self, sql: String, key: &[u8]) -> Query<'static, Postgres, PgArguments> {
        query(sql, key)
    }

    fn acquire_sql(&self, limits: usize) -> String {
        let table = self.table.name();
        let (price, capacity) = (|limit| 2 * limit + 2, |limit| 2 * limit + 3);
        let columns = list(limits, |limit| format!("a{limit}"));
        let fresh = list(limits, |limit| format!("now + ${}", price(limit)));
        let levels = list(limits, |limit| {
            let most = capacity(limit);
            format!("LEAST(GREATEST(r.a{limit}, now), now + ${most}) AS b{limit}")
        });
        let fits = all(limits, |limit| {
            format!("b{limit} + ${} - now <= ${}", price(limit), capacity(limit))
        });
        let moved = list(limits, |limit| {
            format!(
                "b{limit} + CASE WHEN fits THEN ${} ELSE 0 END",
                price(limit)
            )
        });
        let ahead = list(limits, |limit| format!("a{limit} - seen"));
        // OFFSET 0 keeps the clock from being read once for each mention.
        format!(
            "INSERT INTO {table} AS r (id, seen, allowed, {columns}) \
             SELECT $1, now, 1, {fresh} FROM (SELECT {NOW} AS now OFFSET 0) AS clock WHERE true \
             ON CONFLICT (id) DO UPDATE SET (seen, allowed, {columns}) = (\
             SELECT now, CASE WHEN fits THEN 1 ELSE 0 END, {moved} FROM (\
             SELECT *, {fits} AS fits FROM (\
             SELECT now, {levels} FROM (SELECT {NOW} AS now OFFSET 0) AS clock) AS levels) AS judged) \
             RETURNING allowed, {ahead}"
        )
    }

    fn peek_sql(&self, limits: usize) -> String {
        let ahead = list(limits, |limit| {
            format!("LEAST(GREATEST(a{limit} - now, 0), ${})", limit + 2)
        });
        let table = self.table.name();
        format!(
            "SELECT {ahead} FROM {table}, (SELECT {NOW} AS now OFFSET 0) AS clock WHERE id = $1"
        )
    }

    fn refund_sql(&self, limits: usize) -> String {
        let table = self.table.name();
        let back = list(limits, |limit| {
            format!("a{limit} = a{limit} - ${}", limit + 2)
        });
        format!("UPDATE {table} SET {back} WHERE id = $1")
    }
}

answering_store!(PostgresStore, PgRow, i16);

fn query(sql: String, key: &[u8]) -> Query<'static, Postgres, PgArguments> {
    sqlx::query(AssertSqlSafe(sql)).bind(key.to_vec())
}

fn judge_code(error: sqlx::Error) -> StoreError {
    judge(error, |error| {
        error
            .code()
            .map_or(Transience::Permanent, |code| Transience::of_sqlstate(&code))
    })
}
