//! Which rows a request wants, as the request says it.
//!
//! A [`Filter`] is untrusted: it holds names and values as they were written. Checked against a
//! [`Schema`](crate::Schema) it becomes a [`Condition`](crate::Condition), which alone reaches a source.

mod operator;

use crate::value::Value;
use std::borrow::Cow;

pub use operator::FilterOp;
pub(crate) use operator::Operators;

/// A condition on fields, by name.
///
/// NULL follows SQL: a comparison with it is neither true nor false, and rows are kept only where the
/// whole is true. `ne` therefore does not find NULLs; [`Filter::is_null`] does.
///
/// ```
/// use perf_paginate::Filter;
///
/// let late = Filter::all([Filter::gte("dep_delay", 60_i64), Filter::is_in("origin", ["EWR", "JFK"])]);
/// assert_ne!(late, Filter::is_null("dep_delay"));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Filter {
    /// Every one holds; true when empty.
    All(Vec<Self>),
    /// At least one holds; false when empty.
    Any(Vec<Self>),
    /// It does not hold.
    Not(Box<Self>),
    /// A field compared with values.
    Compare {
        /// The field's name.
        field: Cow<'static, str>,
        /// How.
        operator: FilterOp,
        /// With what: none for the NULL tests, two for `between`, any number for `in`, else one. Text
        /// is read as the field's kind.
        operands: Vec<Value>,
    },
}

macro_rules! comparisons {
    ($($(#[$doc:meta])* $name:ident => $operator:ident),* $(,)?) => {
        $(
            $(#[$doc])*
            pub fn $name(field: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> Self {
                Self::compare(field, FilterOp::$operator, [value.into()])
            }
        )*
    };
}

impl Filter {
    comparisons! {
        /// The field equals `value`.
        eq => Eq,
        /// The field is another value.
        ne => Ne,
        /// The field is less than `value`.
        lt => Lt,
        /// The field is at most `value`.
        lte => Lte,
        /// The field is greater than `value`.
        gt => Gt,
        /// The field is at least `value`.
        gte => Gte,
        /// The text contains `value`, whose characters all stand for themselves.
        contains => Contains,
        /// The text starts with `value`, whose characters all stand for themselves.
        starts_with => StartsWith,
        /// The text ends with `value`, whose characters all stand for themselves.
        ends_with => EndsWith,
    }

    /// A field compared with any number of values.
    pub fn compare(
        field: impl Into<Cow<'static, str>>,
        operator: FilterOp,
        operands: impl IntoIterator<Item = Value>,
    ) -> Self {
        Self::Compare {
            field: field.into(),
            operator,
            operands: operands.into_iter().collect(),
        }
    }

    /// The field is one of `values`.
    pub fn is_in<V: Into<Value>>(
        field: impl Into<Cow<'static, str>>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        Self::compare(field, FilterOp::In, values.into_iter().map(Into::into))
    }

    /// The field is at least `low` and at most `high`.
    pub fn between(
        field: impl Into<Cow<'static, str>>,
        low: impl Into<Value>,
        high: impl Into<Value>,
    ) -> Self {
        Self::compare(field, FilterOp::Between, [low.into(), high.into()])
    }

    /// The field is NULL.
    pub fn is_null(field: impl Into<Cow<'static, str>>) -> Self {
        Self::compare(field, FilterOp::IsNull, [])
    }

    /// The field is not NULL.
    pub fn not_null(field: impl Into<Cow<'static, str>>) -> Self {
        Self::compare(field, FilterOp::NotNull, [])
    }

    /// Every one of `filters` holds.
    pub fn all(filters: impl IntoIterator<Item = Self>) -> Self {
        Self::All(filters.into_iter().collect())
    }

    /// At least one of `filters` holds.
    pub fn any(filters: impl IntoIterator<Item = Self>) -> Self {
        Self::Any(filters.into_iter().collect())
    }

    /// This filter does not hold.
    #[must_use]
    pub fn negated(self) -> Self {
        Self::Not(Box::new(self))
    }
}
