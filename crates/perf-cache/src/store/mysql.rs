use super::StoreInfo;
use super::remote::{LeaseRequest, Leased, Reading, RemoteStore, Scanned, Settlement, StoreError};
use super::sql::{
    Found, GENERATION, SCAN_STEP, Table, generations, judge, millis, position, reading, scanned,
};
use crate::pattern::Pattern;
use async_trait::async_trait;
use perf_core::{Dialect, Transience};
use sqlx::mysql::{MySqlDatabaseError, MySqlPool, MySqlPoolOptions, MySqlRow};
use sqlx::{AssertSqlSafe, Row};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::Duration;

/// A far store in a table on MariaDB (10.6 or newer) or MySQL (8 or newer), one round trip a request.
///
/// Neither can say of several rows which of them it has written, so some requests are a few statements,
/// sent together, the last of which reads what came of it. Keys and tags may have 2,048 bytes, the
/// cache's name included. Time is the server's. Rows stay until [`sweep`](Self::sweep) removes them: call
/// it every few minutes.
#[derive(Clone, Debug)]
pub struct MySqlStore {
    pool: MySqlPool,
    table: Table,
}

/// The server's clock in milliseconds, the same for all of one statement.
const NOW: &str = "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)";
/// How many rows one statement concerns.
const AT_ONCE: usize = 200;

