//! The names that requests use, whatever carries them.
//!
//! A query string and a JSON object say the same things, so both are read into the same parameters. What
//! is not named here belongs to the application and is left alone; what is named here and wrong is an
//! error, never a default.

use super::PageQuery;
use crate::cursor::Cursor;
use crate::error::Error;
use crate::filter::{Filter, FilterOp};
use crate::order::{Direction, SortKey};
use crate::value::Value;
use serde_json::Value as Json;

/// A query under construction.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    query: PageQuery,
    seen: Vec<&'static str>,
    sort_by: Option<String>,
    sort_order: Option<String>,
}

const NAMES: [(&str, &str); 11] = [
    ("page", "page"),
    ("size", "size"),
    ("per_page", "size"),
    ("limit", "size"),
    ("offset", "offset"),
    ("cursor", "cursor"),
    ("sort", "sort"),
    ("sort_by", "sort_by"),
    ("sort_order", "sort_order"),
    ("fields", "fields"),
    ("filters", "filters"),
];

impl Parameters {
    /// Takes one parameter as text. An unknown name is ignored.
    pub(super) fn text(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let Some(known) = known(name) else {
            return Ok(());
        };
        self.once(known)?;
        match known {
            "page" => self.query.page = Some(whole(known, value)?),
            "size" => self.query.size = Some(whole(known, value)?),
            "offset" => self.query.offset = Some(whole(known, value)?),
            "cursor" => self.query.cursor = Some(Cursor::from(value)),
            "sort" => self.query.sort = keys(value),
            "fields" => {
                let names = value.split(',').map(|name| name.trim().to_owned().into());
                self.query.fields = Some(names.collect());
            }
            "sort_by" => self.sort_by = Some(value.to_owned()),
            "sort_order" => self.sort_order = Some(value.to_owned()),
            _ => {
                let filters =
                    serde_json::from_str(value).map_err(|_| wrong(known, "a JSON object"))?;
                self.filters(&filters)?;
            }
        }
        Ok(())
    }

    /// Takes one parameter of a JSON object. An unknown name is ignored, and null is no value.
    pub(super) fn json(&mut self, name: &str, value: &Json) -> Result<(), Error> {
        match (known(name), value) {
            (None, _) | (_, Json::Null) => Ok(()),
            (Some("filters"), filters) => {
                self.once("filters")?;
                self.filters(filters)
            }
            (Some(known @ ("sort" | "fields")), Json::Array(parts)) => {
                let parts: Option<Vec<&str>> = parts.iter().map(Json::as_str).collect();
                let parts = parts.ok_or_else(|| wrong(known, "text or a list of text"))?;
                self.text(name, &parts.join(","))
            }
            (_, Json::String(text)) => self.text(name, text),
            (_, Json::Number(number)) => self.text(name, &number.to_string()),
            (Some(known), _) => Err(wrong(known, "text or a number")),
        }
    }

    /// Takes `filter[field]` or `filter[field][operator]`, whose value is text.
    pub(super) fn filter(&mut self, field: &str, operator: &str, value: &str) -> Result<(), Error> {
        let operator = parsed(operator)?;
        let list = || value.split(',').map(Value::from).collect();
        let (operator, operands) = match operator {
            FilterOp::In | FilterOp::NotIn if value.is_empty() => (operator, Vec::new()),
            FilterOp::In | FilterOp::NotIn | FilterOp::Between => (operator, list()),
            FilterOp::IsNull | FilterOp::NotNull => {
                (null_test(field, operator, value)?, Vec::new())
            }
            _ => (operator, vec![Value::from(value)]),
        };
        let field = field.to_owned();
        self.query
            .filters
            .push(Filter::compare(field, operator, operands));
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<PageQuery, Error> {
        match (self.sort_by, self.sort_order) {
            (None, None) => {}
            (None, Some(_)) => return Err(wrong("sort_order", "a sort_by beside it")),
            (Some(_), _) if self.seen.contains(&"sort") => {
                return Err(wrong("sort_by", "no sort beside it"));
            }
            (Some(fields), orders) => {
                self.query.sort = ordered(&fields, orders.as_deref().unwrap_or("asc"))?;
            }
        }
        Ok(self.query)
    }

    /// Which of two values of one parameter is meant cannot be known.
    fn once(&mut self, name: &'static str) -> Result<(), Error> {
        if self.seen.contains(&name) {
            return Err(wrong(name, "one value"));
        }
        self.seen.push(name);
        Ok(())
    }

    /// `{"field": {"operator": "gte", "value": 1}}`; several conditions on one field make a list, and a
    /// value alone must be equal.
    fn filters(&mut self, filters: &Json) -> Result<(), Error> {
        let object = filters
            .as_object()
            .ok_or_else(|| wrong("filters", "a JSON object"))?;
        for (field, conditions) in object {
            let one = std::slice::from_ref(conditions);
            for condition in conditions.as_array().map_or(one, Vec::as_slice) {
                self.query.filters.push(comparison(field, condition)?);
            }
        }
        Ok(())
    }
}

fn known(name: &str) -> Option<&'static str> {
    NAMES
        .iter()
        .find(|(written, _)| *written == name)
        .map(|(_, known)| *known)
}

