//! What Postgres says when it refuses, made specific.

use crate::backend::{Target, driver_error};
use crate::error::{BulkError, ConstraintKind};
use sqlx::postgres::PgDatabaseError;

pub(super) use crate::backend::failed::{Failed, encode_error};

/// A failure of the driver or the server while `rows` rows from `first` were written.
pub(super) fn writing(error: sqlx::Error, first: usize, rows: usize) -> Failed {
    let Some(database) = database_error(&error) else {
        return Failed::fatal(driver_error(error));
    };
    let line = database
        .r#where()
        .and_then(line_in)
        .map(|line| first + line);
    let at = line.or_else(|| (rows == 1).then_some(first));
    let kind = constraint_kind(database.code());
    // Data exceptions and violations of integrity; both are a row's.
    let blames_a_row = ["22", "23"]
        .iter()
        .any(|class| database.code().starts_with(class));
    let columns = [database.column(), database.constraint()];
    let columns = columns
        .into_iter()
        .flatten()
        .take(1)
        .map(str::to_owned)
        .collect();
    let error = match kind {
        Some(kind) if blames_a_row => BulkError::Constraint {
            row: at.map(|at| at as u64),
            kind,
            columns,
            source: error.into(),
        },
        _ => driver_error(error),
    };
    Failed {
        at,
        blames_a_row,
        error,
    }
}

/// The error of a statement that could not be prepared.
pub(super) fn describe_error(error: sqlx::Error, target: &Target<'_>) -> BulkError {
    const UNDEFINED_COLUMN: &str = "42703";
    let column = database_error(&error)
        .filter(|error| error.code() == UNDEFINED_COLUMN)
        .and_then(|error| target.columns.iter().find(|column| names(error, column)));
    match column {
        Some(column) => BulkError::UnknownColumn {
            table: target.table.to_owned(),
            column: (*column).to_owned(),
        },
        None => driver_error(error),
    }
}

fn names(error: &PgDatabaseError, column: &str) -> bool {
    error.message().contains(&format!("\"{column}\""))
        || error.message().contains(&format!(".{column} "))
}

pub(super) fn database_error(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

fn constraint_kind(code: &str) -> Option<ConstraintKind> {
    match code {
        "23502" => Some(ConstraintKind::NotNull),
        "23503" => Some(ConstraintKind::ForeignKey),
        "23505" => Some(ConstraintKind::Unique),
        "23514" => Some(ConstraintKind::Check),
        _ if code.starts_with("22") => Some(ConstraintKind::DataType),
        _ if code.starts_with("23") => Some(ConstraintKind::Other),
        _ => None,
    }
}

/// The row in "COPY planes, line 3" or "COPY planes, line 3, column seats", counted from 0.
fn line_in(context: &str) -> Option<usize> {
    let copy = context.lines().find(|line| line.starts_with("COPY "))?;
    let (_, rest) = copy.rsplit_once(", line ")?;
    let digits = rest.split(|letter: char| !letter.is_ascii_digit()).next()?;
    digits.parse::<usize>().ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_found_wherever_postgres_puts_it() {
        assert_eq!(line_in("COPY planes, line 3"), Some(2));
        assert_eq!(line_in("COPY planes, line 12, column seats"), Some(11));
        assert_eq!(
            line_in("SQL function \"f\"\nCOPY a, line 7, line 1"),
            Some(0)
        );
        assert_eq!(line_in("PL/pgSQL function veto() line 3 at RAISE"), None);
    }
}
