//! What the SQL sinks have in common.

use super::{DeadLetter, KeptLetter, LetterId};
use crate::error::BulkError;
use crate::wall::from_micros;

/// Id, source, payload, error, attempts and time, as a table has them.
pub(super) type Row = (i64, String, String, String, i64, i64);

/// The statement that reads letters of `table` after an id, at most so many. sqlx numbers SQLite's parameters as
/// those of Postgres.
pub(super) fn select(table: &str) -> String {
    format!(
        "SELECT id, source, payload, error, attempts, failed_at FROM {table} \
         WHERE id > $1 ORDER BY id LIMIT $2"
    )
}

pub(super) fn letter(row: Row) -> Result<KeptLetter, BulkError> {
    let (id, source, payload, error, attempts, failed_at) = row;
    let letter = DeadLetter {
        source,
        payload: serde_json::from_str(&payload).map_err(BulkError::dead_letters)?,
        error,
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
        failed_at: from_micros(failed_at),
    };
    let id = LetterId(u128::from(id.unsigned_abs()));
    Ok(KeptLetter::new(id, letter))
}

/// A letter's id as that of its row; what does not fit names no row.
pub(super) fn row_id(id: LetterId) -> i64 {
    i64::try_from(id.0).unwrap_or(i64::MAX)
}
