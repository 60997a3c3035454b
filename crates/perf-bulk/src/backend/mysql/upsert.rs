//! Upserts that say what became of each row.
//!
//! `ON DUPLICATE KEY UPDATE` takes any unique key for the one that is meant, and updates a row that has
//! another. So the rows that exist are looked up by their key and locked, the others inserted, and those
//! updated, in three statements for each 128 rows.

use super::cells::MySqlCells;
use super::describe;
use super::failure::{Failed, writing};
use super::statement::{self, bind, fetch, fill, prepare, push_marks, size};
use crate::backend::sql::{push_list, push_table};
use crate::backend::{Conflict, Scope, Target};
use crate::progress::Meter;
use crate::report::Upserted;
use crate::row::BulkRow;
use perf_core::Dialect;
use sqlx::{AssertSqlSafe, MySql, Row};

const DIALECT: Dialect = Dialect::MySql;
/// The most rows of an update, whose every row is compared with every key.
const UPDATE_ROWS: usize = 32;

pub(super) async fn write<R: BulkRow<MySql> + Sync>(
    scope: &mut Scope<'_, MySql>,
    target: &Target<'_>,
    conflict: &Conflict,
    rows: &[R],
    meter: &mut Meter<'_>,
) -> Result<Vec<Upserted>, Failed> {
    let table = describe::table(scope, target).await?;
    let mut cells = MySqlCells::checked(&table.types);
    let mut outcomes = Vec::with_capacity(rows.len());
    while outcomes.len() < rows.len() {
        let first = outcomes.len();
        let (size, bad) = fill(&mut cells, target, &table, &rows[first..]);
        if let Some(failed) = bad {
            return Err(failed.offset(first));
        }
        let part = Part {
            target,
            conflict,
            cells: &cells,
        };
        let written = part.write(scope, size).await;
        outcomes.extend(written.map_err(|failed| failed.offset(first))?);
        meter.advance(size as u64, cells.value_bytes());
    }
    Ok(outcomes)
}

/// The rows of one round.
struct Part<'a> {
    target: &'a Target<'a>,
    conflict: &'a Conflict,
    cells: &'a MySqlCells,
}

