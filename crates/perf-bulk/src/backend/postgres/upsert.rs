//! Upserts that say what became of each row.
//!
//! `RETURNING` promises no order, so the rows are numbered, and what was written is joined to them by
//! key. `xmax` is 0 in a row that is new.

use super::failure::Failed;
use super::{describe, values};
use crate::backend::sql::{insert_into, push_list, push_on_conflict};
use crate::backend::{Conflict, Target};
use crate::progress::Meter;
use crate::report::Upserted;
use crate::row::BulkRow;
use perf_core::Dialect;
use sqlx::{AssertSqlSafe, PgConnection, Postgres};

const DIALECT: Dialect = Dialect::Postgres;

pub(super) async fn write<R: BulkRow<Postgres> + Sync>(
    connection: &mut PgConnection,
    target: &Target<'_>,
    conflict: &Conflict,
    rows: &[R],
    meter: &mut Meter<'_>,
) -> Result<Vec<Upserted>, Failed> {
    let types = describe::columns(connection, target).await?;
    let mut outcomes = Vec::with_capacity(rows.len());
    while outcomes.len() < rows.len() {
        let first = outcomes.len();
        let size = values::statement_rows(rows.len() - first, target.columns.len());
        let bound = values::arguments(&rows[first..first + size], target, &types)
            .map_err(|failed| failed.offset(first))?;
        let bytes = bound.bytes;
        let sql = AssertSqlSafe(statement(target, conflict, size));
        let written: Vec<Option<bool>> = sqlx::query_scalar_with(sql, bound.arguments)
            .fetch_all(&mut *connection)
            .await
            .map_err(|error| Failed::writing(error, first, size))?;
        outcomes.extend(written.into_iter().map(|inserted| match inserted {
            Some(true) => Upserted::Inserted,
            Some(false) => Upserted::Updated,
            None => Upserted::Kept,
        }));
        meter.advance(size as u64, bytes);
    }
    Ok(outcomes)
}

fn statement(target: &Target<'_>, conflict: &Conflict, rows: usize) -> String {
    let push_column = |sql: &mut String, column: &&str| DIALECT.push_identifier(sql, column);
    let push_key = |sql: &mut String, table: &str, position: &usize| {
        sql.push_str(table);
        DIALECT.push_identifier(sql, target.columns[*position]);
    };
    let mut sql = String::from("WITH input AS (SELECT * FROM (");
    values::push_values(&mut sql, rows, target.columns.len(), |sql, row| {
        sql.push_str(&row.to_string());
        sql.push_str(", ");
    });
    sql.push_str(") AS numbered (perf_bulk_row, ");
    push_list(&mut sql, target.columns, ", ", push_column);
    sql.push_str(")), written AS (");
    sql.push_str(&insert_into(DIALECT, target));
    sql.push_str("SELECT ");
    push_list(&mut sql, target.columns, ", ", push_column);
    sql.push_str(" FROM input");
    push_on_conflict(DIALECT, &mut sql, target, conflict);
    sql.push_str(" RETURNING ");
    push_list(&mut sql, &conflict.key, ", ", |sql, position| {
        push_key(sql, "", position);
    });
    sql.push_str(", xmax = 0 AS perf_bulk_inserted) SELECT CASE WHEN ");
    push_list(&mut sql, &conflict.key, " OR ", |sql, position| {
        push_key(sql, "input.", position);
        sql.push_str(" IS NULL");
    });
    sql.push_str(" THEN true ELSE perf_bulk_inserted END FROM input LEFT JOIN written ON ");
    push_list(&mut sql, &conflict.key, " AND ", |sql, position| {
        push_key(sql, "input.", position);
        sql.push_str(" = ");
        push_key(sql, "written.", position);
    });
    sql.push_str(" ORDER BY perf_bulk_row");
    sql
}
