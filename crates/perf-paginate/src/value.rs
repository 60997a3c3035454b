//! Exact values, as the database holds them.
//!
//! A cursor that rounds a value (microseconds to milliseconds, `u64` to `f64`) skips or repeats rows at
//! the page boundary. So a [`Value`] keeps what the row held, and the order of two values is decided in
//! one place for the in-memory source, while a database decides for itself.

#[cfg(feature = "chrono")]
mod chrono;
mod decimal;
mod form;
#[cfg(feature = "decimal")]
mod rust_decimal;
mod timestamp;
#[cfg(feature = "uuid")]
mod uuid;

use std::cmp::Ordering;

pub use decimal::Decimal;
pub use timestamp::Timestamp;

/// One value of a row, a filter or a cursor.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// SQL's NULL.
    Null,
    /// A truth value; false sorts before true.
    Bool(bool),
    /// A signed integer of up to 64 bits.
    Int(i64),
    /// An unsigned integer of up to 64 bits.
    UInt(u64),
    /// A floating-point number. It can be filtered by but never sorted by.
    Float(f64),
    /// Text. Never holds a NUL character when it comes from a request.
    Text(String),
    /// Bytes, sorted as unsigned.
    Bytes(Vec<u8>),
    /// A point in time.
    Timestamp(Timestamp),
    /// A UUID, sorted by its bytes.
    Uuid([u8; 16]),
    /// A decimal number, exact. It can be sorted by.
    Decimal(Decimal),
}

/// What a field holds when it is not NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// [`Value::Bool`].
    Bool,
    /// [`Value::Int`].
    Int,
    /// [`Value::UInt`].
    UInt,
    /// [`Value::Float`].
    Float,
    /// [`Value::Text`].
    Text,
    /// [`Value::Bytes`]; a request writes them in hexadecimal.
    Bytes,
    /// [`Value::Timestamp`]; a request writes it as [`Timestamp::parse`] reads it.
    ///
    /// The column is `timestamptz` on PostgreSQL, `DATETIME(6)` in UTC on MySQL and MariaDB, and on SQLite
    /// text as `chrono` writes it through sqlx: `2013-01-01T05:00:00+00:00`.
    Timestamp,
    /// [`Value::Uuid`]; the column is `uuid` on PostgreSQL, else 16 bytes.
    Uuid,
    /// [`Value::Decimal`]; the column is `numeric` on PostgreSQL and `DECIMAL` on MySQL and MariaDB. SQLite has no
    /// exact decimals.
    Decimal,
}

impl Kind {
    /// The kind's name in error messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "a boolean",
            Self::Int => "an integer",
            Self::UInt => "a non-negative integer",
            Self::Float => "a number",
            Self::Text => "text",
            Self::Bytes => "hexadecimal bytes",
            Self::Timestamp => "an RFC 3339 timestamp",
            Self::Uuid => "a UUID",
            Self::Decimal => "a decimal number",
        }
    }
}

/// A type whose values are fields of a row.
///
/// Implement it for a newtype by naming the kind and implementing `From<Newtype> for Value`.
pub trait FieldValue: Into<Value> {
    /// What the type holds.
    const KIND: Kind;
    /// Whether it may be NULL.
    const NULLABLE: bool = false;
}

impl<V: FieldValue> FieldValue for Option<V> {
    const KIND: Kind = V::KIND;
    const NULLABLE: bool = true;
}

impl<V: Into<Self>> From<Option<V>> for Value {
    fn from(value: Option<V>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

macro_rules! field_values {
    ($($type:ty => $kind:ident),* $(,)?) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$kind(value.into())
            }
        }

        impl FieldValue for $type {
            const KIND: Kind = Kind::$kind;
        }
    )*};
}

field_values! {
    bool => Bool,
    i8 => Int, i16 => Int, i32 => Int, i64 => Int,
    u8 => UInt, u16 => UInt, u32 => UInt, u64 => UInt,
    f32 => Float, f64 => Float,
    String => Text,
    Vec<u8> => Bytes,
    Timestamp => Timestamp,
    [u8; 16] => Uuid,
    Decimal => Decimal,
}

