use crate::value::Kind;
use std::fmt;

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FilterOp {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
    /// One of a list.
    In,
    /// None of a list.
    NotIn,
    /// Between two values, both included.
    Between,
    /// NULL.
    IsNull,
    /// Not NULL.
    NotNull,
    /// Text that contains this text.
    Contains,
    /// Text that starts with this text.
    StartsWith,
    /// Text that ends with this text.
    EndsWith,
}

impl FilterOp {
    /// Every operator, in the order of their codes.
    pub(crate) const ALL: [Self; 14] = [
        Self::Eq,
        Self::Ne,
        Self::Lt,
        Self::Lte,
        Self::Gt,
        Self::Gte,
        Self::In,
        Self::NotIn,
        Self::Between,
        Self::IsNull,
        Self::NotNull,
        Self::Contains,
        Self::StartsWith,
        Self::EndsWith,
    ];

    /// The name requests use: `"eq"`, `"not_in"`, `"starts_with"`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Lt => "lt",
            Self::Lte => "lte",
            Self::Gt => "gt",
            Self::Gte => "gte",
            Self::In => "in",
            Self::NotIn => "not_in",
            Self::Between => "between",
            Self::IsNull => "is_null",
            Self::NotNull => "not_null",
            Self::Contains => "contains",
            Self::StartsWith => "starts_with",
            Self::EndsWith => "ends_with",
        }
    }

    /// The operator of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|operator| operator.name() == name)
    }

    /// Whether only text can be compared so.
    pub(crate) const fn takes_text(self) -> bool {
        matches!(self, Self::Contains | Self::StartsWith | Self::EndsWith)
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl fmt::Display for FilterOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operators(u16);

impl Operators {
    pub(crate) const NONE: Self = Self(0);

    /// What makes sense for a kind.
    pub(crate) fn suiting(kind: Kind, nullable: bool) -> Self {
        use FilterOp as Op;
        let equality = [Op::Eq, Op::Ne, Op::In, Op::NotIn];
        let order = [Op::Lt, Op::Lte, Op::Gt, Op::Gte, Op::Between];
        let text = [Op::Contains, Op::StartsWith, Op::EndsWith];
        let null = [Op::IsNull, Op::NotNull];
        equality
            .into_iter()
            .chain(order.into_iter().filter(|_| kind != Kind::Bool))
            .chain(text.into_iter().filter(|_| kind == Kind::Text))
            .chain(null.into_iter().filter(|_| nullable))
            .collect()
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn allow(self, operator: FilterOp) -> bool {
        self.0 & operator.bit() != 0
    }

    pub(crate) const fn include(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }
}

impl FromIterator<FilterOp> for Operators {
    fn from_iter<I: IntoIterator<Item = FilterOp>>(operators: I) -> Self {
        Self(
            operators
                .into_iter()
                .fold(0, |bits, operator| bits | operator.bit()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_agree_with_the_list() {
        for (position, operator) in FilterOp::ALL.into_iter().enumerate() {
            assert_eq!(operator as usize, position);
            assert_eq!(FilterOp::parse(operator.name()), Some(operator));
        }
        assert_eq!(FilterOp::parse("EQ"), None);
    }
}
