//! Tables that the crate keeps for itself.

use perf_core::Dialect;

/// A table's name as SQL; a dot in it divides the schema from the table.
pub(crate) fn quoted(dialect: Dialect, table: &str) -> String {
    let mut sql = String::new();
    for (position, part) in table.split('.').enumerate() {
        if position > 0 {
            sql.push('.');
        }
        dialect.push_identifier(&mut sql, part);
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_have_a_schema_and_quotes() {
        assert_eq!(quoted(Dialect::Postgres, "jobs.dead"), r#""jobs"."dead""#);
        assert_eq!(quoted(Dialect::Sqlite, "a\"b"), r#""a""b""#);
    }
}
