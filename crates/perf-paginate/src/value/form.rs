//! How a value is shown in JSON.

use super::Value;
use serde::{Serialize, Serializer};
use std::fmt::Write as _;

/// As JSON has it, or as a request writes it: bytes in hexadecimal, timestamps by RFC 3339, UUIDs with hyphens,
/// decimals as text, since JSON's numbers are often read inexactly.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::UInt(value) => serializer.serialize_u64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => serializer.serialize_str(&hexadecimal(bytes)),
            Self::Timestamp(moment) => serializer.collect_str(moment),
            Self::Uuid(bytes) => serializer.serialize_str(&hyphenated(bytes)),
            Self::Decimal(number) => serializer.collect_str(number),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}

fn hyphenated(bytes: &[u8; 16]) -> String {
    let digits = hexadecimal(bytes);
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32];
    groups.map(|group| &digits[group]).join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Decimal, Kind, Timestamp};

    #[test]
    fn what_is_shown_is_read_back() {
        let values = [
            Value::Bool(true),
            Value::Int(-1),
            Value::UInt(u64::MAX),
            Value::Float(0.5),
            Value::from("é"),
            Value::Bytes(vec![0, 0xff]),
            Value::Timestamp(Timestamp::from_unix(-1, 1_000)),
            Value::Uuid(*b"0123456789abcdef"),
            Value::Decimal(Decimal::parse("-0.1").unwrap()),
        ];
        for value in values {
            let shown = serde_json::to_value(&value).unwrap();
            let text = shown
                .as_str()
                .map_or_else(|| shown.to_string(), str::to_owned);
            let kind: Kind = value.kind().unwrap();
            assert_eq!(Value::from(text.as_str()).coerced(kind), Some(value));
        }
        assert_eq!(serde_json::to_string(&Value::Null).unwrap(), "null");
    }
}
