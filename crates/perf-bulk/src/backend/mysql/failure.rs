//! What MySQL and MariaDB say when they refuse, made specific.

use crate::backend::{Target, driver_error};
use crate::error::{BulkError, ConstraintKind};
use perf_core::Transience;
use sqlx::mysql::MySqlDatabaseError;

pub(super) use crate::backend::failed::Failed;

const DEADLOCK: u16 = 1213;

/// A failure of the driver or the server while `rows` rows were written.
pub(super) fn writing(error: sqlx::Error, rows: usize) -> Failed {
    let Some(database) = database_error(&error) else {
        return Failed::fatal(driver_error(error));
    };
    let kind = constraint_kind(database);
    let row = row_in(database.message()).filter(|row| *row < rows);
    let at = row.or_else(|| (rows == 1).then_some(0));
    let columns = name_in(database.message());
    let error = match kind {
        Some(kind) => BulkError::Constraint {
            row: at.map(|at| at as u64),
            kind,
            columns: columns.map(str::to_owned).into_iter().collect(),
            source: error.into(),
        },
        None => database_failure(error),
    };
    Failed {
        at,
        blames_a_row: kind.is_some(),
        error,
    }
}

/// The error of a statement that could not be prepared.
pub(super) fn describe_error(error: sqlx::Error, target: &Target<'_>) -> BulkError {
    const BAD_FIELD: u16 = 1054;
    let unknown = database_error(&error).filter(|error| error.number() == BAD_FIELD);
    let column = unknown
        .and_then(|error| name_in(error.message()))
        .map(str::to_owned);
    match column {
        Some(column) => BulkError::UnknownColumn {
            table: target.table.to_owned(),
            column,
        },
        None => database_failure(error),
    }
}

/// Whether the server has rolled back the whole transaction, and not the statement alone.
pub(super) fn ends_the_transaction(error: &BulkError) -> bool {
    let BulkError::Database { source, .. } = error else {
        return false;
    };
    let database = source.downcast_ref().and_then(database_error);
    database.is_some_and(|error| error.number() == DEADLOCK)
}

/// As [`driver_error`], which knows no error numbers.
pub(super) fn database_failure(error: sqlx::Error) -> BulkError {
    match database_error(&error).map(MySqlDatabaseError::number) {
        Some(number) => BulkError::Database {
            transience: Transience::of_mysql_number(number),
            source: error.into(),
        },
        None => driver_error(error),
    }
}

pub(super) fn database_error(error: &sqlx::Error) -> Option<&MySqlDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

/// What kind of constraint the row broke; `None` when no row is to blame.
fn constraint_kind(error: &MySqlDatabaseError) -> Option<ConstraintKind> {
    match error.number() {
        1048 => Some(ConstraintKind::NotNull),
        1062 | 1557 | 1586 => Some(ConstraintKind::Unique),
        1216 | 1452 | 1761 | 1762 => Some(ConstraintKind::ForeignKey),
        3819 | 4025 => Some(ConstraintKind::Check),
        // Out of range, truncated, wrong value, too long, wrong function argument, bad JSON.
        1264 | 1265 | 1292 | 1366 | 1367 | 1406 | 1411 | 1690 | 3140 => {
            Some(ConstraintKind::DataType)
        }
        // SIGNAL of a trigger, unless it says otherwise.
        _ if error.code() == Some("45000") => Some(ConstraintKind::Other),
        _ => None,
    }
}

/// The row in "Out of range value for column 'seats' at row 3", counted from 0.
fn row_in(message: &str) -> Option<usize> {
    let (_, rest) = message.rsplit_once(" at row ")?;
    let digits = rest.split(|letter: char| !letter.is_ascii_digit()).next()?;
    digits.parse::<usize>().ok()?.checked_sub(1)
}

/// The column, key or constraint in "Column 'seats' cannot be null", "for key 'PRIMARY'",
/// "CONSTRAINT `seats` failed", without the schema and table before it.
fn name_in(message: &str) -> Option<&str> {
    const QUOTES: [char; 2] = ['\'', '`'];
    const BEFORE: [&str; 4] = ["for key ", "olumn ", "CONSTRAINT ", "constraint "];
    let rest = BEFORE
        .iter()
        .find_map(|words| Some(message.split_once(words)?.1))?;
    let path = rest
        .split(' ')
        .next()
        .filter(|path| path.starts_with(QUOTES))?;
    path.rsplit('.')
        .next()
        .map(|name| name.trim_matches(QUOTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_rows_are_read_from_each_form_of_message() {
        let cases = [
            ("Column 'seats' cannot be null", Some("seats"), None),
            (
                "Duplicate entry '3' for key 'PRIMARY'",
                Some("PRIMARY"),
                None,
            ),
            (
                "Duplicate entry 'a' for key 'planes.tailnum'",
                Some("tailnum"),
                None,
            ),
            (
                "Out of range value for column `test1`.`planes`.`seats` at row 3",
                Some("seats"),
                Some(2),
            ),
            (
                "Data too long for column 'tailnum' at row 12",
                Some("tailnum"),
                Some(11),
            ),
            (
                "CONSTRAINT `positive` failed for `test1`.`planes`",
                Some("positive"),
                None,
            ),
            ("Unknown column 'seat' in 'SELECT'", Some("seat"), None),
            ("Deadlock found when trying to get lock", None, None),
        ];
        for (message, name, row) in cases {
            assert_eq!(
                (name_in(message), row_in(message)),
                (name, row),
                "{message}"
            );
        }
    }
}
