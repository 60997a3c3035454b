use crate::progress::Meter;
use std::time::Duration;

/// What a bulk update or delete found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MatchReport {
    /// For each row of the input, whether the table had its key.
    pub matched: Vec<bool>,
    /// The bytes of the values sent.
    pub bytes: u64,
    /// How long it took.
    pub elapsed: Duration,
}

impl MatchReport {
    pub(super) fn new(matched: Vec<bool>, meter: &Meter<'_>) -> Self {
        let progress = meter.progress();
        Self {
            matched,
            bytes: progress.bytes,
            elapsed: progress.elapsed,
        }
    }

    /// How many keys the table had.
    #[must_use]
    pub fn count(&self) -> usize {
        self.matched.iter().filter(|matched| **matched).count()
    }
}