impl MySqlStore {
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
        let options = MySqlPoolOptions::new()
            .max_connections(8)
            .test_before_acquire(false);
        let pool = options.connect_lazy(url).map_err(judge_code)?;
        Ok(Self::from_pool(pool, "perf_cache"))
    }

    /// A store in the table `table` over connections of one's own.
    #[must_use]
    pub fn from_pool(pool: MySqlPool, table: &str) -> Self {
        Self {
            pool,
            table: Table::new(Dialect::MySql, table),
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
            "CREATE TABLE IF NOT EXISTS {} (id VARBINARY(2048) NOT NULL PRIMARY KEY, \
             place BIGINT UNSIGNED NOT NULL AUTO_INCREMENT UNIQUE, \
             value LONGBLOB NOT NULL, expires BIGINT NOT NULL) ENGINE = InnoDB ROW_FORMAT = DYNAMIC",
            self.table.name
        );
        self.execute(sql).await.map(drop)
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
        self.execute(sql).await
    }

    async fn execute(&self, sql: String) -> Result<u64, StoreError> {
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&self.pool).await;
        Ok(done.map_err(judge_code)?.rows_affected())
    }

    /// The rows of all statements of `sql`.
    async fn rows(&self, sql: String) -> Result<Vec<MySqlRow>, StoreError> {
        let rows = sqlx::raw_sql(AssertSqlSafe(sql))
            .fetch_all(&self.pool)
            .await;
        rows.map_err(judge_code)
    }

    fn find<'a>(&self, what: &str, keys: impl Iterator<Item = &'a String>) -> String {
        let keys: Vec<String> = keys.map(|key| hex(key.as_bytes())).collect();
        let table = &self.table.name;
        format!(
            "SELECT id, {what} AS value FROM {table} WHERE id IN ({}) AND expires > {NOW}; ",
            keys.join(", ")
        )
    }

    /// Makes the generations that are missing. One that is there is not written: all leases read that of
    /// `clear`.
    fn make(&self, tags: &[(String, u64)]) -> String {
        let (table, hold) = (&self.table.name, millis(GENERATION));
        let mut sql = String::new();
        for tags in tags.chunks(AT_ONCE) {
            let asked = derived(tags, |(tag, number)| {
                format!(
                    "{} AS id, {} AS fresh",
                    hex(tag.as_bytes()),
                    hex(&number.to_le_bytes())
                )
            });
            push(
                &mut sql,
                format_args!(
                    "INSERT INTO {table} (id, value, expires) SELECT id, fresh, {NOW} + {hold} FROM {asked} \
                 WHERE NOT EXISTS (SELECT 1 FROM {table} AS t WHERE t.id = asked.id AND t.expires > {NOW}) \
                 ON DUPLICATE KEY UPDATE value = IF({table}.expires <= {NOW}, fresh, {table}.value), \
                 expires = IF({table}.value = fresh, {NOW} + {hold}, {table}.expires); "
                ),
            );
        }
        sql
    }

    /// Puts leases where they may lie, and reads back where they do.
    fn grant(&self, requests: &[LeaseRequest<'_>], hold: Duration) -> String {
        let (table, hold) = (&self.table.name, millis(hold));
        let mut sql = String::new();
        for requests in requests.chunks(AT_ONCE) {
            let asked = derived(requests, |request| {
                let (key, lease) = (hex(request.key.as_bytes()), hex(&request.lease));
                format!(
                    "{key} AS id, {lease} AS lease, {} AS seen",
                    hex(request.replacing)
                )
            });
            let is_free = format!(
                "{table}.expires <= {NOW} OR {table}.value = '' OR (seen <> '' \
                 AND LEFT({table}.value, LENGTH(seen)) = seen)"
            );
            // Assigned from left to right: where the second looks, the first has been made.
            push(
                &mut sql,
                format_args!(
                    "INSERT INTO {table} (id, value, expires) SELECT id, lease, {NOW} + {hold} FROM {asked} \
                 ON DUPLICATE KEY UPDATE value = IF({is_free}, lease, {table}.value), \
                 expires = IF({table}.value = lease, {NOW} + {hold}, {table}.expires); \
                 SELECT {table}.id, NULL FROM {table} JOIN {asked} ON {table}.id = asked.id \
                 WHERE {table}.value = lease; "
                ),
            );
        }
        sql
    }

    /// Ends leases and tells the keys of those that stood: of those with a value by what lies there now.
    fn end(&self, settlements: &[&Settlement<'_>]) -> String {
        let table = &self.table.name;
        let asked = derived(settlements, |settlement| {
            let (key, lease) = (hex(settlement.key.as_bytes()), hex(&settlement.lease));
            let (value, ttl) = settlement.value.unwrap_or_default();
            format!(
                "{key} AS id, {lease} AS lease, {} AS fresh, {} AS ttl",
                hex(value),
                millis(ttl)
            )
        });
        let stands = format!(
            "{table} JOIN {asked} ON {table}.id = asked.id AND {table}.value = lease \
             AND {table}.expires > {NOW}"
        );
        if settlements
            .iter()
            .all(|settlement| settlement.value.is_none())
        {
            return format!("SELECT {table}.id FROM {stands}; DELETE {table} FROM {stands}; ");
        }
        let written = derived(settlements, |settlement| {
            let (value, _) = settlement.value.unwrap_or_default();
            let seal = &value[..value.len().min(crate::envelope::SEAL_BYTES)];
            format!(
                "{} AS id, {} AS seal",
                hex(settlement.key.as_bytes()),
                hex(seal)
            )
        });
        format!(
            "UPDATE {stands} SET {table}.value = fresh, {table}.expires = {NOW} + ttl; \
             SELECT {table}.id FROM {table} JOIN {written} ON {table}.id = asked.id \
             AND LEFT({table}.value, LENGTH(seal)) = seal; "
        )
    }
}

#[async_trait]
impl RemoteStore for MySqlStore {
    async fn read(&self, keys: &[String], tags: &[String]) -> Result<Reading, StoreError> {
        if keys.len() + tags.len() == 0 {
            return Ok(Reading::default());
        }
        let rows = self.find("value", keys.iter().chain(tags));
        let rows = self.rows(rows).await?;
        Ok(reading(found(&rows)?.0, keys, tags))
    }

    async fn heads(
        &self,
        keys: &[String],
        bytes: usize,
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new()); // A list of nothing is no SQL.
        }
        let head = format!("substring(value, 1, {bytes})");
        let rows = self.rows(self.find(&head, keys.iter())).await?;
        Ok(reading(found(&rows)?.0, keys, &[]).values)
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
        let mut sql = self.make(tags);
        if !tags.is_empty() {
            sql += &self.find("value", tags.iter().map(|(tag, _)| tag));
        }
        sql += &self.grant(requests, hold);
        let (found, granted) = found(&self.rows(sql).await?)?;
        let is_granted = |request: &LeaseRequest<'_>| granted.contains(request.key);
        Ok(Leased {
            granted: requests.iter().map(is_granted).collect(),
            generations: generations(&found, tags),
        })
    }

    async fn settle(&self, settlements: &[Settlement<'_>]) -> Result<Vec<bool>, StoreError> {
        if settlements.is_empty() {
            return Ok(Vec::new());
        }
        let (full, empty): (Vec<_>, Vec<_>) = settlements
            .iter()
            .partition(|settlement| settlement.value.is_some());
        let batches = full.chunks(AT_ONCE).chain(empty.chunks(AT_ONCE));
        let sql: String = batches.map(|batch| self.end(batch)).collect();
        let rows = self.rows(sql).await?;
        let settled: Result<HashSet<String>, _> = rows.iter().map(key).collect();
        let settled = settled?;
        let is_settled = |settlement: &Settlement<'_>| settled.contains(settlement.key);
        Ok(settlements.iter().map(is_settled).collect())
    }

    async fn put(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), StoreError> {
        let sql = format!(
            "INSERT INTO {} (id, value, expires) VALUES ({}, {}, {NOW} + {}) \
             ON DUPLICATE KEY UPDATE value = VALUES(value), expires = VALUES(expires)",
            self.table.name,
            hex(key.as_bytes()),
            hex(value),
            millis(ttl)
        );
        self.execute(sql).await.map(drop)
    }

    async fn remove(&self, keys: &[String]) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        let keys: Vec<String> = keys.iter().map(|key| hex(key.as_bytes())).collect();
        let (table, keys) = (&self.table.name, keys.join(", "));
        let sql = format!("DELETE FROM {table} WHERE id IN ({keys})");
        self.execute(sql).await.map(drop)
    }

    async fn generations(&self, tags: &[(String, u64)]) -> Result<Vec<u64>, StoreError> {
        Ok(self.lease(&[], GENERATION, tags).await?.generations)
    }

    async fn renew(&self, tags: &[(String, u64)]) -> Result<(), StoreError> {
        if tags.is_empty() {
            return Ok(());
        }
        let row = |(tag, number): &(String, u64)| {
            let (tag, number) = (hex(tag.as_bytes()), hex(&number.to_le_bytes()));
            format!("({tag}, {number}, {NOW} + {})", millis(GENERATION))
        };
        let rows: Vec<String> = tags.iter().map(row).collect();
        let sql = format!(
            "INSERT INTO {} (id, value, expires) VALUES {} \
             ON DUPLICATE KEY UPDATE value = VALUES(value), expires = VALUES(expires)",
            self.table.name,
            rows.join(", ")
        );
        self.execute(sql).await.map(drop)
    }

    async fn scan(&self, pattern: &Pattern, from: u64) -> Result<Scanned, StoreError> {
        let sql = format!(
            "SELECT id, CAST(place AS SIGNED) FROM {} WHERE place > {} ORDER BY place LIMIT {SCAN_STEP}",
            self.table.name,
            position(from)
        );
        let rows = self.rows(sql).await?;
        let row = |row| Ok((MySqlRow::try_get(row, 1).map_err(judge_code)?, key(row)?));
        let rows: Result<Vec<(i64, String)>, StoreError> = rows.iter().map(row).collect();
        Ok(scanned(pattern, rows?))
    }

    async fn info(&self) -> Result<StoreInfo, StoreError> {
        let sql = format!(
            "SELECT VERSION(), CAST(data_length + index_length AS SIGNED), \
             (SELECT COUNT(*) FROM {table} WHERE expires > {NOW}) FROM information_schema.tables \
             WHERE table_schema = DATABASE() AND table_name = {}",
            hex(unquoted(&self.table.name).as_bytes()),
            table = self.table.name
        );
        let rows = self.rows(sql).await?;
        let row = rows
            .first()
            .ok_or_else(|| judge_code(sqlx::Error::RowNotFound))?;
        let number = |place: usize| row.try_get::<i64, _>(place).map_err(judge_code);
        let version: String = row.try_get(0).map_err(judge_code)?;
        Ok(StoreInfo {
            memory_bytes: u64::try_from(number(1)?).ok(),
            keys: u64::try_from(number(2)?).ok(),
            ..StoreInfo::new(version_name(&version))
        })
    }
}

