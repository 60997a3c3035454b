use super::BoxError;
use perf_core::Transience;
use std::io;

/// Why an [`Export`](crate::Export) ended early. What was written before is a part without its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The rows ended with an error.
    #[error("the rows ended after {rows} of them")]
    Rows {
        /// How many rows came before it.
        rows: u64,
        /// The error.
        source: BoxError,
    },
    /// A row has no form in the format.
    #[error("row {row} cannot be encoded")]
    Encode {
        /// The row's index, from 0.
        row: u64,
        /// What the encoder said.
        source: BoxError,
    },
    /// The output could not be written.
    #[error("the output cannot be written")]
    Write(#[source] io::Error),
}

impl ExportError {
    /// Whether the same export may succeed later. An error of the rows is the caller's to judge.
    ///
    /// ```
    /// use perf_bulk::ExportError;
    /// use std::io::ErrorKind;
    ///
    /// assert!(ExportError::Write(ErrorKind::BrokenPipe.into()).is_transient());
    /// ```
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Write(error) => Transience::of_io(error.kind()).is_transient(),
            Self::Rows { .. } | Self::Encode { .. } => false,
        }
    }
}
