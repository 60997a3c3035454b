//! The statements.

use crate::table::quoted;
use perf_core::Dialect;
use std::fmt::Write as _;

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
    pub(super) acknowledge: String,
    pub(super) due: String,
    pub(super) expired: String,
    pub(super) next: String,
    pub(super) renew: String,
    pub(super) find: String,
    pub(super) cancel: String,
    pub(super) revive: String,
    pub(super) dead: String,
    pub(super) counts: String,
    pub(super) purge: String,
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
            acknowledge: fill(ACKNOWLEDGE),
            due: fill("UPDATE {table} SET state = 1 WHERE queue = ? AND state = 0 AND run_at <= ?"),
            expired: fill(
                "UPDATE {table} SET state = 1 WHERE queue = ? AND state = 2 AND lease_until <= ?",
            ),
            next: fill(
                "SELECT (SELECT min(run_at) FROM {table} WHERE queue = ?1 AND state = 0), \
                   (SELECT min(lease_until) FROM {table} WHERE queue = ?1 AND state = 2)",
            ),
            renew: fill(RENEW),
            find: fill(
                "SELECT name, state, attempts, output, error FROM {table} WHERE queue = ? AND id = ?",
            ),
            cancel: fill(
                "UPDATE {table} SET state = 5, finished_at = ?3 \
                 WHERE queue = ?1 AND id = ?2 AND state < 3",
            ),
            revive: fill(
                "UPDATE {table} SET state = 1, attempts = 0, run_at = ?3, finished_at = NULL \
                 WHERE queue = ?1 AND id = ?2 AND state = 4",
            ),
            dead: fill(
                "SELECT id FROM {table} WHERE queue = ? AND state = 4 \
                 ORDER BY finished_at, id LIMIT ?",
            ),
            counts: fill("SELECT state, count(*) FROM {table} WHERE queue = ? GROUP BY state"),
            purge: fill(
                "DELETE FROM {table} WHERE queue = ? AND state IN (3, 5) AND finished_at < ?",
            ),
        }
    }
}

fn create(name: &str, table: &str) -> String {
    let mut sql = CREATE.replace("{table}", table);
    let indexes = [
        (
            "",
            "waiting",
            "(queue, priority DESC, run_at, id) WHERE state = 1",
        ),
        ("", "scheduled", "(queue, run_at) WHERE state = 0"),
        ("", "leased", "(queue, lease_until) WHERE state = 2"),
        ("", "finished", "(queue, finished_at) WHERE state >= 3"),
        ("UNIQUE", "key", "(queue, key) WHERE key IS NOT NULL"),
    ];
    for (unique, suffix, columns) in indexes {
        let mut index = String::new();
        Dialect::Sqlite.push_identifier(&mut index, &format!("{name}_{suffix}"));
        let _infallible = write!(
            sql,
            "CREATE {unique} INDEX IF NOT EXISTS {index} ON {table} {columns}; "
        );
    }
    sql
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

const ACKNOWLEDGE: &str = "UPDATE {table} SET state = 3, output = ?3, error = NULL, finished_at = ?4 \
    WHERE id = ?1 AND token = ?2 AND state = 2";

/// Leases come as a JSON array of [id, token].
const RENEW: &str = "UPDATE {table} SET lease_until = ?2 WHERE state = 2 AND (id, token) IN ( \
      SELECT value ->> 0, value ->> 1 FROM json_each(?1)) \
    RETURNING id";
