//! The statements' texts.

use crate::backend::on_conflict::push_on_conflict;
use crate::backend::sql::{insert_into, push_list, push_table};
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
    push_column(&mut sql, column);
    sql
}

pub(super) fn upsert(target: &Target<'_>, conflict: &Conflict) -> String {
    let mut sql = insert(target);
    push_on_conflict(DIALECT, &mut sql, target, conflict);
    sql
}

pub(super) fn update(target: &Target<'_>, conflict: &Conflict) -> String {
    let mut sql = String::from("UPDATE ");
    push_table(DIALECT, &mut sql, target);
    sql.push_str(" SET ");
    push_list(&mut sql, &conflict.update, ", ", |sql, position| {
        push_column(sql, target.columns[*position]);
        sql.push_str(" = ?");
    });
    sql.push_str(" WHERE ");
    push_list(&mut sql, &conflict.key, " AND ", |sql, position| {
        push_column(sql, target.columns[*position]);
        sql.push_str(" = ?");
    });
    sql
}

pub(super) fn delete(target: &Target<'_>) -> String {
    let mut sql = String::from("DELETE FROM ");
    push_table(DIALECT, &mut sql, target);
    sql.push_str(" WHERE ");
    push_list(&mut sql, target.columns, " AND ", |sql, column| {
        push_column(sql, column);
        sql.push_str(" = ?");
    });
    sql
}

/// The rows with any of `keys` keys, and the position of each key, counted from `first`.
pub(super) fn read(target: &Target<'_>, first: usize, keys: usize) -> String {
    let mut sql = String::from("WITH input (perf_bulk_row");
    for column in target.columns {
        sql.push_str(", ");
        push_column(&mut sql, column);
    }
    sql.push_str(") AS (VALUES ");
    for key in 0..keys {
        sql.push_str(if key == 0 { "(" } else { ", (" });
        sql.push_str(&(first + key).to_string());
        sql.push_str(&", ?".repeat(target.columns.len()));
        sql.push(')');
    }
    sql.push_str(") SELECT target.*, input.perf_bulk_row FROM input JOIN ");
    push_table(DIALECT, &mut sql, target);
    sql.push_str(" AS target ON ");
    push_list(&mut sql, target.columns, " AND ", |sql, column| {
        sql.push_str("target.");
        push_column(sql, column);
        sql.push_str(" = input.");
        push_column(sql, column);
    });
    sql
}

/// An unknown name in double quotes would be a text to SQLite.
fn push_column(sql: &mut String, column: &str) {
    Dialect::MySql.push_identifier(sql, column);
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
