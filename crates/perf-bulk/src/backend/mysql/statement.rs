//! Statements of one of a few sizes, prepared in a way that survives being dropped.

use super::cells::MySqlCells;
use super::describe::Table;
use super::encode;
use super::failure::{Failed, database_failure, describe_error, writing};
use crate::backend::sql::insert_into;
use crate::backend::{Scope, Target};
use crate::error::BulkError;
use crate::row::BulkRow;
use perf_core::Dialect;
use sqlx::mysql::{MySqlArguments, MySqlQueryResult, MySqlRow};
use sqlx::{AssertSqlSafe, Connection, Executor, MySql, SqlSafeStr};
use std::future::Future;
use std::ops::Range;

/// The most rows of a statement.
const MAX_ROWS: usize = 100;
/// Up to here every size has its own statement.
const ANY_SIZE_BELOW: usize = 16;
/// The most bytes of values in a statement of several rows: beyond 16 MiB a message comes in parts, which
/// the driver copies together.
const MAX_BYTES: usize = 8 << 20;
/// What a statement takes beside its values, for each value: its type and its bit among the NULLs, amply.
const BYTES_PER_VALUE: usize = 4;

/// What a statement is to do with its rows beside writing them.
pub(super) trait Form: Send {
    /// What stands behind the rows.
    fn suffix(&self) -> String;

    /// Runs the statement about a range of rows; if it fails, it leaves no trace.
    fn execute(
        &mut self,
        scope: &mut Scope<'_, MySql>,
        target: &Target<'_>,
        statement: Statement,
        rows: Range<usize>,
    ) -> impl Future<Output = Result<(), Failed>> + Send;
}

/// Nothing.
#[derive(Debug)]
pub(super) struct Plain;

impl Form for Plain {
    fn suffix(&self) -> String {
        String::new()
    }

    async fn execute(
        &mut self,
        scope: &mut Scope<'_, MySql>,
        target: &Target<'_>,
        statement: Statement,
        rows: Range<usize>,
    ) -> Result<(), Failed> {
        let done = statement.execute(scope, target, rows.len()).await;
        done.map(drop).map_err(|failed| failed.offset(rows.start))
    }
}

/// A statement with its arguments.
#[derive(Debug)]
pub(super) struct Statement {
    sql: String,
    arguments: MySqlArguments,
}

impl Statement {
    pub(super) const fn new(sql: String, arguments: MySqlArguments) -> Self {
        Self { sql, arguments }
    }

    /// `INSERT INTO … VALUES (…), …` of a range of the rows in `cells`, and a suffix.
    pub(super) fn insert(
        target: &Target<'_>,
        suffix: &str,
        cells: &MySqlCells,
        rows: Range<usize>,
    ) -> Result<Self, Failed> {
        let sql = insert(target, rows.len()) + suffix;
        let arguments = arguments(cells, target.columns.len(), rows)?;
        Ok(Self::new(sql, arguments))
    }

    /// Runs the statement, which concerns `rows` rows.
    pub(super) async fn execute(
        self,
        scope: &mut Scope<'_, MySql>,
        target: &Target<'_>,
        rows: usize,
    ) -> Result<MySqlQueryResult, Failed> {
        prepare(scope, target, &self.sql).await?;
        sqlx::query_with(AssertSqlSafe(self.sql), self.arguments)
            .execute(&mut *scope.connection)
            .await
            .map_err(|error| writing(error, rows))
    }

    /// As `execute`, for one that returns something.
    pub(super) async fn fetch(
        self,
        scope: &mut Scope<'_, MySql>,
        target: &Target<'_>,
        rows: usize,
    ) -> Result<Vec<MySqlRow>, Failed> {
        prepare(scope, target, &self.sql).await?;
        sqlx::query_with(AssertSqlSafe(self.sql), self.arguments)
            .fetch_all(&mut *scope.connection)
            .await
            .map_err(|error| writing(error, rows))
    }
}

/// `INSERT INTO … VALUES (?, …), …`
pub(super) fn insert(target: &Target<'_>, rows: usize) -> String {
    let mut sql = insert_into(Dialect::MySql, target);
    sql.push_str("VALUES ");
    push_marks(&mut sql, rows, target.columns.len());
    sql
}