fn version_name(version: &str) -> String {
    let product = if version.contains("MariaDB") {
        "mariadb"
    } else {
        "mysql"
    };
    format!("{product} {version}")
}

/// A name without its quotes.
fn unquoted(name: &str) -> String {
    name[1..name.len() - 1].replace("``", "`")
}

/// Rows with bytes, and the keys of rows without.
fn found(rows: &[MySqlRow]) -> Result<(Found, HashSet<String>), StoreError> {
    let (mut found, mut granted) = (Found::new(), HashSet::new());
    for row in rows {
        let value: Option<Vec<u8>> = row.try_get(1).map_err(judge_code)?;
        match value {
            Some(value) => drop(found.insert(key(row)?, value)),
            None => drop(granted.insert(key(row)?)),
        }
    }
    Ok((found, granted))
}

fn key(row: &MySqlRow) -> Result<String, StoreError> {
    let key: Vec<u8> = row.try_get(0).map_err(judge_code)?;
    Ok(String::from_utf8_lossy(&key).into_owned())
}

/// Rows as a table of their own, in the order of their keys, so that all lock in one order.
fn derived<T>(items: &[T], row: impl Fn(&T) -> String) -> String {
    let mut rows: Vec<String> = items.iter().map(row).collect();
    rows.sort();
    format!("(SELECT {}) AS asked", rows.join(" UNION ALL SELECT "))
}

/// Bytes as SQL writes them: nothing in them can end the text.
fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len() + 3);
    text.push_str("x'");
    for byte in bytes {
        push(&mut text, format_args!("{byte:02x}"));
    }
    text.push('\'');
    text
}

fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _written = text.write_fmt(more);
}

fn judge_code(error: sqlx::Error) -> StoreError {
    judge(error, |error| {
        let mysql = error.try_downcast_ref::<MySqlDatabaseError>();
        mysql.map_or(Transience::Permanent, |error| {
            Transience::of_mysql_number(error.number())
        })
    })
}
