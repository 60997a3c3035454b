use super::StoreInfo;
use super::remote::{LeaseRequest, Leased, Reading, RemoteStore, Scanned, Settlement, StoreError};
use super::sql::{
    Found, GENERATION, SCAN_STEP, Table, generations, judge, millis, position, reading, scanned,
};
use crate::pattern::Pattern;
use async_trait::async_trait;
use perf_core::{Dialect, Transience};
use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgPool, PgPoolOptions};
use std::collections::HashSet;
use std::time::Duration;

/// A far store in a table on Postgres (12 or newer), one statement a request.
///
/// The table is unlogged: it costs no write-ahead log, and a crash of the server empties it, which a
/// cache survives. Time is the server's. Rows stay until [`sweep`](Self::sweep) removes them: call it
/// every few minutes.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    pool: PgPool,
    table: Table,
}

/// The server's clock in milliseconds, read once a statement.
const NOW: &str = "(SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint)";

impl PostgresStore {
    /// A store in the table `perf_cache` of the database at `url`, connected when it is first asked, over
    /// at most eight connections.
    ///
    /// # Errors
    ///
    /// When the URL is malformed.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, on which the connections live.
    pub fn new(url: &str) -> Result<Self, StoreError> {
        // A broken connection shows at the statement, and then as a miss; a ping would double the trips.
        let options = PgPoolOptions::new()
            .max_connections(8)
            .test_before_acquire(false);
        let pool = options.connect_lazy(url).map_err(judge_code)?;
        Ok(Self::from_pool(pool, "perf_cache"))
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
        let sql = format!(
            "CREATE UNLOGGED TABLE IF NOT EXISTS {} (id text COLLATE \"C\" PRIMARY KEY, \
             place bigint GENERATED ALWAYS AS IDENTITY UNIQUE, \
             value bytea NOT NULL, expires bigint NOT NULL)",
            self.table.name
        );
        let created = sqlx::query(AssertSqlSafe(sql)).execute(&self.pool).await;
        created.map(drop).map_err(judge_code)
    }

    /// Removes rows whose time has passed, and says how many they were.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// They may have been removed.
    pub async fn sweep(&self) -> Result<u64, StoreError> {
        let sql = format!("DELETE FROM {} WHERE expires <= {NOW}", self.table.name);
        let swept = sqlx::query(AssertSqlSafe(sql)).execute(&self.pool).await;
        Ok(swept.map_err(judge_code)?.rows_affected())
    }

    /// Expressions that read the generations named by $1 and make those of $2 for the others, as `known`
    /// and `made`. A generation that is there is not written: all leases read that of `clear`.
    fn with_generations(&self) -> String {
        let (table, hold) = (&self.table.name, millis(GENERATION));
        format!(
            "WITH known AS (\
             SELECT id, value FROM {table} WHERE id = ANY($1) AND expires > {NOW}), \
             made AS (INSERT INTO {table} AS t (id, value, expires) \
             SELECT DISTINCT ON (tag) tag, number, {NOW} + {hold} FROM unnest($1::text[], $2::bytea[]) AS f (tag, number) \
             WHERE tag NOT IN (SELECT id FROM known) ORDER BY tag \
             ON CONFLICT (id) DO UPDATE SET expires = EXCLUDED.expires, \
             value = CASE WHEN t.expires > {NOW} THEN t.value ELSE EXCLUDED.value END \
             RETURNING id, value)"
        )
    }

    /// The rows under these keys, with `what` of each.
    async fn found(&self, what: &str, keys: Vec<String>) -> Result<Found, StoreError> {
        let table = &self.table.name;
        let sql = format!("SELECT id, {what} FROM {table} WHERE id = ANY($1) AND expires > {NOW}");
        let query = sqlx::query_as(AssertSqlSafe(sql)).bind(keys);
        let rows: Vec<(String, Vec<u8>)> = query.fetch_all(&self.pool).await.map_err(judge_code)?;
        Ok(rows.into_iter().collect())
    }
}

#[async_trait]
impl RemoteStore for PostgresStore {
    async fn read(&self, keys: &[String], tags: &[String]) -> Result<Reading, StoreError> {
        if keys.len() + tags.len() == 0 {
            return Ok(Reading::default());
        }
        let found = self.found("value", [keys, tags].concat()).await?;
        Ok(reading(found, keys, tags))
    }