impl Part<'_> {
    async fn write(
        &self,
        scope: &mut Scope<'_, MySql>,
        rows: usize,
    ) -> Result<Vec<Upserted>, Failed> {
        let mut outcomes = vec![Upserted::Inserted; rows];
        let existing = match self.conflict.update.is_empty() {
            true => Upserted::Kept,
            false => Upserted::Updated,
        };
        for row in self.lock_existing(scope, rows).await? {
            outcomes[row] = existing;
        }
        let of = |wanted| {
            let rows = outcomes.iter().enumerate();
            rows.filter(|(_, outcome)| **outcome == wanted)
                .map(|(row, _)| row)
                .collect::<Vec<_>>()
        };
        self.insert(scope, &of(Upserted::Inserted)).await?;
        self.update(scope, &of(Upserted::Updated)).await?;
        Ok(outcomes)
    }

    /// The rows whose key exists, which nobody else changes until the end of the transaction.
    async fn lock_existing(
        &self,
        scope: &mut Scope<'_, MySql>,
        rows: usize,
    ) -> Result<Vec<usize>, Failed> {
        let mut sql = String::from("SELECT CASE");
        for row in 0..rows {
            self.push_when(&mut sql);
            sql.push_str(&row.to_string());
        }
        sql.push_str(" END FROM ");
        push_table(DIALECT, &mut sql, self.target);
        self.push_where(&mut sql, rows);
        sql.push_str(" FOR UPDATE");
        let keys = || (0..rows).flat_map(|row| self.key(row));
        let arguments = bind(self.cells, keys().chain(keys()))?;
        let found = fetch(scope, self.target, sql, arguments, (0, rows)).await?;
        let positions = found.iter().map(|row| row.try_get::<i64, _>(0));
        positions
            .map(|position| {
                let position = position.map_err(|error| writing(error, 0, 0))?;
                Ok(usize::try_from(position)
                    .unwrap_or(usize::MAX)
                    .min(rows - 1))
            })
            .collect()
    }

    async fn insert(&self, scope: &mut Scope<'_, MySql>, rows: &[usize]) -> Result<(), Failed> {
        let mut left = rows;
        while !left.is_empty() {
            let (part, rest) = left.split_at(size(left.len(), self.target.columns.len()));
            let sql = statement::insert(self.target, part.len());
            let columns = self.target.columns.len();
            let arguments = statement::arguments(self.cells, columns, part.iter().copied())?;
            self.execute(scope, sql, arguments, part).await?;
            left = rest;
        }
        Ok(())
    }

    async fn update(&self, scope: &mut Scope<'_, MySql>, rows: &[usize]) -> Result<(), Failed> {
        let mut left = rows;
        while !left.is_empty() {
            let most = left.len().min(UPDATE_ROWS);
            let (part, rest) = left.split_at(size(most, self.target.columns.len()));
            let columns = self.target.columns.len();
            let changes = self.conflict.update.iter().flat_map(|column| {
                part.iter().flat_map(move |row| {
                    self.key(*row)
                        .chain(std::iter::once(row * columns + column))
                })
            });
            let keys = part.iter().flat_map(|row| self.key(*row));
            let arguments = bind(self.cells, changes.chain(keys))?;
            let sql = self.update_text(part.len());
            self.execute(scope, sql, arguments, part).await?;
            left = rest;
        }
        Ok(())
    }

    fn update_text(&self, rows: usize) -> String {
        let mut sql = String::from("UPDATE ");
        push_table(DIALECT, &mut sql, self.target);
        sql.push_str(" SET ");
        push_list(&mut sql, &self.conflict.update, ", ", |sql, column| {
            let column = self.target.columns[*column];
            DIALECT.push_identifier(sql, column);
            sql.push_str(" = CASE");
            for _ in 0..rows {
                self.push_when(sql);
                sql.push('?');
            }
            sql.push_str(" ELSE ");
            DIALECT.push_identifier(sql, column);
            sql.push_str(" END");
        });
        self.push_where(&mut sql, rows);
        sql
    }

    async fn execute(
        &self,
        scope: &mut Scope<'_, MySql>,
        sql: String,
        arguments: sqlx::mysql::MySqlArguments,
        rows: &[usize],
    ) -> Result<(), Failed> {
        prepare(scope, self.target, &sql).await?;
        let outcome = sqlx::query_with(AssertSqlSafe(sql), arguments)
            .execute(&mut *scope.connection)
            .await;
        outcome.map(drop).map_err(|error| {
            let failed = writing(error, 0, rows.len());
            let index = |row: u64| usize::try_from(row).map_or(row, |row| rows[row] as u64);
            Failed {
                at: failed.at.map(|at| rows[at]),
                error: failed.error.map_row(index),
                ..failed
            }
        })
    }

    /// Where the values of a row's key are.
    fn key(&self, row: usize) -> impl Iterator<Item = usize> {
        let columns = self.target.columns.len();
        let positions = self.conflict.key.iter();
        positions.map(move |position| row * columns + position)
    }

    /// ` WHEN key = ? THEN `
    fn push_when(&self, sql: &mut String) {
        sql.push_str(" WHEN ");
        push_list(sql, &self.conflict.key, " AND ", |sql, position| {
            DIALECT.push_identifier(sql, self.target.columns[*position]);
            sql.push_str(" = ?");
        });
        sql.push_str(" THEN ");
    }

    /// ` WHERE (key) IN ((?), …)`
    fn push_where(&self, sql: &mut String, rows: usize) {
        sql.push_str(" WHERE (");
        push_list(sql, &self.conflict.key, ", ", |sql, position| {
            DIALECT.push_identifier(sql, self.target.columns[*position]);
        });
        sql.push_str(") IN (");
        push_marks(sql, rows, self.conflict.key.len());
        sql.push(')');
    }
}