/// Appends `(?, …), …`
pub(super) fn push_marks(sql: &mut String, rows: usize, columns: usize) {
    let marks = format!("({})", vec!["?"; columns].join(", "));
    sql.push_str(&vec![marks; rows].join(", "));
}

/// All values of some rows.
pub(super) fn arguments(
    cells: &MySqlCells,
    columns: usize,
    rows: impl IntoIterator<Item = usize>,
) -> Result<MySqlArguments, Failed> {
    let indices = rows
        .into_iter()
        .flat_map(|row| row * columns..(row + 1) * columns);
    bind(cells, indices)
}

/// The values at `indices`, counted through all rows.
pub(super) fn bind(
    cells: &MySqlCells,
    indices: impl IntoIterator<Item = usize>,
) -> Result<MySqlArguments, Failed> {
    let mut arguments = MySqlArguments::default();
    for index in indices {
        cells
            .bind(index, &mut arguments)
            .map_err(|source| Failed::fatal(database_failure(sqlx::Error::Encode(source))))?;
    }
    Ok(arguments)
}

/// Encodes as many of `rows` as go into the next statement; with the error of the one after them if that is
/// why there are no more.
pub(super) fn fill<R: BulkRow<MySql>>(
    cells: &mut MySqlCells,
    target: &Target<'_>,
    table: &Table,
    rows: &[R],
) -> (usize, Option<Failed>) {
    cells.clear();
    let most = size(rows.len(), target.columns.len());
    let overhead = BYTES_PER_VALUE * target.columns.len();
    let fits = |bytes: u64, rows: usize| {
        usize::try_from(bytes).is_ok_and(|bytes| bytes + rows * overhead < table.packet_bytes)
    };
    for (at, row) in rows[..most].iter().enumerate() {
        if let Err(error) = encode(row, at, target, cells) {
            return (at, Some(Failed::encoding(at, error)));
        }
        let bytes = cells.value_bytes();
        let is_full = at > 0 && (bytes > MAX_BYTES as u64 || !fits(bytes, at + 1));
        if is_full {
            cells.undo_row();
            return (at, None);
        }
        if !fits(bytes, 1) {
            let error = BulkError::RowTooLarge {
                row: at as u64,
                source: format!(
                    "{bytes} bytes, where max_allowed_packet is {}",
                    table.packet_bytes
                )
                .into(),
            };
            return (at, Some(Failed::encoding(at, error)));
        }
    }
    (most, None)
}

/// How many of `left` rows go into the next statement.
pub(super) fn size(left: usize, columns: usize) -> usize {
    let most = (Dialect::MySql.max_binds() / columns.max(1)).clamp(1, MAX_ROWS);
    if left >= most {
        most
    } else if left < ANY_SIZE_BELOW {
        left
    } else {
        1 << left.ilog2()
    }
}

/// Prepares a statement that the driver then finds prepared.
///
/// Were it prepared at its execution and that dropped midway, the driver would take the answer to the one
/// for that to the other. Prepared by itself, it is known when to give the connection up.
async fn prepare(
    scope: &mut Scope<'_, MySql>,
    target: &Target<'_>,
    sql: &str,
) -> Result<(), Failed> {
    scope.session.preparing = true;
    let sql = AssertSqlSafe(sql).into_sql_str();
    let outcome = scope.connection.prepare(sql).await.map(drop);
    scope.session.preparing = false;
    outcome.map_err(|error| Failed::fatal(describe_error(error, target)))?;
    if scope.connection.cached_statements_size() == 0 {
        return Err(Failed::fatal(BulkError::Config(
            "the connection must keep prepared statements",
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn statements_cover_all_rows_within_the_bind_limit(rows in 1_usize..5_000, columns in 1_usize..4_096) {
            let mut left = rows;
            let mut sizes = std::collections::HashSet::new();
            while left > 0 {
                let size = size(left, columns);
                prop_assert!(size >= 1 && size <= left && size * columns <= 65_535);
                sizes.insert(size);
                left -= size;
            }
            prop_assert!(sizes.len() <= 8, "{} statements to prepare", sizes.len());
        }
    }

    #[test]
    fn identifiers_are_quoted_and_values_bound() {
        assert_eq!(
            insert(&Target::new("archive.pl`anes", &["tailnum", "seats"]), 2),
            "INSERT INTO `archive`.`pl``anes` (`tailnum`, `seats`) VALUES (?, ?), (?, ?)"
        );
    }
}
