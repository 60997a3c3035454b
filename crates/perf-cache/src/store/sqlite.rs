use super::StoreInfo;
use super::remote::{LeaseRequest, Leased, Reading, RemoteStore, Scanned, Settlement, StoreError};
use super::sql::{
    Found, GENERATION, SCAN_STEP, Table, generations, judge, millis, position, reading, scanned,
};
use crate::pattern::Pattern;
use async_trait::async_trait;
use perf_core::{Clock, Dialect, SystemClock, Transience};
use sqlx::AssertSqlSafe;
use sqlx::query::Query;
use sqlx::sqlite::{
    Sqlite, SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool,
    SqlitePoolOptions, SqliteSynchronous,
};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// A far store in a SQLite file that the processes of one machine share. It outlives them.
///
/// Time is the machine's wall clock, which all of them have in common. Rows stay until
/// [`sweep`](Self::sweep) removes them: call it every few minutes.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    pool: SqlitePool,
    table: Table,
    clock: Arc<dyn Clock>,
}

/// How many rows one statement concerns: it may bind 32,766 parameters.
const AT_ONCE: usize = 2_000;

impl SqliteStore {
    /// A store in the table `perf_cache` of the file that `url` names (`sqlite://cache.db`), which is
    /// created if it is missing; opened when it is first asked, over at most four connections.
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
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(Duration::from_secs(5));
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .test_before_acquire(false)
            .connect_lazy_with(options);
        Ok(Self::from_pool(pool, "perf_cache"))
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
    /// When the file cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// The table may have been created.
    pub async fn create_table(&self) -> Result<(), StoreError> {
        // A number once given away is not used again: a walk relies on it.
        let sql = format!(
            "CREATE TABLE IF NOT EXISTS {} (place INTEGER PRIMARY KEY AUTOINCREMENT, \
             id TEXT NOT NULL UNIQUE, value BLOB NOT NULL, expires INTEGER NOT NULL)",
            self.table.name
        );
        self.execute(query(sql)).await.map(drop)
    }

    /// Removes rows whose time has passed, and says how many they were.
    ///
    /// # Errors
    ///
    /// When the file cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// They may have been removed.
    pub async fn sweep(&self) -> Result<u64, StoreError> {
        let sql = format!("DELETE FROM {} WHERE expires <= ?", self.table.name);
        self.execute(query(sql).bind(self.now())).await
    }

