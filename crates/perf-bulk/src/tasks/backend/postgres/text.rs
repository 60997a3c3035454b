//! The statements.

use super::super::sql::{Common, indexes};
use crate::table::quoted;
use perf_core::Dialect;

/// Every statement on one table.
#[derive(Debug)]
pub(super) struct Text {
    table: String,
    pub(super) create: String,
    pub(super) enqueue: String,
    pub(super) by_key: String,
    pub(super) promote: String,
    pub(super) renew: String,
    pub(super) common: Common,
}

impl Text {
    pub(super) fn new(name: &str) -> Self {
        let table = quoted(Dialect::Postgres, name);
        let fill = |text: &str| text.replace("{table}", &table);
        Self {
            create: create(name, &table),
            enqueue: fill(ENQUEUE),
            by_key: fill("SELECT key, id FROM {table} WHERE queue = $1 AND key = ANY($2)"),
            promote: fill(PROMOTE),
            renew: fill(RENEW),
            common: Common::new(&table),
            table,
        }
    }

    /// The exchange with a claim of at most `limit` tasks.
    pub(super) fn exchange(&self, limit: usize) -> String {
        let limit = limit.to_string();
        EXCHANGE
            .replace("{table}", &self.table)
            .replace("{limit}", &limit)
    }
}

fn create(name: &str, table: &str) -> String {
    let name = name.rsplit('.').next().unwrap_or(name);
    let indexes = indexes(Dialect::Postgres, name, table);
    format!("{}{indexes}COMMIT;", CREATE.replace("{table}", table))
}

/// IF NOT EXISTS does not keep two creators apart, so the first statement does.
const CREATE: &str = "BEGIN; SELECT pg_advisory_xact_lock(7236823049183260234); \
    CREATE TABLE IF NOT EXISTS {table} ( \
      id uuid PRIMARY KEY, \
      queue text NOT NULL, \
      name text NOT NULL, \
      args text NOT NULL, \
      key text, \
      state smallint NOT NULL, \
      priority smallint NOT NULL, \
      run_at bigint NOT NULL, \
      attempts int NOT NULL DEFAULT 0, \
      max_attempts int NOT NULL, \
      time_limit bigint, \
      token bigint NOT NULL DEFAULT 0, \
      lease_until bigint, \
      worker text, \
      output text, \
      error text, \
      created_at bigint NOT NULL, \
      finished_at bigint \
    ) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0); ";

const ENQUEUE: &str = "INSERT INTO {table} \
      (id, queue, name, args, key, state, priority, run_at, max_attempts, time_limit, created_at) \
    SELECT id, $2, name, args, key, CASE WHEN run_at > $1 THEN 0 ELSE 1 END, priority, run_at, \
      max_attempts, time_limit, $1 \
    FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::smallint[], $8::bigint[], \
      $9::int[], $10::bigint[]) \
      AS new (id, name, args, key, priority, run_at, max_attempts, time_limit) \
    ORDER BY key \
    ON CONFLICT (queue, key) WHERE key IS NOT NULL DO NOTHING \
    RETURNING id";

/// `state + 0` keeps the planner from the index of leases. By its statistics that one is mostly empty, so it
/// would compare each report with each lease instead of looking tasks up by their ids.
const EXCHANGE: &str = "WITH report AS MATERIALIZED ( \
      SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::bigint[], $5::text[]) \
        AS report (id, token, state, run_at, note) \
    ), forgotten AS ( \
      DELETE FROM {table} AS task USING report \
      WHERE task.id = report.id AND task.token = report.token AND task.state + 0 = 2 \
        AND report.state = 6 \
      RETURNING task.id \
    ), settled AS ( \
      UPDATE {table} AS task SET \
        state = report.state, \
        attempts = task.attempts - CASE WHEN report.state = 1 THEN 1 ELSE 0 END, \
        run_at = CASE WHEN report.state = 0 THEN report.run_at ELSE task.run_at END, \
        output = CASE WHEN report.state = 3 THEN report.note END, \
        error = CASE WHEN report.state = 3 THEN NULL ELSE coalesce(report.note, task.error) END, \
        finished_at = CASE WHEN report.state >= 3 THEN $6 END \
      FROM report \
      WHERE task.id = report.id AND task.token = report.token AND task.state + 0 = 2 \
        AND report.state < 6 \
      RETURNING task.id \
    ), picked AS MATERIALIZED ( \
      SELECT id FROM {table} WHERE queue = $7 AND state = 1 \
      ORDER BY priority DESC, run_at, id LIMIT {limit} FOR UPDATE SKIP LOCKED \
    ), claimed AS ( \
      UPDATE {table} AS task SET \
        state = 2, attempts = task.attempts + 1, token = task.token + 1, lease_until = $8, worker = $9 \
      FROM picked WHERE task.id = picked.id \
      RETURNING task.id, task.token, task.name, task.args, task.attempts, task.max_attempts, \
        task.time_limit, task.run_at, task.priority \
    ) \
    SELECT id, token, name, args, attempts, max_attempts, time_limit, run_at, priority FROM claimed \
    UNION ALL \
    SELECT id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM report \
      WHERE id NOT IN (SELECT id FROM settled UNION ALL SELECT id FROM forgotten)";

/// Rows that a handler's own transaction holds are skipped: it is about to settle them.
const PROMOTE: &str = "WITH due AS ( \
      SELECT id FROM {table} WHERE queue = $1 AND state = 0 AND run_at <= $2 \
      FOR UPDATE SKIP LOCKED \
    ), expired AS ( \
      SELECT id FROM {table} WHERE queue = $1 AND state = 2 AND lease_until <= $2 \
      FOR UPDATE SKIP LOCKED \
    ), moved AS ( \
      UPDATE {table} SET state = 1 \
      WHERE id = ANY(ARRAY(SELECT id FROM due UNION ALL SELECT id FROM expired)) \
    ) \
    SELECT (SELECT count(*) FROM due), (SELECT count(*) FROM expired), \
      (SELECT min(run_at) FROM {table} WHERE queue = $1 AND state = 0 AND run_at > $2)";

/// A lease is lost if no row bears it; one whose row is locked is left as it is.
const RENEW: &str = "WITH lease AS MATERIALIZED ( \
      SELECT * FROM unnest($1::uuid[], $2::bigint[]) AS lease (id, token) \
    ), held AS ( \
      SELECT task.id FROM {table} AS task JOIN lease ON lease.id = task.id \
        AND lease.token = task.token WHERE task.state = 2 \
      FOR UPDATE OF task SKIP LOCKED \
    ), renewed AS ( \
      UPDATE {table} SET lease_until = $3 WHERE id = ANY(ARRAY(SELECT id FROM held)) \
    ) \
    SELECT lease.id FROM lease WHERE NOT EXISTS ( \
      SELECT 1 FROM {table} AS task \
      WHERE task.id = lease.id AND task.token = lease.token AND task.state + 0 = 2)";
