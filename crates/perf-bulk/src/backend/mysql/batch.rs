//! The rows of one statement.

use super::cells::MySqlCells;
use super::describe::Table;
use super::failure::Failed;
use super::statement::{Form, Statement, fill};
use crate::backend::isolate::{Attempts, search};
use crate::backend::{Scope, Target};
use crate::row::BulkRow;
use sqlx::MySql;
use sqlx::mysql::MySqlTypeInfo;
use std::ops::Range;

/// Rows that go into one statement, which is ready to be sent.
pub(super) struct Batch {
    pub(super) cells: MySqlCells,
    pub(super) rows: usize,
    /// Why there are no more of them.
    pub(super) bad: Option<Failed>,
    statement: Option<Statement>,
}

impl Batch {
    pub(super) fn new(columns: &[MySqlTypeInfo]) -> Self {
        Self {
            cells: MySqlCells::checked(columns),
            rows: 0,
            bad: None,
            statement: None,
        }
    }

    /// Takes as many of `rows` as go into a statement in the place of those before.
    pub(super) fn fill<R: BulkRow<MySql>>(
        &mut self,
        target: &Target<'_>,
        table: &Table,
        suffix: &str,
        rows: &[R],
    ) {
        (self.rows, self.bad) = fill(&mut self.cells, target, table, rows);
        // Should it fail, so it will when it is tried again to be sent.
        self.statement = Statement::insert(target, suffix, &self.cells, 0..self.rows).ok();
    }

    /// Writes the rows up to the first bad one, which the error names.
    pub(super) async fn write(
        &mut self,
        scope: &mut Scope<'_, MySql>,
        target: &Target<'_>,
        suffix: &str,
        form: &mut impl Form,
    ) -> Result<(), Failed> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut parts = Parts {
            scope,
            target,
            suffix,
            cells: &self.cells,
            whole: self.statement.take(),
            form,
        };
        search(&mut parts, 0..self.rows).await
    }
}

/// The rows of one statement, to be tried in parts.
struct Parts<'a, 'c, F> {
    scope: &'a mut Scope<'c, MySql>,
    target: &'a Target<'a>,
    suffix: &'a str,
    cells: &'a MySqlCells,
    /// The statement about all of them, until it has been tried.
    whole: Option<Statement>,
    form: &'a mut F,
}

impl<F: Form> Attempts for Parts<'_, '_, F> {
    async fn attempt(&mut self, range: Range<usize>) -> Result<(), Failed> {
        let statement = match self.whole.take() {
            Some(whole) => whole,
            None => Statement::insert(self.target, self.suffix, self.cells, range.clone())?,
        };
        self.form
            .execute(self.scope, self.target, statement, range)
            .await
    }
}
