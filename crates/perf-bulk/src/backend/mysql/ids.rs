//! Ids that belong to their rows because the server hands them out in order.
//!
//! An `INSERT … VALUES` is a "simple insert": the server knows the number of its rows beforehand and takes
//! that many consecutive numbers at once, in each of InnoDB's lock modes. They go to the rows in order.
//! That holds unless a trigger sets the column or the column is none of that kind. MySQL is asked for both;
//! MariaDB returns what it has stored in each row, which is compared with the rule.

use super::describe;
use super::failure::{Failed, database_failure};
use super::statement::{Form, Statement};
use crate::backend::{Scope, Target};
use crate::error::BulkError;
use perf_core::Dialect;
use sqlx::mysql::{MySqlArguments, MySqlRow};
use sqlx::{Arguments, MySql, Row};
use std::ops::Range;

/// Whether the database fills the column in order, and whether a trigger may fill it otherwise.
const PROOF: &str = "\
    SELECT CAST(c.extra LIKE '%auto_increment%' AND t.engine IN ('InnoDB', 'Aria', 'MyISAM') AS SIGNED), \
        CAST(EXISTS (SELECT 1 FROM information_schema.triggers AS g \
            WHERE g.event_object_schema = c.table_schema AND g.event_object_table = c.table_name \
                AND g.action_timing = 'BEFORE' AND g.event_manipulation = 'INSERT') AS SIGNED) \
    FROM information_schema.columns AS c \
        JOIN information_schema.tables AS t USING (table_schema, table_name) \
    WHERE c.table_schema = COALESCE(?, DATABASE()) AND c.table_name = ? AND c.column_name = ?";

/// Collects the ids of the rows that it writes.
#[derive(Debug)]
pub(super) struct Numbered<'a> {
    column: &'a str,
    increment: i64,
    returning: bool,
    ids: &'a mut Vec<i64>,
}

impl<'a> Numbered<'a> {
    pub(super) async fn prove(
        scope: &mut Scope<'_, MySql>,
        target: &Target<'_>,
        column: &'a str,
        ids: &'a mut Vec<i64>,
    ) -> Result<Self, Failed> {
        if target.columns.contains(&column) {
            return Err(refused(column, "the rows have a value for it"));
        }
        let table = describe::table(scope, target).await?;
        if !table.is_mariadb {
            ask(scope, target, column).await?;
        }
        Ok(Self {
            column,
            increment: table.increment,
            returning: table.is_mariadb,
            ids,
        })
    }

    /// The ids of `rows` rows, as the server's rules have them.
    fn follow(&mut self, first: i64, rows: usize) {
        let increment = self.increment;
        self.ids
            .extend((0_i64..).take(rows).map(|row| first + row * increment));
    }
}

impl Form for Numbered<'_> {
    fn suffix(&self) -> String {
        let mut suffix = String::new();
        if self.returning {
            suffix.push_str(" RETURNING ");
            Dialect::MariaDb.push_identifier(&mut suffix, self.column);
        }
        suffix
    }

    async fn execute(
        &mut self,
        scope: &mut Scope<'_, MySql>,
        target: &Target<'_>,
        statement: Statement,
        rows: Range<usize>,
    ) -> Result<(), Failed> {
        let size = rows.len();
        let offset = |failed: Failed| failed.offset(rows.start);
        if !self.returning {
            let done = statement.execute(scope, target, size).await;
            let done = done.map_err(offset)?;
            let first = i64::try_from(done.last_insert_id());
            let first = first.map_err(|_| refused(self.column, "it is above 2^63"))?;
            self.follow(first, size);
            return Ok(());
        }
        let returned = statement.fetch(scope, target, size).await;
        let returned = returned.map_err(offset)?;
        let returned: Option<Vec<_>> = returned.iter().map(integer).collect();
        let Some(returned) = returned else {
            return Err(refused(self.column, "it is no integer"));
        };
        let before = self.ids.len();
        self.follow(returned.first().copied().unwrap_or(0), size);
        if self.ids[before..] == returned {
            Ok(())
        } else {
            let reason = "the database does not number it in order";
            Err(refused(self.column, reason))
        }
    }
}

/// Has MySQL prove that it fills the column in order.
async fn ask(
    scope: &mut Scope<'_, MySql>,
    target: &Target<'_>,
    column: &str,
) -> Result<(), Failed> {
    let (schema, name) = match target.table.split_once('.') {
        Some((schema, name)) => (Some(schema), name),
        None => (None, target.table),
    };
    let mut arguments = MySqlArguments::default();
    arguments
        .add(schema)
        .and_then(|()| arguments.add(name))
        .and_then(|()| arguments.add(column))
        .map_err(|source| Failed::fatal(database_failure(sqlx::Error::Encode(source))))?;
    let proof = Statement::new(PROOF.to_owned(), arguments);
    let rows = proof.fetch(scope, target, 0).await?;
    let Some(row) = rows.first() else {
        return Err(Failed::fatal(BulkError::UnknownColumn {
            table: target.table.to_owned(),
            column: column.to_owned(),
        }));
    };
    let flag = |position| row.try_get::<i64, _>(position).map(|flag| flag != 0);
    match (flag(0), flag(1)) {
        (Ok(true), Ok(false)) => Ok(()),
        (Ok(_), Ok(true)) => Err(refused(column, "a trigger of the table may change it")),
        _ => Err(refused(column, "it is no AUTO_INCREMENT of a known engine")),
    }
}

fn integer(row: &MySqlRow) -> Option<i64> {
    let signed = row.try_get(0).ok();
    signed.or_else(|| i64::try_from(row.try_get::<u64, _>(0).ok()?).ok())
}

fn refused(column: &str, reason: &'static str) -> Failed {
    Failed::fatal(BulkError::OrderUnprovable {
        column: column.to_owned(),
        reason,
    })
}