fn comparison(field: &str, condition: &Json) -> Result<Filter, Error> {
    let Some(object) = condition.as_object() else {
        return Ok(Filter::compare(
            field.to_owned(),
            FilterOp::Eq,
            [scalar(field, condition)?],
        ));
    };
    let operator = object
        .get("operator")
        .and_then(Json::as_str)
        .unwrap_or("eq");
    let operator = parsed(operator)?;
    let value = object.get("value").unwrap_or(&Json::Null);
    if matches!(operator, FilterOp::IsNull | FilterOp::NotNull) {
        let text = match value {
            Json::Null => String::new(),
            value => value.to_string(),
        };
        let operator = null_test(field, operator, &text)?;
        return Ok(Filter::compare(field.to_owned(), operator, []));
    }
    let operands = match value {
        Json::Array(values) => values
            .iter()
            .map(|value| scalar(field, value))
            .collect::<Result<_, _>>()?,
        value => vec![scalar(field, value)?],
    };
    Ok(Filter::compare(field.to_owned(), operator, operands))
}

fn scalar(field: &str, value: &Json) -> Result<Value, Error> {
    match value {
        Json::Null => Ok(Value::Null),
        Json::Bool(value) => Ok(Value::Bool(*value)),
        Json::String(text) => Ok(Value::from(text.as_str())),
        Json::Number(number) => Ok(number
            .as_i64()
            .map(Value::Int)
            .or_else(|| number.as_u64().map(Value::UInt))
            .or_else(|| number.as_f64().map(Value::Float))
            .unwrap_or(Value::Null)),
        Json::Array(_) | Json::Object(_) => Err(wrong(field, "a value, not a structure")),
    }
}

/// `is_null=false` asks for the opposite.
fn null_test(field: &str, operator: FilterOp, value: &str) -> Result<FilterOp, Error> {
    match (operator, value) {
        (operator, "" | "true" | "1") => Ok(operator),
        (FilterOp::IsNull, "false" | "0") => Ok(FilterOp::NotNull),
        (_, "false" | "0") => Ok(FilterOp::IsNull),
        _ => Err(wrong(field, "true or false")),
    }
}

fn parsed(operator: &str) -> Result<FilterOp, Error> {
    FilterOp::parse(operator).ok_or_else(|| Error::UnknownOperator {
        operator: operator.to_owned(),
    })
}

pub(super) fn keys(fields: &str) -> Vec<SortKey> {
    fields
        .split(',')
        .map(|field| SortKey::parse(field.trim()))
        .collect()
}

/// One order for all fields, or one each.
fn ordered(fields: &str, orders: &str) -> Result<Vec<SortKey>, Error> {
    let mut keys = keys(fields);
    let orders = orders
        .split(',')
        .map(|order| direction(order.trim()))
        .collect::<Result<Vec<_>, _>>()?;
    if orders.len() != 1 && orders.len() != keys.len() {
        return Err(wrong("sort_order", "one order, or one for each field"));
    }
    for (key, order) in keys.iter_mut().zip(orders.iter().cycle()) {
        key.direction = *order;
    }
    Ok(keys)
}

fn direction(order: &str) -> Result<Direction, Error> {
    match order {
        "asc" | "ascending" => Ok(Direction::Ascending),
        "desc" | "descending" => Ok(Direction::Descending),
        _ => Err(wrong("sort_order", "asc or desc")),
    }
}

fn whole(name: &'static str, value: &str) -> Result<u64, Error> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    // More digits than a u64 holds are a number all the same, and too large for any limit.
    let number = digits.then(|| value.parse().unwrap_or(u64::MAX));
    number.ok_or_else(|| wrong(name, "a whole number"))
}

pub(super) fn wrong(field: &str, expected: &'static str) -> Error {
    Error::InvalidValue {
        field: field.to_owned(),
        expected: expected.into(),
    }
}
