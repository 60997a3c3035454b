//! JSON values as SQLite's own.

use super::value::{SqliteCells, SqliteValue};
use crate::error::BoxError;
use crate::map::JsonValue;
use crate::row::BulkValue;
use serde_json::Value;
use sqlx::Sqlite;
use std::borrow::Cow;

impl BulkValue<Sqlite> for JsonValue {
    fn encode<'r>(&'r self, cells: &mut SqliteCells<'r>) -> Result<(), BoxError> {
        cells.push(match &self.0 {
            Value::Null => SqliteValue::Null,
            Value::Bool(flag) => SqliteValue::Integer(i64::from(*flag)),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(integer), _) => SqliteValue::Integer(integer),
                (None, Some(real)) if !number.is_u64() => SqliteValue::Real(real),
                _ => return Err("the number is too large".into()),
            },
            Value::String(text) => SqliteValue::Text(Cow::Borrowed(text)),
            nested => SqliteValue::Text(Cow::Owned(nested.to_string())),
        });
        Ok(())
    }
}
