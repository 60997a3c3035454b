mod numeric;

use super::{Backend, undecodable};
use crate::statement::Bind;
use crate::value::{Decimal, Kind, Timestamp, Value};
use perf_core::{Dialect, Transience};
use sqlx::encode::IsNull;
use sqlx::error::{BoxDynError, DatabaseError};
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgHasArrayType, PgRow, PgTypeInfo};
use sqlx::{Arguments, Encode, Postgres, Row, Type, ValueRef};

impl Backend for Postgres {
    const DIALECT: Dialect = Dialect::Postgres;
    const EXPLAIN: (&str, usize) = ("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF)", 0);

    const PLAN: &str = "EXPLAIN";

    fn obstacle(plan: &[PgRow], is_merged: bool) -> Result<(Option<String>, String), sqlx::Error> {
        let lines = plan.iter().map(|row| row.try_get::<String, _>(0));
        let lines: Vec<String> = lines.collect::<Result<_, _>>()?;
        // Merging sorts as many rows as the branches return together.
        let is_outer = |line: &&String| is_merged && !line.contains("Nested Loop");
        let steps = lines.iter().skip_while(is_outer);
        let mut steps = steps.map(|line| line.trim_start_matches([' ', '-', '>']));
        let reads_more = [
            "Sort ",
            "Incremental Sort ",
            "Seq Scan ",
            "Parallel ",
            "Bitmap Heap Scan ",
        ];
        let obstacle = steps.find(|step| reads_more.iter().any(|more| step.starts_with(more)));
        Ok((obstacle.map(str::to_owned), lines.join("\n")))
    }

    fn expected(plan: &[PgRow]) -> Result<Option<u64>, sqlx::Error> {
        let Some(first) = plan.first() else {
            return Ok(None);
        };
        let line: String = first.try_get(0)?;
        let rows = line.split_once(" rows=").map(|(_, rows)| rows);
        let digits = rows.and_then(|rows| rows.split(' ').next());
        Ok(digits.and_then(|digits| digits.parse().ok()))
    }

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
            Bind::Value(Value::Decimal(number)) => arguments.add(Numeric::of(&number)?),
            Bind::List(kind, values) => bind_list(arguments, kind, values),
        }
    }

    fn read(row: &PgRow, column: usize, kind: Kind) -> Result<Value, sqlx::Error> {
        if row.try_get_raw(column)?.is_null() {
            return Ok(Value::Null);
        }
        Ok(match kind {
            Kind::Bool => Value::Bool(row.try_get(column)?),
            // Integers of all widths decode as the widest.
            Kind::Int => Value::Int(row.try_get_unchecked(column)?),
            Kind::UInt => {
                let value: i64 = row.try_get_unchecked(column)?;
                Value::UInt(u64::try_from(value).map_err(|error| undecodable(column, error))?)
            }
            Kind::Float => match row.try_get::<f32, _>(column) {
                Ok(value) => Value::Float(value.into()),
                Err(_) => Value::Float(row.try_get(column)?),
            },
            Kind::Text => Value::Text(row.try_get_unchecked(column)?),
            Kind::Bytes => Value::Bytes(row.try_get_unchecked(column)?),
            Kind::Timestamp => Value::Timestamp(Micros(row.try_get_unchecked(column)?).moment()),
            Kind::Uuid => {
                let bytes: Vec<u8> = row.try_get_unchecked(column)?;
                let bytes = bytes.try_into();
                Value::Uuid(bytes.map_err(|_| undecodable(column, "no UUID"))?)
            }
            Kind::Decimal => {
                let bytes: Vec<u8> = row.try_get_unchecked(column)?;
                let number = numeric::decode(&bytes);
                Value::Decimal(number.ok_or_else(|| undecodable(column, "no number"))?)
            }
        })
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
        Kind::Decimal => arguments.add(all(values, |value| match value {
            Value::Decimal(number) => Numeric::of(&number).ok(),
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

/// A `numeric` as PostgreSQL holds it.
struct Numeric(Vec<u8>);

const START_OF_2000: i64 = 946_684_800;

impl Numeric {
    fn of(number: &Decimal) -> Result<Self, BoxDynError> {
        let bytes = numeric::encode(number).map(Self);
        bytes.ok_or_else(|| "no number of PostgreSQL".into())
    }
}

impl Micros {
    fn moment(&self) -> Timestamp {
        let nanos = u32::try_from(self.0.rem_euclid(1_000_000) * 1_000).unwrap_or(0);
        Timestamp::from_unix(self.0.div_euclid(1_000_000) + START_OF_2000, nanos)
    }

    fn of(moment: Timestamp) -> Result<Self, BoxDynError> {
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
                fn bytes(value: &$name) -> impl AsRef<[u8]> {
                    $bytes(value)
                }
                buffer.extend_from_slice(bytes(self).as_ref());
                Ok(IsNull::No)
            }
        }
    };
}

wire_type!(Micros, 1184, 1185, |micros: &Micros| micros.0.to_be_bytes());
wire_type!(UuidBytes, 2950, 2951, |uuid: &UuidBytes| uuid.0);
wire_type!(Numeric, 1700, 1231, |number: &Numeric| number.0.clone());
