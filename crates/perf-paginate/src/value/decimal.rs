use std::cmp::Ordering;
use std::fmt;

/// A decimal number of any precision, exact.
///
/// Two that are equal are written alike: `1.50` is `1.5`, and there is no negative zero.
///
/// ```
/// use perf_paginate::Decimal;
///
/// let price = Decimal::parse("-0012.3400").ok_or("a number")?;
/// assert_eq!(price.to_string(), "-12.34");
/// assert!(price < Decimal::parse("-12.339").ok_or("a number")?);
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decimal {
    negative: bool,
    /// Without leading zeros; empty below one.
    whole: String,
    /// Without trailing zeros.
    fraction: String,
}

impl Decimal {
    /// Reads digits with an optional sign and an optional fraction; no exponent.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
        let digits =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        (digits(whole) && digits(fraction))
            .then(|| Self::from_parts(text.starts_with('-'), whole, fraction))
    }

    /// The number of these digits before and after the point.
    pub(crate) fn from_parts(negative: bool, whole: &str, fraction: &str) -> Self {
        let whole = whole.trim_start_matches('0').to_owned();
        let fraction = fraction.trim_end_matches('0').to_owned();
        Self {
            negative: negative && !(whole.is_empty() && fraction.is_empty()),
            whole,
            fraction,
        }
    }

    /// Whether it is below zero.
    #[must_use]
    pub const fn is_negative(&self) -> bool {
        self.negative
    }

    /// The digits before and after the point.
    pub(crate) fn parts(&self) -> (&str, &str) {
        (&self.whole, &self.fraction)
    }

    /// How many digits there are.
    pub(crate) const fn digits(&self) -> usize {
        self.whole.len() + self.fraction.len()
    }

    fn magnitude(&self, other: &Self) -> Ordering {
        let whole = (self.whole.len(), &self.whole).cmp(&(other.whole.len(), &other.whole));
        whole.then_with(|| self.fraction.cmp(&other.fraction))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.magnitude(other),
            (true, true) => other.magnitude(self),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<i64> for Decimal {
    fn from(value: i64) -> Self {
        Self::from_parts(value < 0, &value.unsigned_abs().to_string(), "")
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        let whole = if self.whole.is_empty() {
            "0"
        } else {
            &self.whole
        };
        let point = if self.fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{whole}{point}{}", self.fraction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn order_is_that_of_the_numbers(a in -10_000_i64..10_000, b in -10_000_i64..10_000) {
            let hundredths = |n: i64| {
                let sign = if n < 0 { "-" } else { "" };
                Decimal::parse(&format!("{sign}{}.{:02}", n.abs() / 100, n.abs() % 100)).unwrap()
            };
            prop_assert_eq!(hundredths(a).cmp(&hundredths(b)), a.cmp(&b));
        }

        #[test]
        fn text_and_back(text in "-?[0-9]{1,40}(\\.[0-9]{1,40})?", any in "\\PC{0,9}") {
            let number = Decimal::parse(&text).unwrap();
            prop_assert_eq!(Decimal::parse(&number.to_string()), Some(number));
            let _does_not_panic = Decimal::parse(&any);
        }
    }

    #[test]
    fn one_number_has_one_form() {
        for (text, form) in [
            ("-0.0", "0"),
            ("+7.", ""),
            ("007.100", "7.1"),
            (".5", ""),
            ("1e3", ""),
            ("0.50", "0.5"),
            ("", ""),
            ("-", ""),
        ] {
            let parsed = Decimal::parse(text).map(|number| number.to_string());
            assert_eq!(parsed.unwrap_or_default(), form, "{text}");
        }
    }
}
