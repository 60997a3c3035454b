//! What the SQL databases differ in, as far as Perfkit writes SQL.

use std::fmt::Write as _;

/// A SQL database as Perfkit writes for it.
///
/// MySQL and MariaDB share a protocol and a driver but not their SQL: only MariaDB has
/// `INSERT … RETURNING`.
///
/// ```
/// use perf_core::Dialect;
///
/// let mut sql = String::from("SELECT ");
/// Dialect::MySql.push_identifier(&mut sql, "odd`name");
/// assert_eq!(sql, "SELECT `odd``name`");
/// assert_eq!(Dialect::Postgres.max_binds(), 65_535);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// PostgreSQL, from version 12.
    Postgres,
    /// MySQL, from version 8.
    MySql,
    /// MariaDB, from version 10.6.
    MariaDb,
    /// SQLite, from version 3.35.
    Sqlite,
}

impl Dialect {
    /// The most parameters one statement may bind.
    #[must_use]
    pub const fn max_binds(self) -> usize {
        match self {
            Self::Postgres | Self::MySql | Self::MariaDb => 65_535,
            Self::Sqlite => 32_766,
        }
    }

    /// Whether `INSERT … RETURNING` exists.
    #[must_use]
    pub const fn has_insert_returning(self) -> bool {
        !matches!(self, Self::MySql)
    }

    /// Whether the planner seeks into an index for `(a, b) > (x, y)`.
    #[must_use]
    pub const fn seeks_row_values(self) -> bool {
        matches!(self, Self::Postgres | Self::Sqlite)
    }

    /// Whether `NULLS FIRST` and `NULLS LAST` may follow a sort key.
    #[must_use]
    pub const fn has_nulls_placement(self) -> bool {
        matches!(self, Self::Postgres | Self::Sqlite)
    }

    /// Whether NULL sorts after every value in ascending order unless told otherwise.
    #[must_use]
    pub const fn sorts_nulls_last(self) -> bool {
        matches!(self, Self::Postgres)
    }

    /// Appends `name` as a quoted identifier, with quotes inside it doubled.
    pub fn push_identifier(self, sql: &mut String, name: &str) {
        let quote = match self {
            Self::MySql | Self::MariaDb => '`',
            Self::Postgres | Self::Sqlite => '"',
        };
        sql.push(quote);
        for letter in name.chars() {
            if letter == quote {
                sql.push(quote);
            }
            sql.push(letter);
        }
        sql.push(quote);
    }

    /// Appends the placeholder of the parameter at `position`, counted from 1.
    pub fn push_placeholder(self, sql: &mut String, position: usize) {
        sql.push(if matches!(self, Self::Postgres) {
            '$'
        } else {
            '?'
        });
        if matches!(self, Self::Postgres) {
            let _infallible = write!(sql, "{position}");
        }
    }
}
