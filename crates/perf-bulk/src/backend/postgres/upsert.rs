//! Upserts that say what became of each row.
//!
//! `RETURNING` promises no order, so the rows are numbered, and what was written is joined to them by
//! key. `xmax` is 0 in a row that is new. Many rows are copied into a temporary table first: making it
//! costs some milliseconds, which a few thousand rows pay for.

use super::describe::Transport;
use super::failure::{Failed, writing};
use super::input::{Bound, Form, ORDINAL};
use super::way::{self, Way};
use super::{copy, numbered};
use crate::backend::on_conflict::push_on_conflict;
use crate::backend::sql::{insert_into, push_list, push_table};
use crate::backend::{Conflict, Scope, Target};
use crate::progress::Meter;
use crate::report::Upserted;
use crate::row::BulkRow;
use perf_core::Dialect;
use sqlx::postgres::PgTypeInfo;
use sqlx::{AssertSqlSafe, Executor, PgConnection, Postgres, Type};

const DIALECT: Dialect = Dialect::Postgres;
const STAGE: &str = "pg_temp.perf_bulk_stage";

pub(super) async fn write<R: BulkRow<Postgres> + Sync>(
    scope: &mut Scope<'_, Postgres>,
    target: &Target<'_>,
    conflict: &Conflict,
    rows: &[R],
    meter: &mut Meter<'_>,
) -> Result<Vec<Upserted>, Failed> {
    let (types, way) = way::of_upsert(scope, target, rows).await?;
    match way {
        Way::Copy(transport) => {
            staged(scope, target, conflict, &types, transport, rows, meter).await
        }
        Way::Statements(form) => {
            by_statements(scope, target, conflict, &types, form, rows, meter).await
        }
    }
}

async fn by_statements<R: BulkRow<Postgres> + Sync>(
    connection: &mut PgConnection,
    target: &Target<'_>,
    conflict: &Conflict,
    types: &[PgTypeInfo],
    form: Form,
    rows: &[R],
    meter: &mut Meter<'_>,
) -> Result<Vec<Upserted>, Failed> {
    let mut outcomes = Vec::with_capacity(rows.len());
    while outcomes.len() < rows.len() {
        let first = outcomes.len();
        let size = form.statement_rows(rows.len() - first, target.columns.len());
        let bound = Bound::new(form, &rows[first..first + size], target, types)
            .map_err(|failed| failed.offset(first))?;
        let bytes = bound.bytes;
        let mut input = String::new();
        form.push(&mut input, size, target.columns);
        let sql = AssertSqlSafe(statement(target, conflict, &input));
        let written: Vec<Option<bool>> = sqlx::query_scalar_with(sql, bound.arguments)
            .fetch_all(&mut *connection)
            .await
            .map_err(|error| writing(error, first, size))?;
        outcomes.extend(written.into_iter().map(outcome));
        meter.advance(size as u64, bytes);
    }
    Ok(outcomes)
}

async fn staged<R: BulkRow<Postgres> + Sync>(
    scope: &mut Scope<'_, Postgres>,
    target: &Target<'_>,
    conflict: &Conflict,
    types: &[PgTypeInfo],
    transport: Transport,
    rows: &[R],
    meter: &mut Meter<'_>,
) -> Result<Vec<Upserted>, Failed> {
    let failed = |error| writing(error, 0, rows.len());
    let create = AssertSqlSafe(create_stage(target));
    sqlx::raw_sql(create)
        .execute(&mut *scope.connection)
        .await
        .map_err(failed)?;
    let columns = numbered::columns(ORDINAL, target.columns);
    let stage = Target {
        table: STAGE,
        columns: &columns,
        ..*target
    };
    let ordinal = [<i64 as Type<Postgres>>::type_info()];
    let types = [&ordinal[..], types].concat();
    let rows = numbered::number(rows, 1..);
    copy::write(scope, &stage, &types, transport, &rows, meter).await?;
    let sql = AssertSqlSafe(statement(target, conflict, &format!("{STAGE} AS input")));
    let written: Vec<Option<bool>> = sqlx::query_scalar(sql)
        .fetch_all(&mut *scope.connection)
        .await
        .map_err(failed)?;
    scope
        .connection
        .execute("DROP TABLE pg_temp.perf_bulk_stage")
        .await
        .map_err(failed)?;
    Ok(written.into_iter().map(outcome).collect())
}

const fn outcome(inserted: Option<bool>) -> Upserted {
    match inserted {
        Some(true) => Upserted::Inserted,
        Some(false) => Upserted::Updated,
        None => Upserted::Kept,
    }
}

fn create_stage(target: &Target<'_>) -> String {
    let mut sql = format!(
        "CREATE TEMPORARY TABLE perf_bulk_stage ON COMMIT DROP AS SELECT 0::bigint AS {ORDINAL}, "
    );
    push_list(&mut sql, target.columns, ", ", push_column);
    sql.push_str(" FROM ");
    push_table(DIALECT, &mut sql, target);
    sql.push_str(" WITH NO DATA");
    sql
}

/// The upsert of `input`, a relation with a column more than the target: the rows' numbers.
fn statement(target: &Target<'_>, conflict: &Conflict, input: &str) -> String {
    let push_key = |sql: &mut String, table: &str, position: &usize| {
        sql.push_str(table);
        DIALECT.push_identifier(sql, target.columns[*position]);
    };
    let mut sql = format!("WITH input AS (SELECT * FROM {input}), written AS (");
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
    sql.push_str(" ORDER BY ");
    sql.push_str(ORDINAL);
    sql
}

fn push_column(sql: &mut String, column: &&str) {
    DIALECT.push_identifier(sql, column);
}
