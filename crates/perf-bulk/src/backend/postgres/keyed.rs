//! Rows found by their keys: the keys, and what goes with them, are a relation that the table is joined to.

use super::describe;
use super::failure::{Failed, writing};
use super::input::{Bound, Form, ORDINAL, can_unnest};
use crate::backend::sql::{push_list, push_table};
use crate::backend::{Conflict, Target};
use crate::progress::Meter;
use crate::row::BulkRow;
use perf_core::Dialect;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Row};

const DIALECT: Dialect = Dialect::Postgres;

pub(super) async fn update<R: BulkRow<Postgres> + Sync>(
    connection: &mut PgConnection,
    target: &Target<'_>,
    conflict: &Conflict,
    rows: &[R],
    meter: &mut Meter<'_>,
) -> Result<Vec<bool>, Failed> {
    let sql = |input: &str| {
        let mut sql = String::from("UPDATE ");
        push_table(DIALECT, &mut sql, target);
        sql.push_str(" AS target SET ");
        push_list(&mut sql, &conflict.update, ", ", |sql, position| {
            let column = target.columns[*position];
            DIALECT.push_identifier(sql, column);
            sql.push_str(" = input.");
            DIALECT.push_identifier(sql, column);
        });
        sql.push_str(" FROM ");
        sql.push_str(input);
        push_where(&mut sql, target, &conflict.key);
        sql
    };
    let found = each(connection, target, rows, sql, meter).await?;
    Ok(matched(&found, rows.len()))
}

pub(super) async fn delete<R: BulkRow<Postgres> + Sync>(
    connection: &mut PgConnection,
    target: &Target<'_>,
    keys: &[R],
    meter: &mut Meter<'_>,
) -> Result<Vec<bool>, Failed> {
    let sql = |input: &str| {
        let mut sql = String::from("DELETE FROM ");
        push_table(DIALECT, &mut sql, target);
        sql.push_str(" AS target USING ");
        sql.push_str(input);
        push_where(&mut sql, target, &all(target));
        sql
    };
    let found = each(connection, target, keys, sql, meter).await?;
    Ok(matched(&found, keys.len()))
}

pub(super) async fn read<R: BulkRow<Postgres> + Sync>(
    connection: &mut PgConnection,
    target: &Target<'_>,
    keys: &[R],
) -> Result<Vec<(usize, PgRow)>, Failed> {
    let sql = |input: &str| {
        let mut sql = format!("SELECT target.*, {ORDINAL}::bigint FROM {input} JOIN ");
        push_table(DIALECT, &mut sql, target);
        sql.push_str(" AS target ON ");
        push_equal(&mut sql, target, &all(target));
        sql
    };
    let clock = std::sync::Arc::new(perf_core::SystemClock);
    let mut meter = Meter::start(clock, None, None);
    each(connection, target, keys, sql, &mut meter).await
}

/// Runs the statement that `sql` makes of its input for all rows; what it returns, each with the position
/// of the row that it is about.
async fn each<R: BulkRow<Postgres> + Sync>(
    connection: &mut PgConnection,
    target: &Target<'_>,
    rows: &[R],
    sql: impl Fn(&str) -> String + Send,
    meter: &mut Meter<'_>,
) -> Result<Vec<(usize, PgRow)>, Failed> {
    let types = describe::columns(connection, target).await?;
    let form = if can_unnest(&types) {
        Form::Unnest
    } else {
        Form::Values
    };
    let (mut first, mut found) = (0, Vec::new());
    while first < rows.len() {
        let size = form.statement_rows(rows.len() - first, target.columns.len());
        let bound = Bound::new(form, &rows[first..first + size], target, &types)
            .map_err(|failed| failed.offset(first))?;
        let mut input = String::new();
        form.push(&mut input, size, target.columns);
        let failed = |error| writing(error, first, size);
        let returned = sqlx::query_with(AssertSqlSafe(sql(&input)), bound.arguments)
            .fetch_all(&mut *connection)
            .await
            .map_err(failed)?;
        for row in returned {
            let ordinal: i64 = row.try_get(row.len() - 1).map_err(failed)?;
            let position = usize::try_from(ordinal).unwrap_or(0).saturating_sub(1);
            found.push((first + position, row));
        }
        meter.advance(size as u64, bound.bytes);
        first += size;
    }
    Ok(found)
}

fn matched(found: &[(usize, PgRow)], rows: usize) -> Vec<bool> {
    let mut matched = vec![false; rows];
    for (position, _) in found {
        matched[*position] = true;
    }
    matched
}

fn all(target: &Target<'_>) -> Vec<usize> {
    (0..target.columns.len()).collect()
}

/// ` WHERE … RETURNING` the ordinal
fn push_where(sql: &mut String, target: &Target<'_>, key: &[usize]) {
    sql.push_str(" WHERE ");
    push_equal(sql, target, key);
    sql.push_str(" RETURNING ");
    sql.push_str(ORDINAL);
    sql.push_str("::bigint");
}

fn push_equal(sql: &mut String, target: &Target<'_>, key: &[usize]) {
    push_list(sql, key, " AND ", |sql, position| {
        let column = target.columns[*position];
        sql.push_str("target.");
        DIALECT.push_identifier(sql, column);
        sql.push_str(" = input.");
        DIALECT.push_identifier(sql, column);
    });
}
