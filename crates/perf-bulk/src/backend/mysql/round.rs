//! Statements about up to a hundred rows that are found by their keys.

use super::cells::MySqlCells;
use super::failure::{Failed, writing};
use super::statement::{Statement, arguments, bind, insert, push_marks, size};
use crate::backend::sql::{push_list, push_table};
use crate::backend::{Conflict, Scope, Target};
use perf_core::Dialect;
use sqlx::mysql::MySqlRow;
use sqlx::{MySql, Row};

const DIALECT: Dialect = Dialect::MySql;
/// The most rows of an update, whose every row is compared with every key.
const UPDATE_ROWS: usize = 32;

/// The rows of one round.
pub(super) struct Round<'a> {
    target: &'a Target<'a>,
    pub(super) conflict: &'a Conflict,
    cells: &'a MySqlCells,
}

impl<'a> Round<'a> {
    pub(super) const fn new(
        target: &'a Target<'a>,
        conflict: &'a Conflict,
        cells: &'a MySqlCells,
    ) -> Self {
        Self {
            target,
            conflict,
            cells,
        }
    }

    /// The rows whose key exists, which nobody else changes until the end of the transaction.
    pub(super) async fn lock_existing(
        &self,
        scope: &mut Scope<'_, MySql>,
        rows: usize,
    ) -> Result<Vec<usize>, Failed> {
        let mut sql = String::from("SELECT ");
        self.push_position(&mut sql, rows);
        sql.push_str(" FROM ");
        push_table(DIALECT, &mut sql, self.target);
        self.push_where(&mut sql, rows);
        sql.push_str(" FOR UPDATE");
        let arguments = bind(self.cells, self.keys(rows).chain(self.keys(rows)))?;
        let statement = Statement::new(sql, arguments);
        let found = statement.fetch(scope, self.target, rows).await?;
        let positions = found.iter().map(|row| row.try_get::<i64, _>(0));
        positions
            .map(|position| {
                let position = position.map_err(|error| writing(error, 0))?;
                Ok(usize::try_from(position)
                    .unwrap_or(usize::MAX)
                    .min(rows - 1))
            })
            .collect()
    }

    pub(super) async fn insert(
        &self,
        scope: &mut Scope<'_, MySql>,
        rows: &[usize],
    ) -> Result<(), Failed> {
        let mut left = rows;
        while !left.is_empty() {
            let (part, rest) = left.split_at(size(left.len(), self.target.columns.len()));
            let sql = insert(self.target, part.len());
            let columns = self.target.columns.len();
            let arguments = arguments(self.cells, columns, part.iter().copied())?;
            let statement = Statement::new(sql, arguments);
            self.execute(scope, statement, part).await?;
            left = rest;
        }
        Ok(())
    }

    pub(super) async fn update(
        &self,
        scope: &mut Scope<'_, MySql>,
        rows: &[usize],
    ) -> Result<(), Failed> {
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
            let statement = Statement::new(self.update_text(part.len()), arguments);
            self.execute(scope, statement, part).await?;
            left = rest;
        }
        Ok(())
    }

    /// Removes the rows that have one of the keys.
    pub(super) async fn delete(
        &self,
        scope: &mut Scope<'_, MySql>,
        rows: usize,
    ) -> Result<(), Failed> {
        let mut sql = String::from("DELETE FROM ");
        push_table(DIALECT, &mut sql, self.target);
        self.push_where(&mut sql, rows);
        let arguments = bind(self.cells, self.keys(rows))?;
        let all: Vec<_> = (0..rows).collect();
        let statement = Statement::new(sql, arguments);
        self.execute(scope, statement, &all).await
    }

    /// The rows that have one of the keys, with the position of the key as their last column.
    pub(super) async fn read(
        &self,
        scope: &mut Scope<'_, MySql>,
        rows: usize,
    ) -> Result<Vec<MySqlRow>, Failed> {
        let mut sql = String::from("SELECT target.*, ");
        self.push_position(&mut sql, rows);
        sql.push_str(" FROM ");
        push_table(DIALECT, &mut sql, self.target);
        sql.push_str(" AS target");
        self.push_where(&mut sql, rows);
        let arguments = bind(self.cells, self.keys(rows).chain(self.keys(rows)))?;
        let statement = Statement::new(sql, arguments);
        statement.fetch(scope, self.target, rows).await
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
        statement: Statement,
        rows: &[usize],
    ) -> Result<(), Failed> {
        let outcome = statement.execute(scope, self.target, rows.len()).await;
        outcome.map(drop).map_err(|failed| {
            let index = |row: u64| usize::try_from(row).map_or(row, |row| rows[row] as u64);
            Failed {
                at: failed.at.map(|at| rows[at]),
                error: failed.error.map_row(index),
                ..failed
            }
        })
    }

    /// Where the values of all keys are.
    fn keys(&self, rows: usize) -> impl Iterator<Item = usize> {
        (0..rows).flat_map(|row| self.key(row))
    }

    /// Where the values of a row's key are.
    fn key(&self, row: usize) -> impl Iterator<Item = usize> {
        let columns = self.target.columns.len();
        let positions = self.conflict.key.iter();
        positions.map(move |position| row * columns + position)
    }

    /// Which of the keys a row has.
    fn push_position(&self, sql: &mut String, rows: usize) {
        sql.push_str("CAST(CASE");
        for row in 0..rows {
            self.push_when(sql);
            sql.push_str(&row.to_string());
        }
        sql.push_str(" END AS SIGNED)");
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
