//! Ids that belong to their rows because we hand them out.
//!
//! `RETURNING` promises no order, so an id that comes back cannot be told whose it is. Instead as many
//! numbers as there are rows are drawn from the column's own sequence, which gives each to one caller only,
//! and the rows are written with them. That holds if nobody changes them on the way: a column that
//! takes its numbers from elsewhere, and a table whose triggers or rules could, are refused.

use super::failure::{Failed, writing};
use super::numbered;
use crate::backend::sql::push_table;
use crate::backend::{Rejection, Scope, Target};
use crate::error::BulkError;
use crate::progress::Meter;
use crate::row::BulkRow;
use perf_core::Dialect;
use sqlx::Postgres;
use sqlx::postgres::types::Oid;

/// Where a column takes its numbers from, and why that might be undone.
const SEQUENCE: &str = "\
    SELECT sequence::regclass::oid, \
        attidentity <> '' OR coalesce(pg_get_expr(adbin, adrelid) \
            = 'nextval(' || quote_literal(sequence::regclass::text) || '::regclass)', false), \
        relkind NOT IN ('r', 'p') OR relhasrules OR EXISTS ( \
            SELECT FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D' AND tgtype & 7 = 7 \
                AND (tgrelid = pg_class.oid OR tgrelid IN (SELECT relid FROM pg_partition_tree(pg_class.oid)))) \
    FROM pg_class \
        JOIN pg_attribute ON attrelid = pg_class.oid AND attname = $2 AND NOT attisdropped \
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum, \
        pg_get_serial_sequence($1, $2) AS sequence \
    WHERE pg_class.oid = $1::text::regclass";

/// By the sequence's identifier: its name would be looked up for each number.
const RESERVE: &str = "SELECT array(SELECT nextval($1::oid::regclass) FROM generate_series(1, $2))";

pub(super) async fn insert<R: BulkRow<Postgres> + Sync>(
    scope: &mut Scope<'_, Postgres>,
    target: &Target<'_>,
    id: &str,
    isolate: bool,
    rows: &[R],
    ids: &mut Vec<i64>,
    meter: &mut Meter<'_>,
) -> Result<(), Rejection> {
    let reserved = reserve(scope, target, id, rows.len())
        .await
        .map_err(|failed| failed.into_rejection(false))?;
    let columns = numbered::columns(id, target.columns);
    let target = Target {
        columns: &columns,
        overriding: true,
        ..*target
    };
    let rows = numbered::number(rows, reserved.iter().copied());
    let outcome = super::write(scope, &target, isolate, &rows, meter).await;
    let written = match &outcome {
        Ok(()) => rows.len(),
        Err(rejection) => rejection.at,
    };
    ids.extend_from_slice(&reserved[..written]);
    outcome
}

async fn reserve(
    scope: &mut Scope<'_, Postgres>,
    target: &Target<'_>,
    id: &str,
    count: usize,
) -> Result<Vec<i64>, Failed> {
    if scope.session.sequence.is_none() {
        scope.session.sequence = Some(sequence(scope, target, id).await?);
    }
    let Scope {
        connection,
        session,
        ..
    } = scope;
    let ids: Vec<i64> = sqlx::query_scalar(RESERVE)
        .bind(session.sequence)
        .bind(i64::try_from(count).unwrap_or(i64::MAX))
        .fetch_one(&mut **connection)
        .await
        .map_err(|error| writing(error, 0, count))?;
    if ids.len() == count {
        Ok(ids)
    } else {
        Err(refused(id, "its sequence gave too few numbers"))
    }
}

async fn sequence(
    scope: &mut Scope<'_, Postgres>,
    target: &Target<'_>,
    id: &str,
) -> Result<Oid, Failed> {
    if target.columns.contains(&id) {
        return Err(refused(id, "the rows have a value for it"));
    }
    let mut table = String::new();
    push_table(Dialect::Postgres, &mut table, target);
    let found: Option<(Option<Oid>, bool, bool)> = sqlx::query_as(SEQUENCE)
        .bind(table)
        .bind(id)
        .fetch_optional(&mut *scope.connection)
        .await
        .map_err(|error| writing(error, 0, 0))?;
    match found {
        None => Err(Failed::fatal(BulkError::UnknownColumn {
            table: target.table.to_owned(),
            column: id.to_owned(),
        })),
        Some((_, _, true)) => Err(refused(
            id,
            "a trigger or a rule of the table may change it",
        )),
        Some((Some(sequence), true, false)) => Ok(sequence),
        Some(_) => Err(refused(id, "it has no sequence of its own as its default")),
    }
}

fn refused(column: &str, reason: &'static str) -> Failed {
    Failed::fatal(BulkError::OrderUnprovable {
        column: column.to_owned(),
        reason,
    })
}
