//! The types of a table's columns, and the limits of the session.

use super::failure::{Failed, describe_error};
use super::transaction::BEGIN_WRITING;
use crate::backend::sql::{push_list, push_table};
use crate::backend::{Scope, Target};
use perf_core::Dialect;
use sqlx::mysql::{MySqlRow, MySqlTypeInfo};
use sqlx::{AssertSqlSafe, Column, MySql, Row};
use std::sync::Arc;

/// What a transaction has found out about its table.
#[derive(Debug)]
pub(super) struct Table {
    select: String,
    pub(super) types: Vec<MySqlTypeInfo>,
    /// The most bytes of a statement.
    pub(super) packet_bytes: usize,
    /// The distance between the numbers that the database hands out.
    pub(super) increment: i64,
    pub(super) is_mariadb: bool,
}

/// One round trip for a transaction, which also lets it write, and by the text protocol: what the driver would
/// prepare for it would be a moment more in which a call must not be dropped.
pub(super) async fn table(
    scope: &mut Scope<'_, MySql>,
    target: &Target<'_>,
) -> Result<Arc<Table>, Failed> {
    let select = select(target);
    if let Some(table) = &scope.session.table
        && table.select == select
    {
        return Ok(Arc::clone(table));
    }
    let begin = match scope.session.writes {
        true => "",
        false => BEGIN_WRITING,
    };
    let sql = format!(
        "{begin}SELECT CAST(@@max_allowed_packet AS SIGNED), CAST(@@auto_increment_increment AS SIGNED), \
         VERSION() LIKE '%MariaDB%', columns.* \
         FROM (SELECT 1) AS one LEFT JOIN ({select} LIMIT 0) AS columns ON 1 = 1"
    );
    let row = sqlx::raw_sql(AssertSqlSafe(sql))
        .fetch_one(&mut *scope.connection)
        .await
        .map_err(|error| Failed::fatal(describe_error(error, target)))?;
    scope.session.writes = true;
    let table = read(&row, select).map_err(|error| Failed::fatal(describe_error(error, target)))?;
    let table = Arc::new(table);
    scope.session.table = Some(Arc::clone(&table));
    Ok(table)
}

fn read(row: &MySqlRow, select: String) -> Result<Table, sqlx::Error> {
    let types = row.columns().iter().skip(3);
    Ok(Table {
        select,
        types: types.map(|column| column.type_info().clone()).collect(),
        packet_bytes: usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or(usize::MAX),
        increment: row.try_get(1)?,
        is_mariadb: row.try_get::<i64, _>(2)? != 0,
    })
}

fn select(target: &Target<'_>) -> String {
    let mut sql = String::from("SELECT ");
    push_list(&mut sql, target.columns, ", ", |sql, column| {
        Dialect::MySql.push_identifier(sql, column);
    });
    sql.push_str(" FROM ");
    push_table(Dialect::MySql, &mut sql, target);
    sql
}