    fn now(&self) -> i64 {
        let since = self.clock.wall().duration_since(UNIX_EPOCH);
        i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX >> 1)
    }

    async fn execute(&self, query: Asking) -> Result<u64, StoreError> {
        let done = query.execute(&self.pool).await.map_err(judge_code)?;
        Ok(done.rows_affected())
    }

    /// The rows under these keys, with `what` of each, added to `found`.
    async fn find(&self, what: &str, keys: &[String], found: &mut Found) -> Result<(), StoreError> {
        for keys in keys.chunks(AT_ONCE) {
            let sql = format!(
                "SELECT id, {what} FROM {} WHERE expires > ? AND id IN ({})",
                self.table.name,
                rows(keys.len(), "?")
            );
            let asking = sqlx::query_as(AssertSqlSafe(sql)).bind(self.now());
            let asking = keys.iter().fold(asking, |asking, key| asking.bind(key));
            let rows: Vec<(String, Vec<u8>)> =
                asking.fetch_all(&self.pool).await.map_err(judge_code)?;
            found.extend(rows);
        }
        Ok(())
    }

    /// Writes generations: over those that are there, or over those alone whose time has passed.
    async fn write(&self, tags: &[(String, u64)], replaces: bool) -> Result<(), StoreError> {
        let table = &self.table.name;
        for tags in tags.chunks(AT_ONCE) {
            let sql = format!(
                "INSERT INTO {table} (id, value, expires) VALUES {} ON CONFLICT (id) DO UPDATE \
                 SET value = excluded.value, expires = excluded.expires \
                 WHERE {replaces} OR {table}.expires <= ?",
                rows(tags.len(), "(?, ?, ?)")
            );
            let now = self.now();
            let asking = tags.iter().fold(query(sql), |asking, (tag, number)| {
                let bytes = number.to_le_bytes().to_vec();
                asking
                    .bind(tag.clone())
                    .bind(bytes)
                    .bind(now + millis(GENERATION))
            });
            self.execute(asking.bind(now)).await?;
        }
        Ok(())
    }

    /// The keys on which leases were granted, added to `granted`.
    async fn grant(
        &self,
        requests: &[LeaseRequest<'_>],
        hold: Duration,
        granted: &mut HashSet<String>,
    ) -> Result<(), StoreError> {
        let table = &self.table.name;
        let now = self.now();
        let sql = format!(
            "WITH asked (id, lease, seen) AS (VALUES {}) INSERT INTO {table} (id, value, expires) \
             SELECT id, lease, ? FROM asked WHERE true \
             ON CONFLICT (id) DO UPDATE SET value = excluded.value, expires = excluded.expires \
             WHERE {table}.expires <= ? OR length({table}.value) = 0 OR EXISTS (\
             SELECT 1 FROM asked WHERE asked.id = excluded.id AND length(seen) > 0 \
             AND seen = substr({table}.value, 1, length(seen))) RETURNING id",
            rows(requests.len(), "(?, ?, ?)")
        );
        let asking = sqlx::query_scalar::<_, String>(AssertSqlSafe(sql));
        let asking = requests.iter().fold(asking, |asking, request| {
            let (lease, seen) = (request.lease.to_vec(), request.replacing.to_vec());
            asking.bind(request.key.to_owned()).bind(lease).bind(seen)
        });
        let asking = asking.bind(now + millis(hold)).bind(now);
        granted.extend(asking.fetch_all(&self.pool).await.map_err(judge_code)?);
        Ok(())
    }

    /// The keys of these settlements, all with values or all without, that were settled.
    async fn end(
        &self,
        settlements: &[&Settlement<'_>],
        settled: &mut HashSet<String>,
    ) -> Result<(), StoreError> {
        let (Some(first), table) = (settlements.first(), &self.table.name) else {
            return Ok(());
        };
        let stands = format!(
            "{table}.id = asked.id AND {table}.value = asked.lease AND {table}.expires > ?"
        );
        let asked = rows(settlements.len(), "(?, ?, ?, ?)");
        let asked = format!("WITH asked (id, lease, fresh, ttl) AS (VALUES {asked})");
        let sql = match first.value {
            Some(_) => format!(
                "{asked} UPDATE {table} SET value = fresh, expires = ttl FROM asked \
                 WHERE {stands} RETURNING {table}.id"
            ),
            None => format!(
                "{asked} DELETE FROM {table} WHERE EXISTS (SELECT 1 FROM asked WHERE {stands}) \
                 RETURNING id"
            ),
        };
        let now = self.now();
        let asking = sqlx::query_scalar::<_, String>(AssertSqlSafe(sql));
        let asking = settlements.iter().fold(asking, |asking, settlement| {
            let (value, ttl) = settlement.value.unwrap_or_default();
            let asking = asking.bind(settlement.key.to_owned());
            let asking = asking.bind(settlement.lease.to_vec());
            asking.bind(value.to_vec()).bind(now + millis(ttl))
        });
        settled.extend(
            asking
                .bind(now)
                .fetch_all(&self.pool)
                .await
                .map_err(judge_code)?,
        );
        Ok(())
    }
}

#[async_trait]
impl RemoteStore for SqliteStore {
    async fn read(&self, keys: &[String], tags: &[String]) -> Result<Reading, StoreError> {
        let mut found = Found::new();
        let names = [keys, tags].concat();
        self.find("value", &names, &mut found).await?;
        Ok(reading(found, keys, tags))
    }

    async fn heads(
        &self,
        keys: &[String],
        bytes: usize,
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let mut found = Found::new();
        let head = format!("substr(value, 1, {bytes})");
        self.find(&head, keys, &mut found).await?;
        Ok(reading(found, keys, &[]).values)
    }

    async fn lease(
        &self,
        requests: &[LeaseRequest<'_>],
        hold: Duration,
        tags: &[(String, u64)],
    ) -> Result<Leased, StoreError> {
        // Before the leases: they must be those from before the load.
        let generations = self.generations(tags).await?;
        let mut granted = HashSet::new();
        for requests in requests.chunks(AT_ONCE) {
            self.grant(requests, hold, &mut granted).await?;
        }
        let is_granted = |request: &LeaseRequest<'_>| granted.contains(request.key);
        Ok(Leased {
            granted: requests.iter().map(is_granted).collect(),
            generations,
        })
    }

    async fn settle(&self, settlements: &[Settlement<'_>]) -> Result<Vec<bool>, StoreError> {
        let mut settled = HashSet::new();
        for settlements in settlements.chunks(AT_ONCE) {
            let (full, empty): (Vec<_>, Vec<_>) = settlements
                .iter()
                .partition(|settlement| settlement.value.is_some());
            self.end(&full, &mut settled).await?;
            self.end(&empty, &mut settled).await?;
        }
        let is_settled = |settlement: &Settlement<'_>| settled.contains(settlement.key);
        Ok(settlements.iter().map(is_settled).collect())
    }

    async fn put(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), StoreError> {
        let sql = format!(
            "INSERT INTO {} (id, value, expires) VALUES (?, ?, ?) ON CONFLICT (id) \
             DO UPDATE SET value = excluded.value, expires = excluded.expires",
            self.table.name
        );
        let asking = query(sql).bind(key.to_owned()).bind(value.to_vec());
        self.execute(asking.bind(self.now() + millis(ttl)))
            .await
            .map(drop)
    }

    async fn remove(&self, keys: &[String]) -> Result<(), StoreError> {
        for keys in keys.chunks(AT_ONCE) {
            let places = rows(keys.len(), "?");
            let sql = format!("DELETE FROM {} WHERE id IN ({places})", self.table.name);
            let bind = |asking: Asking, key: &String| asking.bind(key.clone());
            self.execute(keys.iter().fold(query(sql), bind)).await?;
        }
        Ok(())
    }

    async fn generations(&self, tags: &[(String, u64)]) -> Result<Vec<u64>, StoreError> {
        let names: Vec<String> = tags.iter().map(|(tag, _)| tag.clone()).collect();
        let mut found = Found::new();
        self.find("value", &names, &mut found).await?;
        // What is there is not written: all leases read the generation of `clear`.
        let is_missing = |(tag, _): &&(String, u64)| !found.contains_key(tag);
        let missing: Vec<_> = tags.iter().filter(is_missing).cloned().collect();
        if !missing.is_empty() {
            self.write(&missing, false).await?;
            self.find("value", &names, &mut found).await?;
        }
        Ok(generations(&found, tags))
    }

    async fn renew(&self, tags: &[(String, u64)]) -> Result<(), StoreError> {
        self.write(tags, true).await
    }

    async fn scan(&self, pattern: &Pattern, from: u64) -> Result<Scanned, StoreError> {
        let sql = format!(
            "SELECT place, id FROM {} WHERE place > ? ORDER BY place LIMIT {SCAN_STEP}",
            self.table.name
        );
        let asking = sqlx::query_as(AssertSqlSafe(sql)).bind(position(from));
        let rows = asking.fetch_all(&self.pool).await.map_err(judge_code)?;
        Ok(scanned(pattern, rows))
    }

    async fn info(&self) -> Result<StoreInfo, StoreError> {
        let sql = format!(
            "SELECT sqlite_version(), page_count * page_size, \
             (SELECT count(*) FROM {} WHERE expires > ?) \
             FROM pragma_page_count(), pragma_page_size()",
            self.table.name
        );
        let asking = sqlx::query_as(AssertSqlSafe(sql)).bind(self.now());
        let (version, bytes, keys): (String, i64, i64) =
            asking.fetch_one(&self.pool).await.map_err(judge_code)?;
        Ok(StoreInfo {
            memory_bytes: u64::try_from(bytes).ok(),
            keys: u64::try_from(keys).ok(),
            ..StoreInfo::new(format!("sqlite {version}"))
        })
    }
}

type Asking = Query<'static, Sqlite, SqliteArguments>;

fn query(sql: String) -> Asking {
    sqlx::query(AssertSqlSafe(sql))
}

/// That many of `row`, with commas between.
fn rows(count: usize, row: &str) -> String {
    vec![row; count].join(", ")
}

fn judge_code(error: sqlx::Error) -> StoreError {
    judge(error, |error| {
        let code = error.code().and_then(|code| code.parse().ok());
        code.map_or(Transience::Permanent, Transience::of_sqlite_code)
    })
}
