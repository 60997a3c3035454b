use crate::filter::FilterOp;
use std::borrow::Cow;
use std::error::Error as StdError;

/// Why there is no page.
///
/// Everything a client can get wrong has status 400 and is found before the database is asked; nothing
/// bad is ever answered with page one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The cursor is not one that this service wrote.
    #[error("the cursor is invalid: {0}")]
    InvalidCursor(CursorFault),
    /// The cursor was written for another request.
    #[error("the cursor belongs to another {0}")]
    CursorMismatch(Binding),
    /// Two of `page`, `offset` and `cursor` say where to start.
    #[error("only one of page, offset and cursor may say where to start")]
    ConflictingStart,
    /// No field of this name is declared.
    #[error("there is no field {field:?}")]
    UnknownField {
        /// The name asked for.
        field: String,
    },
    /// The field may not be sorted by.
    #[error("field {field:?} cannot be sorted by")]
    NotSortable {
        /// The field's name.
        field: String,
    },
    /// The field is named twice in one sort.
    #[error("field {field:?} is sorted by twice")]
    RepeatedSort {
        /// The field's name.
        field: String,
    },
    /// The field is named twice among those to show.
    #[error("field {field:?} is asked for twice")]
    RepeatedField {
        /// The field's name.
        field: String,
    },
    /// The field may not be filtered by.
    #[error("field {field:?} cannot be filtered by")]
    NotFilterable {
        /// The field's name.
        field: String,
    },
    /// The field may be filtered by, but not so.
    #[error("field {field:?} does not allow operator {operator}")]
    OperatorNotAllowed {
        /// The field's name.
        field: String,
        /// The operator asked for.
        operator: FilterOp,
    },
    /// The field may not be aggregated, or not so.
    #[error("field {field:?} cannot be aggregated by {measure}")]
    NotAggregatable {
        /// The field's name.
        field: String,
        /// What was asked of it.
        measure: &'static str,
    },
    /// There is no such operator.
    #[error("there is no operator {operator:?}")]
    UnknownOperator {
        /// The name asked for.
        operator: String,
    },
    /// A value is not of the field's kind, or an operator has too few or too many values.
    #[error("field {field:?} expects {expected}")]
    InvalidValue {
        /// The field's name, or that of the request's own parameter.
        field: String,
        /// What it takes.
        expected: Cow<'static, str>,
    },
    /// A value is of the field's kind, but the database holds none like it: too large, or too fine.
    #[error("a value is beyond what the database can hold")]
    ValueOutOfRange,
    /// A number of the request is outside its bounds.
    #[error("{parameter} must be from {min} to {max}")]
    LimitOutOfRange {
        /// The request's parameter.
        parameter: &'static str,
        /// The least allowed.
        min: u64,
        /// The most allowed.
        max: u64,
    },
    /// The page lies deeper than offsets may reach; a cursor reaches any depth.
    #[error("offset pages end at row {max}; continue with a cursor")]
    OffsetTooDeep {
        /// The deepest offset allowed, in rows.
        max: u64,
    },
    /// More sort keys, conditions, nesting or list items than allowed.
    #[error("more than {max} {what}")]
    TooComplex {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        max: usize,
    },
    /// The request was checked for another resource, restriction or scope than it was fetched by.
    #[error("the request was checked for another resource, restriction or scope")]
    ForeignRequest,
    /// The declaration or configuration contradicts itself.
    #[error("{0}")]
    Configuration(Cow<'static, str>),
    /// The database failed.
    #[error("the database failed")]
    Backend {
        /// What the driver said.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
        /// Whether trying again may help.
        transient: bool,
    },
}

/// What is wrong with a cursor's form. It says nothing about what the cursor holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CursorFault {
    /// Not a cursor at all, or a damaged one.
    #[error("malformed")]
    Malformed,
    /// Of a version or protection that this service does not read.
    #[error("unsupported version")]
    UnsupportedVersion,
    /// Protected with a key that is not, or no longer, known.
    #[error("unknown key")]
    UnknownKey,
    /// Made too long ago.
    #[error("expired")]
    Expired,
    /// Forged or altered.
    #[error("bad signature")]
    BadSignature,
}

/// What a cursor is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Binding {
    /// The declared resource.
    #[error("resource")]
    Resource,
    /// The order of rows.
    #[error("sort")]
    Sort,
    /// Which rows there are.
    #[error("filter")]
    Filter,
    /// On whose behalf the walk goes.
    #[error("scope")]
    Scope,
}

impl Error {
    /// The HTTP status that tells the client whose fault it is: 400, 500, or 503 when trying again may
    /// help.
    ///
    /// ```
    /// use perf_paginate::{CursorFault, Error};
    ///
    /// assert_eq!(Error::InvalidCursor(CursorFault::Malformed).status(), 400);
    /// ```
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Backend {
                transient: true, ..
            } => 503,
            Self::ForeignRequest | Self::Configuration(_) | Self::Backend { .. } => 500,
            _ => 400,
        }
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Backend {
                transient: true,
                ..
            }
        )
    }
}

impl From<CursorFault> for Error {
    fn from(fault: CursorFault) -> Self {
        Self::InvalidCursor(fault)
    }
}
