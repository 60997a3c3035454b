//! Why rows were not written, before it is known what becomes of the others.

use super::Rejection;
use crate::error::BulkError;

#[derive(Debug)]
pub(super) struct Failed {
    /// The position of the row at fault, when it is known.
    pub(super) at: Option<usize>,
    /// Whether some row is at fault, and not the statement or the way to the server.
    pub(super) blames_a_row: bool,
    pub(super) error: BulkError,
}

impl Failed {
    /// A row that cannot be encoded. A type that is not the column's is no single row's fault.
    pub(super) fn encoding(at: usize, error: BulkError) -> Self {
        Self {
            at: Some(at),
            blames_a_row: !matches!(error, BulkError::TypeMismatch { .. }),
            error,
        }
    }

    /// A failure that no row is to blame for.
    pub(super) const fn fatal(error: BulkError) -> Self {
        Self {
            at: None,
            blames_a_row: false,
            error,
        }
    }

    /// The failure with its row counted from `first`.
    pub(super) fn offset(self, first: usize) -> Self {
        Self {
            at: self.at.map(|at| at + first),
            error: self.error.offset_row(first as u64),
            ..self
        }
    }

    pub(super) fn into_rejection(self, isolate: bool) -> Rejection {
        Rejection {
            at: self.at.unwrap_or(0),
            isolated: isolate && self.blames_a_row && self.at.is_some(),
            error: self.error,
        }
    }
}

/// A value whose type is not its column's, as an encoder reports it.
#[derive(Debug, thiserror::Error)]
#[error("the column is {expected}, the value {found}")]
pub(super) struct Mismatch {
    pub(super) expected: String,
    pub(super) found: String,
}

/// The error of a row that the driver could not encode, or whose type is wrong.
pub(super) fn encode_error(error: BulkError) -> BulkError {
    match error {
        BulkError::Encode {
            row,
            column,
            source,
        } => match source.downcast::<Mismatch>() {
            Ok(mismatch) => BulkError::TypeMismatch {
                column,
                expected: mismatch.expected,
                found: mismatch.found,
            },
            Err(source) => BulkError::Encode {
                row,
                column,
                source,
            },
        },
        error => error,
    }
}
