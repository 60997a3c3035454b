use crate::error::BulkError;
use crate::wall;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// An item that failed for good, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeadLetter {
    /// What failed to process it: the name of a batcher, a task or a table.
    pub source: String,
    /// The item.
    pub payload: serde_json::Value,
    /// What went wrong, with its causes.
    pub error: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was given up, to the microsecond.
    #[serde(with = "wall::serde")]
    pub failed_at: SystemTime,
}

impl DeadLetter {
    /// A letter about `payload`.
    ///
    /// # Errors
    ///
    /// [`BulkError::DeadLetters`] when the payload has no form in JSON.
    pub fn new<T: Serialize + ?Sized>(
        source: impl Into<String>,
        payload: &T,
        error: impl Into<String>,
        attempts: u32,
        failed_at: SystemTime,
    ) -> Result<Self, BulkError> {
        Ok(Self {
            source: source.into(),
            payload: serde_json::to_value(payload).map_err(BulkError::dead_letters)?,
            error: error.into(),
            attempts,
            failed_at,
        })
    }

    /// The item as what it was.
    ///
    /// ```
    /// use perf_bulk::DeadLetter;
    /// use std::time::SystemTime;
    ///
    /// let letter = DeadLetter::new("doubler", &[1, 2], "overflow", 1, SystemTime::UNIX_EPOCH)?;
    /// assert_eq!(letter.payload_as::<Vec<u8>>()?, [1, 2]);
    /// assert!(letter.payload_as::<String>().is_err());
    /// # Ok::<(), perf_bulk::BulkError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`BulkError::DeadLetters`] when the payload is not of this type.
    pub fn payload_as<T: DeserializeOwned>(&self) -> Result<T, BulkError> {
        T::deserialize(&self.payload).map_err(BulkError::dead_letters)
    }
}

/// A letter as a sink keeps it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct KeptLetter {
    /// Its place in the sink.
    pub id: LetterId,
    /// The letter.
    pub letter: DeadLetter,
}

impl KeptLetter {
    /// A letter at its place, for sinks of your own.
    #[must_use]
    pub const fn new(id: LetterId, letter: DeadLetter) -> Self {
        Self { id, letter }
    }
}

/// A letter's place in its sink; later letters have greater ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LetterId(pub u128);

/// An error with its causes, in one line.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_described_with_its_causes() {
        let inner = serde_json::from_str::<u8>("x").unwrap_err();
        let error = BulkError::dead_letters(inner);
        let text = describe(&error);
        assert!(
            text.starts_with("the dead letters failed: expected value"),
            "{text}"
        );
    }
}
