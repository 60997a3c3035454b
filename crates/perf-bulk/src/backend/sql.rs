//! The texts that the databases have in common.

use super::{Conflict, Target};
use perf_core::Dialect;

/// `INSERT INTO table (columns) `
pub(super) fn insert_into(dialect: Dialect, target: &Target<'_>) -> String {
    let mut sql = String::from("INSERT INTO ");
    push_table(dialect, &mut sql, target);
    sql.push_str(" (");
    push_list(&mut sql, target.columns, ", ", |sql, column| {
        dialect.push_identifier(sql, column);
    });
    sql.push_str(") ");
    if target.overriding {
        sql.push_str("OVERRIDING SYSTEM VALUE ");
    }
    sql
}

/// The table's name; a dot in it divides the schema from the table.
pub(super) fn push_table(dialect: Dialect, sql: &mut String, target: &Target<'_>) {
    let parts: Vec<_> = target.table.split('.').collect();
    push_list(sql, &parts, ".", |sql, part| {
        dialect.push_identifier(sql, part);
    });
}

/// ` ON CONFLICT (key) DO …`
pub(super) fn push_on_conflict(
    dialect: Dialect,
    sql: &mut String,
    target: &Target<'_>,
    conflict: &Conflict,
) {
    let push_column = |sql: &mut String, position: &usize| {
        dialect.push_identifier(sql, target.columns[*position]);
    };
    sql.push_str(" ON CONFLICT (");
    push_list(sql, &conflict.key, ", ", push_column);
    if conflict.update.is_empty() {
        sql.push_str(") DO NOTHING");
        return;
    }
    sql.push_str(") DO UPDATE SET ");
    push_list(sql, &conflict.update, ", ", |sql, position| {
        push_column(sql, position);
        sql.push_str(" = excluded.");
        push_column(sql, position);
    });
}

pub(super) fn push_list<T>(
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