impl Value {
    /// Whether this is NULL.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// How two values of one kind compare; `None` when either is NULL, as in SQL, or the kinds differ.
    ///
    /// ```
    /// use perf_paginate::Value;
    /// use std::cmp::Ordering;
    ///
    /// assert_eq!(Value::from(2_i64).compare(&Value::from(10_i64)), Some(Ordering::Less));
    /// assert_eq!(Value::Null.compare(&Value::Null), None);
    /// ```
    #[must_use]
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::UInt(a), Self::UInt(b)) => Some(a.cmp(b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b),
            (Self::Text(a), Self::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (Self::Bytes(a), Self::Bytes(b)) => Some(a.cmp(b)),
            (Self::Timestamp(a), Self::Timestamp(b)) => Some(a.cmp(b)),
            (Self::Uuid(a), Self::Uuid(b)) => Some(a.cmp(b)),
            (Self::Decimal(a), Self::Decimal(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    /// This value as one of `kind`, read from text where a request could only write text.
    pub(crate) fn coerced(self, kind: Kind) -> Option<Self> {
        match (kind, self) {
            (Kind::Bool, value @ Self::Bool(_))
            | (Kind::Int, value @ Self::Int(_))
            | (Kind::UInt, value @ Self::UInt(_))
            | (Kind::Bytes, value @ Self::Bytes(_))
            | (Kind::Timestamp, value @ Self::Timestamp(_))
            | (Kind::Uuid, value @ Self::Uuid(_))
            | (Kind::Decimal, value @ Self::Decimal(_)) => Some(value),
            (Kind::Decimal, Self::Int(value)) => Some(Self::Decimal(value.into())),
            (Kind::Decimal, Self::UInt(value)) => {
                Decimal::parse(&value.to_string()).map(Self::Decimal)
            }
            (Kind::Float, Self::Float(value)) => value.is_finite().then_some(Self::Float(value)),
            (Kind::Text, Self::Text(text)) => (!text.contains('\0')).then_some(Self::Text(text)),
            (Kind::Int, Self::UInt(value)) => i64::try_from(value).ok().map(Self::Int),
            (Kind::UInt, Self::Int(value)) => u64::try_from(value).ok().map(Self::UInt),
            // An integer of 32 bits is exact in 64 bits of floating point; a larger one may not be.
            (Kind::Float, Self::Int(value)) => i32::try_from(value).ok().map(Self::from_small),
            (Kind::Float, Self::UInt(value)) => i32::try_from(value).ok().map(Self::from_small),
            (kind, Self::Text(text)) => Self::parsed(&text, kind),
            _ => None,
        }
    }

    fn from_small(value: i32) -> Self {
        Self::Float(value.into())
    }

    fn parsed(text: &str, kind: Kind) -> Option<Self> {
        match kind {
            Kind::Bool => text.parse().ok().map(Self::Bool),
            Kind::Int => text.parse().ok().map(Self::Int),
            Kind::UInt => text.parse().ok().map(Self::UInt),
            Kind::Float => text
                .parse()
                .ok()
                .filter(|value: &f64| value.is_finite())
                .map(Self::Float),
            Kind::Text => Some(Self::Text(text.to_owned())),
            Kind::Bytes => from_hex(text).map(Self::Bytes),
            Kind::Timestamp => Timestamp::parse(text).map(Self::Timestamp),
            Kind::Uuid => from_uuid(text).map(Self::Uuid),
            Kind::Decimal => Decimal::parse(text).map(Self::Decimal),
        }
    }

    /// Appends a form that [`Value::decode`] reads back exactly.
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Null => bytes.push(0),
            Self::Bool(value) => bytes.extend([1, u8::from(*value)]),
            Self::Int(value) => tagged(bytes, 2, &value.to_be_bytes()),
            Self::UInt(value) => tagged(bytes, 3, &value.to_be_bytes()),
            Self::Float(value) => tagged(bytes, 4, &value.to_bits().to_be_bytes()),
            Self::Text(text) => sized(bytes, 5, text.as_bytes()),
            Self::Bytes(content) => sized(bytes, 6, content),
            Self::Timestamp(moment) => {
                tagged(bytes, 7, &moment.seconds().to_be_bytes());
                bytes.extend_from_slice(&moment.nanos().to_be_bytes());
            }
            Self::Uuid(content) => tagged(bytes, 8, content),
            Self::Decimal(number) => sized(bytes, 9, number.to_string().as_bytes()),
        }
    }

    /// The encoding alone, to look equal values up by.
    pub(crate) fn form(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        bytes
    }

    /// Reads one value off the front of `bytes`; `None` when they are not one.
    pub(crate) fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Some(match take::<1>(bytes)? {
            [0] => Self::Null,
            [1] => match take::<1>(bytes)? {
                [0] => Self::Bool(false),
                [1] => Self::Bool(true),
                _ => return None,
            },
            [2] => Self::Int(i64::from_be_bytes(take(bytes)?)),
            [3] => Self::UInt(u64::from_be_bytes(take(bytes)?)),
            [4] => Self::Float(f64::from_bits(u64::from_be_bytes(take(bytes)?))),
            [5] => Self::Text(String::from_utf8(take_sized(bytes)?.to_vec()).ok()?),
            [6] => Self::Bytes(take_sized(bytes)?.to_vec()),
            [7] => {
                let seconds = i64::from_be_bytes(take(bytes)?);
                Self::Timestamp(Timestamp::from_unix(
                    seconds,
                    u32::from_be_bytes(take(bytes)?),
                ))
            }
            [8] => Self::Uuid(take(bytes)?),
            [9] => Self::Decimal(Decimal::parse(str::from_utf8(take_sized(bytes)?).ok()?)?),
            _ => return None,
        })
    }

    /// How many bytes a value of any length has.
    pub(crate) const fn length(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Decimal(number) => number.digits(),
            _ => 0,
        }
    }

    /// The value's kind; `None` for NULL.
    pub(crate) const fn kind(&self) -> Option<Kind> {
        Some(match self {
            Self::Null => return None,
            Self::Bool(_) => Kind::Bool,
            Self::Int(_) => Kind::Int,
            Self::UInt(_) => Kind::UInt,
            Self::Float(_) => Kind::Float,
            Self::Text(_) => Kind::Text,
            Self::Bytes(_) => Kind::Bytes,
            Self::Timestamp(_) => Kind::Timestamp,
            Self::Uuid(_) => Kind::Uuid,
            Self::Decimal(_) => Kind::Decimal,
        })
    }
}

