//! Rows by ordinary statements, which the server checks the types of.

use super::failure::{Failed, writing};
use super::input::{Bound, Form, push_values};
use crate::backend::Target;
use crate::backend::sql::insert_into;
use crate::progress::Meter;
use crate::row::BulkRow;
use perf_core::Dialect;
use sqlx::postgres::PgTypeInfo;
use sqlx::{AssertSqlSafe, PgConnection, Postgres};

pub(super) async fn write<R: BulkRow<Postgres> + Sync>(
    connection: &mut PgConnection,
    target: &Target<'_>,
    types: &[PgTypeInfo],
    form: Form,
    rows: &[R],
    meter: &mut Meter<'_>,
) -> Result<(), Failed> {
    let mut first = 0;
    while first < rows.len() {
        let size = form.statement_rows(rows.len() - first, target.columns.len());
        let batch = &rows[first..first + size];
        let bound =
            Bound::new(form, batch, target, types).map_err(|failed| failed.offset(first))?;
        let bytes = bound.bytes;
        sqlx::query_with(AssertSqlSafe(text(target, form, size)), bound.arguments)
            .execute(&mut *connection)
            .await
            .map_err(|error| writing(error, first, size))?;
        meter.advance(size as u64, bytes);
        first += size;
    }
    Ok(())
}

fn text(target: &Target<'_>, form: Form, rows: usize) -> String {
    let mut sql = insert_into(Dialect::Postgres, target);
    let columns = target.columns.len();
    match form {
        Form::Values => push_values(&mut sql, rows, columns, |_, _| {}),
        Form::Unnest => {
            sql.push_str("SELECT * FROM unnest(");
            for position in 1..=columns {
                if position > 1 {
                    sql.push_str(", ");
                }
                Dialect::Postgres.push_placeholder(&mut sql, position);
            }
            sql.push(')');
        }
    }
    sql
}
