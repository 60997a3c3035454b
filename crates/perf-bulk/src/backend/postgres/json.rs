//! JSON values as the types of their columns.

use super::cells::PgCells;
use crate::error::BoxError;
use crate::map::JsonValue;
use crate::row::BulkValue;
use serde_json::Value;
use sqlx::Postgres;

impl BulkValue<Postgres> for JsonValue {
    fn encode(&self, cells: &mut PgCells) -> Result<(), BoxError> {
        let column = cells.column_name();
        match (&self.0, column.as_str()) {
            (Value::Null, _) => {
                cells.push_null();
                Ok(())
            }
            (Value::Bool(flag), "BOOL") => cells.push(flag),
            (value, "JSON" | "JSONB") => cells.push_bytes(value, value.to_string().as_bytes()),
            (Value::Number(number), "FLOAT8") => cells.push(&number.as_f64()),
            (Value::Number(number), "FLOAT4") => {
                let text = number.to_string();
                cells.push(&text.parse::<f32>()?)
            }
            (Value::Number(number), "INT2" | "INT4" | "INT8") => match number.as_i64() {
                Some(integer) => cells.push_integer(integer),
                None => Err(format!("{number} is no integer of 64 bits").into()),
            },
            (Value::String(text), "UUID") => cells.push_bytes(&self.0, &uuid(text)?),
            (Value::String(text), _) if cells.column_is_enum() => {
                cells.push_bytes(&self.0, text.as_bytes())
            }
            (Value::String(text), _) => cells.push(text),
            (other, _) => Err(cells.mismatch(kind(other))),
        }
    }
}

fn uuid(text: &str) -> Result<[u8; 16], BoxError> {
    let digits: String = text.chars().filter(|letter| *letter != '-').collect();
    let is_hex = digits.len() == 32 && digits.chars().all(|digit| digit.is_ascii_hexdigit());
    if !is_hex {
        return Err(format!("`{text}` is no UUID").into());
    }
    Ok(u128::from_str_radix(&digits, 16)?.to_be_bytes())
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "a JSON null",
        Value::Bool(_) => "a JSON boolean",
        Value::Number(_) => "a JSON number",
        Value::String(_) => "a JSON string",
        Value::Array(_) => "a JSON array",
        Value::Object(_) => "a JSON object",
    }
}
