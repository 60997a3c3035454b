//! The texts that the databases have in common.

use super::Target;
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
