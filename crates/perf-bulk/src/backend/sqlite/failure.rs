//! What SQLite says when it refuses, made specific.

use crate::backend::{Target, driver_error};
use crate::error::{BulkError, ConstraintKind};
use perf_core::Transience;

/// An extended result code with SQLite's message.
#[derive(Debug, thiserror::Error)]
#[error("{message} (SQLite code {code})")]
pub(super) struct Failure {
    pub(super) code: i32,
    pub(super) message: String,
}

const TOO_BIG: i32 = 18;
const CONSTRAINT: i32 = 19;
const MISMATCH: i32 = 20;
const FOREIGN_KEY: i32 = 787;

impl Failure {
    /// Whether SQLite undid this row alone. It does so for constraints and refused values; a full
    /// disk or an interrupt undoes the statement too, yet the next row would meet the same fate.
    pub(super) const fn blames_the_row(&self) -> bool {
        matches!(self.code & 0xff, TOO_BIG | CONSTRAINT | MISMATCH)
    }

    /// A row that SQLite left out without a word, as `ON CONFLICT IGNORE` or `RAISE(IGNORE)` asks it to.
    pub(super) fn ignored() -> Self {
        Self {
            code: CONSTRAINT,
            message: "the table or one of its triggers ignored the row".to_owned(),
        }
    }

    /// The error of the row at `at`.
    pub(super) fn into_row_error(self, at: usize) -> BulkError {
        let row = at as u64;
        match self.code & 0xff {
            TOO_BIG => BulkError::RowTooLarge {
                row,
                source: self.into(),
            },
            CONSTRAINT | MISMATCH => BulkError::Constraint {
                row: Some(row),
                kind: constraint_kind(self.code),
                columns: named_columns(&self.message),
                source: self.into(),
            },
            _ => self.into_database_error(),
        }
    }

    /// The error of a statement that could not be prepared.
    pub(super) fn into_statement_error(self, target: &Target<'_>) -> BulkError {
        let known = [" has no column named ", "no such column: "]
            .iter()
            .find_map(|words| self.message.split_once(words));
        match known.map(|(_, column)| column.to_owned()) {
            Some(column) => BulkError::UnknownColumn {
                table: target.table.to_owned(),
                column,
            },
            None => self.into_database_error(),
        }
    }

    fn into_database_error(self) -> BulkError {
        BulkError::Database {
            transience: Transience::of_sqlite_code(self.code),
            source: self.into(),
        }
    }
}

/// The error of a statement that sqlx ran.
pub(super) fn read_error(error: sqlx::Error, target: &Target<'_>) -> BulkError {
    let message = error.as_database_error().map(|error| error.message());
    let column = message.and_then(|message| message.split_once("no such column: "));
    match column {
        Some((_, column)) => BulkError::UnknownColumn {
            table: target.table.to_owned(),
            column: column.rsplit('.').next().unwrap_or(column).to_owned(),
        },
        None => driver_error(error),
    }
}

/// The error of a COMMIT. Some row breaks a deferred foreign key if SQLite says so, and it does not say which.
pub(super) fn commit_error(error: sqlx::Error) -> BulkError {
    let code = error.as_database_error().and_then(|error| error.code());
    if code.is_some_and(|code| code == FOREIGN_KEY.to_string()) {
        return BulkError::Constraint {
            row: None,
            kind: ConstraintKind::ForeignKey,
            columns: Vec::new(),
            source: error.into(),
        };
    }
    driver_error(error)
}

const fn constraint_kind(code: i32) -> ConstraintKind {
    match code {
        275 => ConstraintKind::Check,
        FOREIGN_KEY => ConstraintKind::ForeignKey,
        1299 => ConstraintKind::NotNull,
        // PRIMARY KEY, UNIQUE, rowid.
        1555 | 2067 | 2579 => ConstraintKind::Unique,
        // A STRICT table's types, and a rowid that is no integer.
        3091 | MISMATCH => ConstraintKind::DataType,
        _ => ConstraintKind::Other,
    }
}

/// The columns in "UNIQUE constraint failed: planes.tailnum, planes.year" or
/// "cannot store TEXT value in INTEGER column planes.seats".
fn named_columns(message: &str) -> Vec<String> {
    let list = message
        .split_once(" constraint failed: ")
        .or_else(|| message.split_once(" column "))
        .map_or("", |(_, list)| list);
    list.split(", ")
        .filter(|name| !name.is_empty())
        .map(|name| {
            name.split_once('.')
                .map_or(name, |(_, column)| column)
                .to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_read_from_each_form_of_message() {
        let cases: [(&str, &[&str]); 5] = [
            (
                "UNIQUE constraint failed: planes.tailnum, planes.year",
                &["tailnum", "year"],
            ),
            ("NOT NULL constraint failed: planes.seats", &["seats"]),
            (
                "CHECK constraint failed: positive_seats",
                &["positive_seats"],
            ),
            (
                "cannot store TEXT value in INTEGER column planes.seats",
                &["seats"],
            ),
            ("FOREIGN KEY constraint failed", &[]),
        ];
        for (message, columns) in cases {
            assert_eq!(named_columns(message), columns, "{message}");
        }
    }
}
