//! The statements' texts.

use crate::backend::{Conflict, Target};
use perf_core::Dialect;

const DIALECT: Dialect = Dialect::Sqlite;

pub(super) fn insert(target: &Target<'_>) -> String {
    let mut sql = String::from("INSERT INTO ");
    DIALECT.push_identifier(&mut sql, target.table);
    sql.push_str(" (");
    push_list(&mut sql, target.columns, ", ", |sql, column| {
        DIALECT.push_identifier(sql, column);
    });
    sql.push_str(") VALUES (");
    push_list(&mut sql, target.columns, ", ", |sql, _| sql.push('?'));
    sql.push(')');
    sql
}

pub(super) fn upsert(target: &Target<'_>, conflict: &Conflict) -> String {
    let mut sql = insert(target);
    sql.push_str(" ON CONFLICT (");
    push_list(&mut sql, &conflict.key, ", ", |sql, position| {
        DIALECT.push_identifier(sql, target.columns[*position]);
    });
    if conflict.update.is_empty() {
        sql.push_str(") DO NOTHING");
        return sql;
    }
    sql.push_str(") DO UPDATE SET ");
    push_list(&mut sql, &conflict.update, ", ", |sql, position| {
        DIALECT.push_identifier(sql, target.columns[*position]);
        sql.push_str(" = excluded.");
        DIALECT.push_identifier(sql, target.columns[*position]);
    });
    sql
}

/// Whether a row with the key exists.
pub(super) fn lookup(target: &Target<'_>, conflict: &Conflict) -> String {
    let mut sql = String::from("SELECT 1 FROM ");
    DIALECT.push_identifier(&mut sql, target.table);
    sql.push_str(" WHERE ");
    push_list(&mut sql, &conflict.key, " AND ", |sql, position| {
        DIALECT.push_identifier(sql, target.columns[*position]);
        sql.push_str(" = ?");
    });
    sql
}

fn push_list<T>(
    sql: &mut String,
    items: &[T],
    separator: &str,
    mut push: impl FnMut(&mut String, &T),
) {
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            sql.push_str(separator);
        }
        push(sql, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Target<'_> = Target {
        table: "pl\"anes",
        columns: &["tailnum", "seats", "year"],
    };

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
