//! The statements' texts.

use crate::backend::sql::{insert_into, push_list, push_on_conflict, push_table};
use crate::backend::{Conflict, Target};
use perf_core::Dialect;

const DIALECT: Dialect = Dialect::Sqlite;

pub(super) fn insert(target: &Target<'_>) -> String {
    let mut sql = insert_into(DIALECT, target);
    sql.push_str("VALUES (");
    push_list(&mut sql, target.columns, ", ", |sql, _| sql.push('?'));
    sql.push(')');
    sql
}

pub(super) fn insert_returning(target: &Target<'_>, column: &str) -> String {
    let mut sql = insert(target);
    sql.push_str(" RETURNING ");
    // An unknown name in double quotes would be a text to SQLite.
    Dialect::MySql.push_identifier(&mut sql, column);
    sql
}

pub(super) fn upsert(target: &Target<'_>, conflict: &Conflict) -> String {
    let mut sql = insert(target);
    push_on_conflict(DIALECT, &mut sql, target, conflict);
    sql
}

/// Whether a row with the key exists.
pub(super) fn lookup(target: &Target<'_>, conflict: &Conflict) -> String {
    let mut sql = String::from("SELECT 1 FROM ");
    push_table(DIALECT, &mut sql, target);
    sql.push_str(" WHERE ");
    push_list(&mut sql, &conflict.key, " AND ", |sql, position| {
        DIALECT.push_identifier(sql, target.columns[*position]);
        sql.push_str(" = ?");
    });
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Target<'_> = Target::new("pl\"anes", &["tailnum", "seats", "year"]);

    #[test]
    fn identifiers_are_quoted_and_values_bound() {
        assert_eq!(
            insert(&TARGET),
            r#"INSERT INTO "pl""anes" ("tailnum", "seats", "year") VALUES (?, ?, ?)"#
        );
    }

    #[test]
    fn an_upsert_updates_what_it_is_told_or_nothing() {
        let mut conflict = Conflict {
            key: vec![0, 2],
            update: vec![1],
        };
        assert!(upsert(&TARGET, &conflict).ends_with(
            r#"ON CONFLICT ("tailnum", "year") DO UPDATE SET "seats" = excluded."seats""#
        ));
        conflict.update.clear();
        assert!(upsert(&TARGET, &conflict).ends_with("DO NOTHING"));
        assert_eq!(
            lookup(&TARGET, &conflict),
            r#"SELECT 1 FROM "pl""anes" WHERE "tailnum" = ? AND "year" = ?"#
        );
    }
}
