//! Figures of rows in memory, as a database would compute them.

use crate::aggregate::Measure;
use crate::error::Error;
use crate::value::{Decimal, Kind, Value};
use std::cmp::Ordering;

/// One figure of some values, none of which is NULL.
pub(super) fn figure(measure: Measure, kind: Kind, values: &[Value]) -> Result<Value, Error> {
    let extreme = |wanted: Ordering| {
        let best = values.iter().reduce(|best, value| {
            if value.compare(best) == Some(wanted) {
                value
            } else {
                best
            }
        });
        best.cloned().unwrap_or(Value::Null)
    };
    match measure {
        Measure::Min => Ok(extreme(Ordering::Less)),
        Measure::Max => Ok(extreme(Ordering::Greater)),
        _ if values.is_empty() => Ok(Value::Null),
        Measure::Sum if measure.kind(kind) == Kind::Decimal => exact_sum(values),
        Measure::Sum => Ok(Value::Float(values.iter().map(approximate).sum())),
        Measure::Avg => {
            let sum: f64 = values.iter().map(approximate).sum();
            let count: f64 = values.iter().map(|_| 1.0).sum();
            Ok(Value::Float(sum / count))
        }
    }
}

fn approximate(value: &Value) -> f64 {
    match value {
        Value::Float(value) => *value,
        Value::Int(value) => value.to_string().parse().unwrap_or(f64::NAN),
        Value::UInt(value) => value.to_string().parse().unwrap_or(f64::NAN),
        Value::Decimal(number) => number.to_string().parse().unwrap_or(f64::NAN),
        _ => f64::NAN,
    }
}

/// All numbers are brought to the longest fraction, added as integers, and brought back.
fn exact_sum(values: &[Value]) -> Result<Value, Error> {
    let numbers: Vec<Decimal> = values.iter().filter_map(decimal).collect();
    let scale = numbers.iter().map(|number| number.parts().1.len()).max();
    let scale = scale.unwrap_or(0);
    let scaled = |number: &Decimal| -> Option<i128> {
        let (whole, fraction) = number.parts();
        let digits: i128 = format!("0{whole}{fraction:0<scale$}").parse().ok()?;
        Some(if number.is_negative() {
            -digits
        } else {
            digits
        })
    };
    let sum = numbers
        .iter()
        .try_fold(0_i128, |sum, number| sum.checked_add(scaled(number)?));
    let sum = sum.ok_or(Error::ValueOutOfRange)?;
    let digits = format!("{:0>width$}", sum.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    Ok(Value::Decimal(Decimal::from_parts(
        sum < 0,
        whole,
        fraction,
    )))
}

fn decimal(value: &Value) -> Option<Decimal> {
    match value {
        Value::Int(value) => Some((*value).into()),
        Value::UInt(value) => Decimal::parse(&value.to_string()),
        Value::Decimal(number) => Some(number.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact() {
        let number = |text: &str| Value::Decimal(Decimal::parse(text).unwrap());
        let sum = |texts: &[&str]| {
            let values: Vec<Value> = texts.iter().map(|text| number(text)).collect();
            exact_sum(&values).ok().map(|sum| match sum {
                Value::Decimal(sum) => sum.to_string(),
                _ => String::new(),
            })
        };
        assert_eq!(sum(&["0.1", "0.2"]).as_deref(), Some("0.3"));
        assert_eq!(sum(&["-1.5", "0.25", "1"]).as_deref(), Some("-0.25"));
        assert_eq!(sum(&["-0.001", "0.001"]).as_deref(), Some("0"));
        let most = "99999999999999999999999999999999999999";
        assert_eq!(sum(&[most, most]), None);
        let ints = [Value::Int(i64::MAX), Value::Int(i64::MAX)];
        let sum = figure(Measure::Sum, Kind::Int, &ints).unwrap();
        assert_eq!(sum, number("18446744073709551614"));
    }
}