fn tagged(bytes: &mut Vec<u8>, tag: u8, content: &[u8]) {
    bytes.push(tag);
    bytes.extend_from_slice(content);
}

fn sized(bytes: &mut Vec<u8>, tag: u8, content: &[u8]) {
    // Content beyond 4 GiB cannot reach a cursor of one kibibyte; its length only has to differ.
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    tagged(bytes, tag, &length.to_be_bytes());
    bytes.extend_from_slice(content);
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = bytes.split_first_chunk()?;
    *bytes = tail;
    Some(*head)
}

fn take_sized<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(u32::from_be_bytes(take(bytes)?)).ok()?;
    let (head, tail) = bytes.split_at_checked(length)?;
    *bytes = tail;
    Some(head)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|letter| {
            letter
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        })
        .collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(
        digits
            .chunks_exact(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect(),
    )
}

/// 32 digits, parted by hyphens as usual or not at all.
fn from_uuid(text: &str) -> Option<[u8; 16]> {
    let parts: Vec<&str> = text.split('-').collect();
    let usual = parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]);
    if !usual && parts.len() != 1 {
        return None;
    }
    from_hex(&parts.concat())?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            any::<u64>().prop_map(Value::UInt),
            (-1e300..1e300).prop_map(Value::Float),
            any::<String>().prop_map(Value::Text),
            any::<Vec<u8>>().prop_map(Value::Bytes),
            (any::<i64>(), 0_u32..1_000_000_000)
                .prop_map(|(seconds, nanos)| Timestamp::from_unix(seconds, nanos).into()),
            any::<[u8; 16]>().prop_map(Value::Uuid),
            "-?[0-9]{1,30}(\\.[0-9]{1,30})?"
                .prop_map(|text| Value::Decimal(Decimal::parse(&text).unwrap())),
        ]
    }

    proptest! {
        #[test]
        fn a_value_survives_its_encoding(value in values()) {
            let mut bytes = Vec::new();
            value.encode(&mut bytes);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(Value::decode(&mut rest), Some(value));
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn any_bytes_decode_without_panic(bytes in any::<Vec<u8>>()) {
            let mut rest = bytes.as_slice();
            while Value::decode(&mut rest).is_some() {}
        }
    }

    #[test]
    fn text_becomes_the_declared_kind_or_nothing() {
        let text = |text: &str| Value::from(text);
        assert_eq!(text("-7").coerced(Kind::Int), Some(Value::Int(-7)));
        assert_eq!(text("-7").coerced(Kind::UInt), None);
        assert_eq!(text("1e3").coerced(Kind::Float), Some(Value::Float(1e3)));
        assert_eq!(text("NaN").coerced(Kind::Float), None);
        assert_eq!(text("true").coerced(Kind::Bool), Some(Value::Bool(true)));
        assert_eq!(
            text("0fA0").coerced(Kind::Bytes),
            Some(Value::Bytes(vec![0x0f, 0xa0]))
        );
        assert_eq!(text("0fA").coerced(Kind::Bytes), None);
        let uuid = "00112233-4455-6677-8899-aabbccddeeff";
        assert_eq!(
            text(uuid).coerced(Kind::Uuid),
            text(&uuid.replace('-', "")).coerced(Kind::Uuid)
        );
        assert!(text(uuid).coerced(Kind::Uuid).is_some());
        assert_eq!(text("0011-2233").coerced(Kind::Uuid), None);
        assert_eq!(text("a\0b").coerced(Kind::Text), None);
        assert_eq!(Value::UInt(u64::MAX).coerced(Kind::Int), None);
        assert_eq!(Value::Null.coerced(Kind::Int), None);
    }
}
