use super::{Decimal, FieldValue, Kind, Value};

impl From<rust_decimal::Decimal> for Decimal {
    fn from(number: rust_decimal::Decimal) -> Self {
        let text = number.abs().to_string();
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        Self::from_parts(number.is_sign_negative(), whole, fraction)
    }
}

impl From<rust_decimal::Decimal> for Value {
    fn from(number: rust_decimal::Decimal) -> Self {
        Self::Decimal(number.into())
    }
}

impl FieldValue for rust_decimal::Decimal {
    const KIND: Kind = Kind::Decimal;
}
