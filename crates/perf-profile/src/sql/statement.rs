use super::lexer::Lexer;
use super::placeholders;
use super::shape::{Observer, Shape};
use super::writer::Writer;
use perf_core::Dialect;
use std::fmt;

/// What identifies a statement whatever its values, the same in every process.
///
/// Equal for statements that differ in literals, placeholders, the length of value lists (from two
/// on), blanks, comments, and the case of bare words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// What stands for the statements beyond a limit.
    const OTHER: Self = Self(0);
    /// What stands for waits for a connection.
    pub(crate) const POOL: Self = Self(1);

    /// The number behind it.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A statement without its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    fingerprint: Fingerprint,
    text: String,
    whole: bool,
    shape: Shape,
}

impl Statement {
    /// Reads `sql` as `dialect` would. Never fails; no literal survives in the text.
    ///
    /// The dialect decides what quotes mean: `"x"` is a value to MySQL, a name to Postgres, and to SQLite a
    /// value after a comparison and in the lists of `IN` and `VALUES`, a name elsewhere.
    ///
    /// ```
    /// use perf_core::Dialect;
    /// use perf_profile::Statement;
    ///
    /// let one = Statement::parse("SELECT * FROM planes WHERE tailnum = 'N14228'", Dialect::Sqlite);
    /// let other = Statement::parse("select * from planes /* 7 */ where tailnum=?", Dialect::Sqlite);
    /// assert_eq!(one.text(), "SELECT * FROM planes WHERE tailnum = ?");
    /// assert_eq!(one.fingerprint(), other.fingerprint());
    ///
    /// let rows = Statement::parse("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')", Dialect::Postgres);
    /// assert_eq!(rows.text(), "INSERT INTO t VALUES (?, ?), ...");
    /// ```
    #[must_use]
    pub fn parse(sql: &str, dialect: Dialect) -> Self {
        let mut writer = Writer::new(sql.len());
        let mut observer = Observer::default();
        for token in Lexer::new(sql, dialect) {
            // What ends a statement is no part of it.
            if token.text == ";" {
                continue;
            }
            observer.observe(token);
            writer.push(token);
        }
        let (hash, text, whole) = writer.finish();
        Self {
            fingerprint: Fingerprint(hash),
            text,
            whole,
            shape: observer.finish(),
        }
    }

    /// What stands for the statements beyond a limit.
    pub(crate) fn other() -> Self {
        Self {
            fingerprint: Fingerprint::OTHER,
            text: "<other>".into(),
            whole: false,
            shape: Shape::default(),
        }
    }

    /// What identifies it.
    #[must_use]
    pub const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Its text with `?` for every value, at most 4 KiB.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text with placeholders as `dialect` has them, for the database to read; none if it was too long
    /// to keep.
    pub(crate) fn with_placeholders(&self, dialect: Dialect) -> Option<String> {
        self.whole
            .then(|| placeholders::number(&self.text, dialect))
    }

    /// The traits that lints ask for.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }
}
