use super::lexer::{Kind, Lexer};
use perf_core::Dialect;
use std::fmt::Write;

/// Words that Postgres takes in front of a string, to say its type, and not in front of a placeholder.
const TYPES: [&str; 4] = ["date", "interval", "time", "timestamp"];

/// Makes of a statement's text without values one that a database can read: `?` becomes `$1` and so on for
/// Postgres, and what was left out of lists is there once more.
pub(super) fn number(text: &str, dialect: Dialect) -> String {
    let text = text.replace("?, ...", "?, ?").replace("), ...", ")");
    if dialect != Dialect::Postgres {
        return text;
    }
    let mut numbered = String::with_capacity(text.len() + 16);
    let mut number = 0;
    let mut type_name = None;
    for token in Lexer::new(&text, dialect) {
        if token.spaced {
            numbered.push(' ');
        }
        let typed = type_name.take().filter(|_| token.text == "?");
        if let Some((start, name)) = typed {
            number += 1;
            numbered.truncate(start);
            // Writing to a string cannot fail.
            _ = write!(numbered, "${number}::{name}");
        } else if token.kind == Kind::Parameter {
            number += 1;
            _ = write!(numbered, "${number}");
        } else {
            let is_type = TYPES
                .iter()
                .any(|name| token.text.eq_ignore_ascii_case(name));
            type_name = is_type.then_some((numbered.len(), token.text));
            numbered.push_str(token.text);
        }
    }
    numbered
}

#[cfg(test)]
mod tests {
    use crate::sql::Statement;
    use perf_core::Dialect;

    #[test]
    fn a_statement_without_values_can_be_read_by_its_database() {
        let cases = [
            (
                "SELECT a FROM t WHERE b = 'x' AND c IN (1, 2, 3) LIMIT 5",
                "SELECT a FROM t WHERE b = $1 AND c IN ($2, $3) LIMIT $4",
            ),
            (
                "select a.* from t a where (b, c) in ((1, 2), (3, 4)) and d ? 'k'",
                "select a.* from t a where (b, c) in (($1, $2)) and d ? $3",
            ),
            (
                "SELECT a FROM t WHERE at > now() - interval '7 days' AND k = $1::uuid",
                "SELECT a FROM t WHERE at > now() - $1::interval AND k = $2::uuid",
            ),
            (
                "SELECT a FROM \"T x\" WHERE d = DATE '2013-01-01' OR e = ANY($1)",
                "SELECT a FROM \"T x\" WHERE d = $1::DATE OR e = ANY($2)",
            ),
        ];
        for (sql, expected) in cases {
            let statement = Statement::parse(sql, Dialect::Postgres);
            let readable = statement.with_placeholders(Dialect::Postgres);
            assert_eq!(readable.as_deref(), Some(expected));
            let again = Statement::parse(expected, Dialect::Postgres).shape();
            assert_eq!(again.key_lookup, statement.shape().key_lookup);
        }
        let sqlite = Statement::parse("SELECT a FROM t WHERE c IN (1, 2, 3)", Dialect::Sqlite);
        assert_eq!(
            sqlite.with_placeholders(Dialect::Sqlite).as_deref(),
            Some("SELECT a FROM t WHERE c IN (?, ?)")
        );
    }

    #[test]
    fn what_was_cut_short_is_not_offered() {
        let long = format!("SELECT {} FROM t", "column_name, ".repeat(500));
        let statement = Statement::parse(&long, Dialect::Postgres);
        assert_eq!(statement.with_placeholders(Dialect::Postgres), None);
    }
}
