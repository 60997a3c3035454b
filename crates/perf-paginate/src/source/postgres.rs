use super::Backend;
use crate::statement::Bind;
use crate::value::{Kind, Timestamp, Value};
use perf_core::{Dialect, Transience};
use sqlx::encode::IsNull;
use sqlx::error::{BoxDynError, DatabaseError};
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgHasArrayType, PgTypeInfo};
use sqlx::{Arguments, Encode, Postgres, Type};

impl Backend for Postgres {
    const DIALECT: Dialect = Dialect::Postgres;
    const EXPLAIN: (&str, usize) = ("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF)", 0);

    fn bind(arguments: &mut PgArguments, bind: Bind) -> Result<(), BoxDynError> {
        match bind {
            Bind::Value(Value::Null) => arguments.add(None::<i64>),
            Bind::Value(Value::Bool(value)) => arguments.add(value),
            Bind::Value(Value::Int(value)) => arguments.add(value),
            Bind::Value(Value::UInt(value)) => arguments.add(i64::try_from(value)?),
            Bind::Value(Value::Float(value)) => arguments.add(value),
            Bind::Value(Value::Text(text)) => arguments.add(text),
            Bind::Value(Value::Bytes(bytes)) => arguments.add(bytes),
            Bind::Value(Value::Timestamp(moment)) => arguments.add(Micros::of(moment)?),
            Bind::Value(Value::Uuid(bytes)) => arguments.add(UuidBytes(bytes)),
            Bind::List(kind, values) => bind_list(arguments, kind, values),
        }
    }

    fn transience(error: &dyn DatabaseError) -> Transience {
        error
            .code()
            .map_or(Transience::Permanent, |code| Transience::of_sqlstate(&code))
    }
}

fn bind_list(
    arguments: &mut PgArguments,
    kind: Kind,
    values: Vec<Value>,
) -> Result<(), BoxDynError> {
    match kind {
        Kind::Bool => arguments.add(all(values, |value| match value {
            Value::Bool(value) => Some(value),
            _ => None,
        })?),
        Kind::Int | Kind::UInt => arguments.add(all(values, |value| match value {
            Value::Int(value) => Some(value),
            Value::UInt(value) => i64::try_from(value).ok(),
            _ => None,
        })?),
        Kind::Float => arguments.add(all(values, |value| match value {
            Value::Float(value) => Some(value),
            _ => None,
        })?),
        Kind::Text => arguments.add(all(values, |value| match value {
            Value::Text(text) => Some(text),
            _ => None,
        })?),
        Kind::Bytes => arguments.add(all(values, |value| match value {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        })?),
        Kind::Timestamp => arguments.add(all(values, |value| match value {
            Value::Timestamp(moment) => Micros::of(moment).ok(),
            _ => None,
        })?),
        Kind::Uuid => arguments.add(all(values, |value| match value {
            Value::Uuid(bytes) => Some(UuidBytes(bytes)),
            _ => None,
        })?),
    }
}

fn all<V>(values: Vec<Value>, read: impl Fn(Value) -> Option<V>) -> Result<Vec<V>, BoxDynError> {
    let read: Option<Vec<V>> = values.into_iter().map(read).collect();
    read.ok_or_else(|| "a list's value does not fit its column".into())
}

/// A `timestamptz` as PostgreSQL holds it: microseconds since the start of 2000.
struct Micros(i64);

/// A `uuid` as PostgreSQL holds it.
struct UuidBytes([u8; 16]);

impl Micros {
    fn of(moment: Timestamp) -> Result<Self, BoxDynError> {
        const START_OF_2000: i64 = 946_684_800;
        let seconds = moment.seconds().checked_sub(START_OF_2000);
        let micros = seconds
            .filter(|_| moment.nanos().is_multiple_of(1_000))
            .and_then(|seconds| seconds.checked_mul(1_000_000))
            .and_then(|micros| micros.checked_add(i64::from(moment.nanos() / 1_000)));
        micros
            .map(Self)
            .ok_or_else(|| "no timestamp of PostgreSQL".into())
    }
}

/// A type that sqlx knows only with a feature of its own, by PostgreSQL's fixed numbers for it and for
/// its arrays.
macro_rules! wire_type {
    ($name:ty, $oid:literal, $array_oid:literal, $bytes:expr) => {
        impl Type<Postgres> for $name {
            fn type_info() -> PgTypeInfo {
                PgTypeInfo::with_oid(Oid($oid))
            }
        }

        impl PgHasArrayType for $name {
            fn array_type_info() -> PgTypeInfo {
                PgTypeInfo::with_oid(Oid($array_oid))
            }
        }

        impl Encode<'_, Postgres> for $name {
            fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
                let bytes: fn(&Self) -> _ = $bytes;
                buffer.extend_from_slice(&bytes(self));
                Ok(IsNull::No)
            }
        }
    };
}

wire_type!(Micros, 1184, 1185, |micros| micros.0.to_be_bytes());
wire_type!(UuidBytes, 2950, 2951, |uuid| uuid.0);
