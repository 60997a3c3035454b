use super::Backend;
use crate::statement::Bind;
use crate::value::{Kind, Value};
use perf_core::{Dialect, Transience};
use sqlx::error::{BoxDynError, DatabaseError};
use sqlx::postgres::PgArguments;
use sqlx::{Arguments, Postgres};

impl Backend for Postgres {
    const DIALECT: Dialect = Dialect::Postgres;

    fn bind(arguments: &mut PgArguments, bind: Bind) -> Result<(), BoxDynError> {
        match bind {
            Bind::Value(Value::Null) => arguments.add(None::<i64>),
            Bind::Value(Value::Bool(value)) => arguments.add(value),
            Bind::Value(Value::Int(value)) => arguments.add(value),
            Bind::Value(Value::UInt(value)) => arguments.add(i64::try_from(value)?),
            Bind::Value(Value::Float(value)) => arguments.add(value),
            Bind::Value(Value::Text(text)) => arguments.add(text),
            Bind::Value(Value::Bytes(bytes)) => arguments.add(bytes),
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
    }
}

fn all<V>(values: Vec<Value>, read: impl Fn(Value) -> Option<V>) -> Result<Vec<V>, BoxDynError> {
    let read: Option<Vec<V>> = values.into_iter().map(read).collect();
    read.ok_or_else(|| "a list's value does not fit its column".into())
}
