//! The clause that two of the databases have in common.

use super::sql::push_list;
use super::{Conflict, Target};
use perf_core::Dialect;

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
