//! The types of a table's columns, and how the server is reached.

use super::failure::{Failed, database_error, describe_error};
use crate::backend::sql::{push_list, push_table};
use crate::backend::{Scope, Target};
use perf_core::Dialect;
use sqlx::postgres::{PgRow, PgTypeInfo};
use sqlx::{
    AssertSqlSafe, Column, Connection, Executor, PgConnection, Postgres, Row, SqlSafeStr, Statement,
};
use std::sync::Arc;

/// How the server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Unix,
    Tcp,
}

/// What a transaction has found out about its table. It holds to the transaction's end, because having
/// read the table locks its definition.
#[derive(Debug)]
pub(super) struct Known {
    select: String,
    types: Arc<[PgTypeInfo]>,
    transport: Transport,
}

/// The columns' types. The driver remembers them: only the first call on a connection costs a round trip.
///
/// What it remembers may be outdated. Whoever uses it sends parameters of these types, which the server
/// checks.
pub(super) async fn columns(
    connection: &mut PgConnection,
    target: &Target<'_>,
) -> Result<Arc<[PgTypeInfo]>, Failed> {
    let sql = AssertSqlSafe(select(target)).into_sql_str();
    let statement = connection
        .prepare(sql)
        .await
        .map_err(|error| Failed::fatal(describe_error(error, target)))?;
    let columns = statement.columns().iter();
    Ok(columns.map(|column| column.type_info().clone()).collect())
}

/// The columns' types as they are now, and how the server is reached. One round trip for a transaction.
pub(super) async fn columns_and_transport(
    scope: &mut Scope<'_, Postgres>,
    target: &Target<'_>,
) -> Result<(Arc<[PgTypeInfo]>, Transport), Failed> {
    let select = select(target);
    let known = scope.session.known.take();
    let known = match known.filter(|known| known.select == select) {
        Some(known) => known,
        None => ask(scope, target, select).await?,
    };
    let answer = (Arc::clone(&known.types), known.transport);
    scope.session.known = Some(known);
    Ok(answer)
}

async fn ask(
    connection: &mut PgConnection,
    target: &Target<'_>,
    select: String,
) -> Result<Known, Failed> {
    let sql = format!(
        "SELECT inet_client_addr() IS NOT NULL, columns.* \
         FROM (SELECT) AS one LEFT JOIN ({select} LIMIT 0) AS columns ON true"
    );
    // The server refuses a statement prepared before its columns changed, so what it accepts is true.
    let row = match sqlx::query(AssertSqlSafe(sql))
        .fetch_one(&mut *connection)
        .await
    {
        Ok(row) => row,
        Err(error) => {
            forget_outdated(connection, &error).await;
            return Err(Failed::fatal(describe_error(error, target)));
        }
    };
    let is_tcp: bool = row
        .try_get(0)
        .map_err(|error| Failed::fatal(describe_error(error, target)))?;
    let transport = match is_tcp {
        true => Transport::Tcp,
        false => Transport::Unix,
    };
    Ok(Known {
        select,
        types: types(&row),
        transport,
    })
}

fn types(row: &PgRow) -> Arc<[PgTypeInfo]> {
    let columns = row.columns().iter().skip(1);
    columns.map(|column| column.type_info().clone()).collect()
}

/// Lets the next call prepare anew when the table has changed.
async fn forget_outdated(connection: &mut PgConnection, error: &sqlx::Error) {
    const CACHED_PLAN_MUST_NOT_CHANGE: &str = "0A000";
    if database_error(error).is_some_and(|error| error.code() == CACHED_PLAN_MUST_NOT_CHANGE) {
        // Should this fail, so will the next call, and tries again.
        let _outcome = connection.clear_cached_statements().await;
    }
}

fn select(target: &Target<'_>) -> String {
    let mut sql = String::from("SELECT ");
    push_list(&mut sql, target.columns, ", ", |sql, column| {
        Dialect::Postgres.push_identifier(sql, column);
    });
    sql.push_str(" FROM ");
    push_table(Dialect::Postgres, &mut sql, target);
    sql
}
