//! JSON values as the types of their columns.

use super::cells::MySqlCells;
use crate::error::BoxError;
use crate::map::JsonValue;
use crate::row::BulkValue;
use serde_json::Value;
use sqlx::MySql;

impl BulkValue<MySql> for JsonValue {
    fn encode(&self, cells: &mut MySqlCells) -> Result<(), BoxError> {
        let is_unsigned = cells.column_is(|name| name.ends_with("UNSIGNED"));
        let is_real = cells.column_is(|name| ["FLOAT", "DOUBLE"].contains(&name));
        match &self.0 {
            Value::Null => cells.push_null(),
            Value::Bool(flag) => cells.push(flag),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (_, _, Some(real)) if is_real => cells.push(&real),
                (Some(integer), _, _) if is_unsigned => cells.push(&integer),
                (_, Some(integer), _) => cells.push(&integer),
                (_, _, Some(real)) if !number.is_u64() => cells.push(&real),
                _ => Err("the number is too large".into()),
            },
            Value::String(text) => cells.push(text),
            nested => cells.push(&nested.to_string()),
        }
    }
}