    async fn heads(
        &self,
        keys: &[String],
        bytes: usize,
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let head = format!("substring(value FROM 1 FOR {bytes})");
        let found = self.found(&head, keys.to_vec()).await?;
        Ok(reading(found, keys, &[]).values)
    }

    async fn lease(
        &self,
        requests: &[LeaseRequest<'_>],
        hold: Duration,
        tags: &[(String, u64)],
    ) -> Result<Leased, StoreError> {
        if requests.len() + tags.len() == 0 {
            return Ok(Leased::default());
        }
        let sql = format!(
            "{}, asked AS (SELECT DISTINCT ON (id) * FROM \
             unnest($3::text[], $4::bytea[], $5::bytea[]) AS a (id, lease, seen)), \
             granted AS (INSERT INTO {} AS t (id, value, expires) \
             SELECT id, lease, {NOW} + $6 FROM asked ORDER BY id \
             ON CONFLICT (id) DO UPDATE SET value = EXCLUDED.value, expires = EXCLUDED.expires \
             WHERE t.expires <= {NOW} OR t.value = '' OR EXISTS (\
             SELECT FROM asked WHERE asked.id = t.id AND seen <> '' \
             AND seen = substring(t.value FROM 1 FOR length(seen))) RETURNING id) \
             SELECT id, value FROM known UNION ALL SELECT id, value FROM made \
             UNION ALL SELECT id, NULL FROM granted",
            self.with_generations(),
            self.table.name
        );
        let (names, numbers) = columns(tags);
        let query = sqlx::query_as(AssertSqlSafe(sql))
            .bind(names)
            .bind(numbers)
            .bind(each(requests, |request| request.key.to_owned()))
            .bind(each(requests, |request| request.lease.to_vec()))
            .bind(each(requests, |request| request.replacing.to_vec()))
            .bind(millis(hold));
        let rows: Vec<(String, Option<Vec<u8>>)> =
            query.fetch_all(&self.pool).await.map_err(judge_code)?;
        let (found, granted): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|(_, value)| value.is_some());
        let granted: HashSet<String> = granted.into_iter().map(|(id, _)| id).collect();
        let found = found
            .into_iter()
            .map(|(id, value)| (id, value.unwrap_or_default()));
        Ok(Leased {
            granted: each(requests, |request| granted.contains(request.key)),
            generations: generations(&found.collect(), tags),
        })
    }

