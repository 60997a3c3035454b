use super::sql::{Table, all, answering_store, before, judge, list, ticks};
use super::{Charge, RateLimitStore, TICK_SHIFT, Verdict};
use crate::error::StoreError;
use async_trait::async_trait;
use perf_core::{Clock, Dialect, SystemClock, Transience};
use sqlx::query::Query;
use sqlx::sqlite::{
    Sqlite, SqliteArguments, SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteRow,
};
use sqlx::{AssertSqlSafe, Row};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// A store in a SQLite file that the processes of one machine share, one statement a request.
///
/// Time is the machine's wall clock, which all of them have in common. Rows stay until
/// [`sweep`](Self::sweep) removes them.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    pool: SqlitePool,
    table: Table,
    clock: Arc<dyn Clock>,
}

impl SqliteStore {
    /// A store in the table `perf_rate_limits` of the file that `url` names (`sqlite://limits.db`), which
    /// is created if it is missing; opened when it is first asked, over at most four connections.
    ///
    /// # Errors
    ///
    /// When the URL is malformed.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, on which the connections live.
    pub fn new(url: &str) -> Result<Self, StoreError> {
        let options: SqliteConnectOptions = url.parse().map_err(judge_code)?;
        let options = options
            .create_if_missing(true)
            .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
            .synchronous(sqlx::sqlite::SqliteSynchronous::Normal)
            .busy_timeout(Duration::from_secs(5));
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .test_before_acquire(false)
            .connect_lazy_with(options);
        Ok(Self::from_pool(pool, "perf_rate_limits"))
    }

    /// A store in the table `table` over connections of one's own.
    #[must_use]
    pub fn from_pool(pool: SqlitePool, table: &str) -> Self {
        Self {
            pool,
            table: Table::new(Dialect::Sqlite, table),
            clock: Arc::new(SystemClock),
        }
    }

    /// The same store on another clock's wall time.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
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
        let sql = self.table.definition("BLOB", "");
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
        let sql = self.table.sweep("?1");
        let query = sqlx::query(AssertSqlSafe(sql)).bind(self.now());
        let swept = query.execute(&self.pool).await.map_err(judge_code)?;
        Ok(swept.rows_affected())
    }

    fn now(&self) -> i64 {
        let since = self.clock.wall().duration_since(UNIX_EPOCH);
        let nanos = since.unwrap_or_default().as_nanos() >> TICK_SHIFT;
        i64::try_from(nanos).unwrap_or(i64::MAX)
    }

    fn timed(&self, sql: String, key: &[u8]) -> Query<'static, Sqlite, SqliteArguments> {
        query(sql, key).bind(self.now())
    }

    fn acquire_sql(&self, limits: usize) -> String {
        let table = self.table.name();
        let (price, capacity) = (|limit| 2 * limit + 3, |limit| 2 * limit + 4);
        let columns = list(limits, |limit| format!("a{limit}"));
        let fresh = list(limits, |limit| format!("?2 + ?{}", price(limit)));
        let levels = list(limits, |limit| {
            let (table, most) = (self.table.name(), capacity(limit));
            format!("min(max({table}.a{limit}, ?2), ?2 + ?{most}) AS b{limit}")
        });
        let fits = all(limits, |limit| {
            format!("b{limit} + ?{} - ?2 <= ?{}", price(limit), capacity(limit))
        });
        let moved = list(limits, |limit| {
            format!("b{limit} + fits * ?{}", price(limit))
        });
        let ahead = list(limits, |limit| format!("a{limit} - seen"));
        format!(
            "INSERT INTO {table} (id, seen, allowed, {columns}) SELECT ?1, ?2, 1, {fresh} WHERE true \
             ON CONFLICT (id) DO UPDATE SET (seen, allowed, {columns}) = (\
             SELECT ?2, fits, {moved} FROM (SELECT *, {fits} AS fits FROM (SELECT {levels}))) \
             RETURNING allowed, {ahead}"
        )
    }

    fn peek_sql(&self, limits: usize) -> String {
        let ahead = list(limits, |limit| {
            format!("min(max(a{limit} - ?2, 0), ?{})", limit + 3)
        });
        format!("SELECT {ahead} FROM {} WHERE id = ?1", self.table.name())
    }

    fn refund_sql(&self, limits: usize) -> String {
        let back = list(limits, |limit| {
            format!("a{limit} = a{limit} - ?{}", limit + 2)
        });
        format!("UPDATE {} SET {back} WHERE id = ?1", self.table.name())
    }
}

answering_store!(SqliteStore, SqliteRow, i64);

fn query(sql: String, key: &[u8]) -> Query<'static, Sqlite, SqliteArguments> {
    sqlx::query(AssertSqlSafe(sql)).bind(key.to_vec())
}

fn judge_code(error: sqlx::Error) -> StoreError {
    judge(error, |error| {
        let code = error.code().and_then(|code| code.parse().ok());
        code.map_or(Transience::Permanent, Transience::of_sqlite_code)
    })
}
