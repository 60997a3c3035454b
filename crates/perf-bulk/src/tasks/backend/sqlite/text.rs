//! The statements.

use super::super::sql::{Common, indexes};
use crate::table::quoted;
use perf_core::Dialect;

/// Every statement on one table.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) create: String,
    pub(super) enqueue: String,
    pub(super) by_key: String,
    pub(super) any: String,
    pub(super) forget: String,
    pub(super) settle: String,
    pub(super) claim: String,
    pub(super) due: String,
    pub(super) expired: String,
    pub(super) next: String,
    pub(super) renew: String,
    pub(super) common: Common,
}

impl Text {
    pub(super) fn new(name: &str) -> Self {
        let table = quoted(Dialect::Sqlite, name);
        let fill = |text: &str| text.replace("{table}", &table);
        Self {
            create: create(name, &table),
            enqueue: fill(ENQUEUE),
            by_key: fill("SELECT id FROM {table} WHERE queue = ? AND key = ?"),
            any: fill("SELECT EXISTS (SELECT 1 FROM {table} WHERE queue = ? AND state = 1)"),
            forget: fill(FORGET),
            settle: fill(SETTLE),
            claim: fill(CLAIM),
            due: fill("UPDATE {table} SET state = 1 WHERE queue = ? AND state = 0 AND run_at <= ?"),
            expired: fill(
                "UPDATE {table} SET state = 1 WHERE queue = ? AND state = 2 AND lease_until <= ?",
            ),
            next: fill(
                "SELECT (SELECT min(run_at) FROM {table} WHERE queue = ?1 AND state = 0), \
                   (SELECT min(lease_until) FROM {table} WHERE queue = ?1 AND state = 2)",
            ),
            renew: fill(RENEW),
            common: Common::new(&table),
        }
    }
}

fn create(name: &str, table: &str) -> String {
    CREATE.replace("{table}", table) + &indexes(Dialect::Sqlite, name, table)
}

const CREATE: &str = "CREATE TABLE IF NOT EXISTS {table} ( \
      id TEXT PRIMARY KEY, \
      queue TEXT NOT NULL, \
      name TEXT NOT NULL, \
      args TEXT NOT NULL, \
      key TEXT, \
      state INTEGER NOT NULL, \
      priority INTEGER NOT NULL, \
      run_at INTEGER NOT NULL, \
      attempts INTEGER NOT NULL DEFAULT 0, \
      max_attempts INTEGER NOT NULL, \
      time_limit INTEGER, \
      token INTEGER NOT NULL DEFAULT 0, \
      lease_until INTEGER, \
      worker TEXT, \
      output TEXT, \
      error TEXT, \
      created_at INTEGER NOT NULL, \
      finished_at INTEGER \
    ) WITHOUT ROWID; ";

const ENQUEUE: &str = "INSERT INTO {table} \
      (id, queue, name, args, key, state, priority, run_at, max_attempts, time_limit, created_at) \
    VALUES (?3, ?2, ?4, ?5, ?6, CASE WHEN ?8 > ?1 THEN 0 ELSE 1 END, ?7, ?8, ?9, ?10, ?1) \
    ON CONFLICT (queue, key) WHERE key IS NOT NULL DO NOTHING";

/// Reports come as a JSON array of [id, token, state, run_at, note].
const FORGET: &str = "DELETE FROM {table} WHERE state = 2 AND (id, token) IN ( \
      SELECT value ->> 0, value ->> 1 FROM json_each(?1) WHERE value ->> 2 = 6) \
    RETURNING id";

const SETTLE: &str = "UPDATE {table} SET \
      state = report.state, \
      attempts = attempts - (report.state = 1), \
      run_at = CASE WHEN report.state = 0 THEN report.run_at ELSE {table}.run_at END, \
      output = CASE WHEN report.state = 3 THEN report.note END, \
      error = CASE WHEN report.state = 3 THEN NULL ELSE coalesce(report.note, error) END, \
      finished_at = CASE WHEN report.state >= 3 THEN ?2 END \
    FROM (SELECT value ->> 0 AS id, value ->> 1 AS token, value ->> 2 AS state, \
        value ->> 3 AS run_at, value ->> 4 AS note FROM json_each(?1)) AS report \
    WHERE {table}.id = report.id AND {table}.token = report.token AND {table}.state = 2 \
      AND report.state < 6 \
    RETURNING id";

const CLAIM: &str = "UPDATE {table} SET \
      state = 2, attempts = attempts + 1, token = token + 1, lease_until = ?3, worker = ?4 \
    WHERE id IN (SELECT id FROM {table} WHERE queue = ?1 AND state = 1 \
      ORDER BY priority DESC, run_at, id LIMIT ?2) \
    RETURNING id, token, name, args, attempts, max_attempts, time_limit, run_at, priority";

/// Leases come as a JSON array of [id, token].
const RENEW: &str = "UPDATE {table} SET lease_until = ?2 WHERE state = 2 AND (id, token) IN ( \
      SELECT value ->> 0, value ->> 1 FROM json_each(?1)) \
    RETURNING id";
