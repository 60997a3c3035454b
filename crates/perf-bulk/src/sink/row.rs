use super::{DeadLetter, DeadLetterSink, describe};
use crate::error::BulkError;
use crate::report::BulkReport;
use serde::Serialize;
use std::time::SystemTime;

/// Keeps the rows that a bulk write under [`Atomicity::BestEffort`](crate::Atomicity) handed back; how many
/// those were.
///
/// `source` names the table or the import they come from, `at` is when they failed.
///
/// # Errors
///
/// [`BulkError::DeadLetters`] when a row has no form in JSON or the sink cannot be written.
///
/// # Cancel safety
///
/// That of [`DeadLetterSink::keep`].
pub async fn keep_failed_rows<R: Serialize + Sync>(
    sink: &dyn DeadLetterSink,
    source: &str,
    report: &BulkReport<R>,
    at: SystemTime,
) -> Result<u64, BulkError> {
    let letters = report.failed.iter();
    let letters: Result<Vec<_>, _> = letters
        .map(|failed| DeadLetter::new(source, &failed.row, describe(&failed.error), 1, at))
        .collect();
    let letters = letters?;
    if !letters.is_empty() {
        sink.keep(&letters).await?;
    }
    Ok(letters.len() as u64)
}
