//! What the SQL stores share: one table of keys and bytes, and the judgement of errors.
//!
//! Values, leases and generations lie in the same table, as they do in Redis, so that one statement reads
//! them together. A row whose time has passed counts as none and stays until it is swept. A walk goes by
//! a number that a row keeps for as long as it lives.

use super::remote::{Reading, Scanned, StoreError};
use crate::pattern::Pattern;
use perf_core::{Dialect, Transience};
use std::collections::HashMap;
use std::time::Duration;

/// A table with quotes around its name.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) name: String,
}

/// How long a generation lives from its last renewal.
pub(super) const GENERATION: Duration = Duration::from_secs(8 * 24 * 60 * 60);
/// How many rows one step of a walk looks at.
pub(super) const SCAN_STEP: i64 = 1_000;

impl Table {
    pub(super) fn new(dialect: Dialect, name: &str) -> Self {
        let mut quoted = String::new();
        dialect.push_identifier(&mut quoted, name);
        Self { name: quoted }
    }
}

/// Rows found, by their key.
pub(super) type Found = HashMap<String, Vec<u8>>;

/// The rows found, in the order in which they were asked for.
pub(super) fn reading(mut found: Found, keys: &[String], tags: &[String]) -> Reading {
    let generations = tags.iter().map(|tag| generation(found.get(tag)?));
    Reading {
        generations: generations.collect(),
        values: keys.iter().map(|key| found.remove(key)).collect(),
    }
}

/// The generation of each tag; one that vanished meanwhile becomes one that nobody can match.
pub(super) fn generations(found: &Found, tags: &[(String, u64)]) -> Vec<u64> {
    let numbers = tags.iter().map(|(tag, _)| generation(found.get(tag)?));
    numbers.map(Option::unwrap_or_default).collect()
}

fn generation(bytes: &Vec<u8>) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.as_slice().try_into().ok()?))
}

/// A step of a walk, from rows with their numbers.
pub(super) fn scanned(pattern: &Pattern, rows: Vec<(i64, String)>) -> Scanned {
    let is_last = i64::try_from(rows.len()).is_ok_and(|count| count < SCAN_STEP);
    let last = rows
        .last()
        .and_then(|(number, _)| u64::try_from(*number).ok());
    let keys = rows.into_iter().map(|(_, key)| key);
    Scanned {
        keys: keys.filter(|key| pattern.matches(key)).collect(),
        next: last.filter(|_| !is_last),
    }
}

/// A position in a walk as SQL has it.
pub(super) fn position(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

/// At least one millisecond: a row that expires at once would never be seen.
pub(super) fn millis(duration: Duration) -> i64 {
    // Far enough from the end that a time may be added.
    let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    millis.clamp(1, i64::MAX >> 2)
}

/// Judges an error by the driver's own code, if it has one.
pub(super) fn judge(
    error: sqlx::Error,
    of_code: impl Fn(&dyn sqlx::error::DatabaseError) -> Transience,
) -> StoreError {
    let transience = match &error {
        sqlx::Error::Database(error) => of_code(error.as_ref()),
        sqlx::Error::Configuration(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnNotFound(_) => Transience::Permanent,
        _ => Transience::Transient,
    };
    StoreError::new(error, transience)
}