    async fn settle(&self, settlements: &[Settlement<'_>]) -> Result<Vec<bool>, StoreError> {
        if settlements.is_empty() {
            return Ok(Vec::new());
        }
        // Rows are locked in one order by all, so that batches do not wait for each other in a circle.
        let sql = format!(
            "WITH asked AS MATERIALIZED (SELECT * FROM \
             unnest($1::text[], $2::bytea[], $3::bytea[], $4::bigint[]) AS a (id, lease, fresh, ttl)), \
             held AS MATERIALIZED (SELECT a.* FROM {table} AS t JOIN asked AS a USING (id) \
             WHERE t.value = a.lease AND t.expires > {NOW} ORDER BY t.id FOR UPDATE OF t), \
             put AS (UPDATE {table} AS t SET value = h.fresh, expires = {NOW} + h.ttl FROM held AS h \
             WHERE t.id = h.id AND t.value = h.lease AND h.fresh IS NOT NULL RETURNING t.id), \
             gone AS (DELETE FROM {table} AS t USING held AS h \
             WHERE t.id = h.id AND t.value = h.lease AND h.fresh IS NULL RETURNING t.id) \
             SELECT id FROM put UNION ALL SELECT id FROM gone",
            table = self.table.name
        );
        let value = |settlement: &Settlement<'_>| settlement.value.map(|(value, _)| value.to_vec());
        let ttl = |settlement: &Settlement<'_>| settlement.value.map(|(_, ttl)| millis(ttl));
        let query = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(each(settlements, |settlement| settlement.key.to_owned()))
            .bind(each(settlements, |settlement| settlement.lease.to_vec()))
            .bind(each(settlements, value))
            .bind(each(settlements, ttl));
        let settled: Vec<String> = query.fetch_all(&self.pool).await.map_err(judge_code)?;
        let settled: HashSet<String> = settled.into_iter().collect();
        Ok(each(settlements, |settlement| {
            settled.contains(settlement.key)
        }))
    }

    async fn put(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), StoreError> {
        let sql = format!(
            "INSERT INTO {} (id, value, expires) VALUES ($1, $2, {NOW} + $3) \
             ON CONFLICT (id) DO UPDATE SET value = EXCLUDED.value, expires = EXCLUDED.expires",
            self.table.name
        );
        let query = sqlx::query(AssertSqlSafe(sql))
            .bind(key)
            .bind(value)
            .bind(millis(ttl));
        query
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(judge_code)
    }

    async fn remove(&self, keys: &[String]) -> Result<(), StoreError> {
        let table = &self.table.name;
        let sql = format!(
            "DELETE FROM {table} WHERE id IN (\
             SELECT id FROM {table} WHERE id = ANY($1) ORDER BY id FOR UPDATE)"
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(keys);
        query
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(judge_code)
    }

    async fn generations(&self, tags: &[(String, u64)]) -> Result<Vec<u64>, StoreError> {
        let sql = self.with_generations()
            + " SELECT id, value FROM known UNION ALL SELECT id, value FROM made";
        let (names, numbers) = columns(tags);
        let query = sqlx::query_as(AssertSqlSafe(sql)).bind(names).bind(numbers);
        let rows: Vec<(String, Vec<u8>)> = query.fetch_all(&self.pool).await.map_err(judge_code)?;
        Ok(generations(&rows.into_iter().collect(), tags))
    }

    async fn renew(&self, tags: &[(String, u64)]) -> Result<(), StoreError> {
        let sql = format!(
            "INSERT INTO {} (id, value, expires) SELECT DISTINCT ON (tag) tag, number, {NOW} + {} \
             FROM unnest($1::text[], $2::bytea[]) AS f (tag, number) ORDER BY tag \
             ON CONFLICT (id) DO UPDATE SET value = EXCLUDED.value, expires = EXCLUDED.expires",
            self.table.name,
            millis(GENERATION)
        );
        let (names, numbers) = columns(tags);
        let query = sqlx::query(AssertSqlSafe(sql)).bind(names).bind(numbers);
        query
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(judge_code)
    }

    async fn scan(&self, pattern: &Pattern, from: u64) -> Result<Scanned, StoreError> {
        let sql = format!(
            "SELECT place, id FROM {} WHERE place > $1 ORDER BY place LIMIT {SCAN_STEP}",
            self.table.name
        );
        let query = sqlx::query_as(AssertSqlSafe(sql)).bind(position(from));
        let rows = query.fetch_all(&self.pool).await.map_err(judge_code)?;
        Ok(scanned(pattern, rows))
    }

    async fn info(&self) -> Result<StoreInfo, StoreError> {
        let sql = format!(
            "SELECT current_setting('server_version'), pg_total_relation_size('{name}'::regclass), \
             (SELECT count(*) FROM {table} WHERE expires > {NOW})",
            table = self.table.name,
            name = self.table.name.replace('\'', "''")
        );
        let query = sqlx::query_as(AssertSqlSafe(sql));
        let (version, bytes, keys): (String, i64, i64) =
            query.fetch_one(&self.pool).await.map_err(judge_code)?;
        Ok(StoreInfo {
            memory_bytes: u64::try_from(bytes).ok(),
            keys: u64::try_from(keys).ok(),
            ..StoreInfo::new(format!("postgres {version}"))
        })
    }
}

/// Tags and generations as columns.
fn columns(tags: &[(String, u64)]) -> (Vec<String>, Vec<Vec<u8>>) {
    let pair = |(tag, number): &(String, u64)| (tag.clone(), number.to_le_bytes().to_vec());
    tags.iter().map(pair).unzip()
}

fn each<T, U>(items: &[T], of: impl Fn(&T) -> U) -> Vec<U> {
    items.iter().map(of).collect()
}

fn judge_code(error: sqlx::Error) -> StoreError {
    judge(error, |error| {
        let code = error.code();
        code.map_or(Transience::Permanent, |code| Transience::of_sqlstate(&code))
    })
}
