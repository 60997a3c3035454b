//! What a walk should show, worked out the slow and obvious way.

use super::Row;
use super::case::Case;
use crate::{Direction, Filter, FilterOp, Nulls, SortKey, Value};
use std::cmp::Ordering;

/// The rows that a case means, all of them, in order.
pub(super) fn expected(case: &Case) -> Vec<Row> {
    let kept = |row: &&Row| {
        let filter = case.filter.as_ref();
        filter.is_none_or(|filter| holds(filter, row) == Some(true))
    };
    let descending = case
        .sort
        .last()
        .is_some_and(|key| key.direction == Direction::Descending);
    let ties = case.key.iter().map(|field| match descending {
        true => SortKey::descending(*field),
        false => SortKey::ascending(*field),
    });
    let keys: Vec<SortKey> = case.sort.iter().cloned().chain(ties).collect();
    let mut found: Vec<Row> = case.rows.iter().filter(kept).cloned().collect();
    found.sort_by(|x, y| {
        let orders = keys.iter().map(|key| by(key, x, y));
        orders.fold(Ordering::Equal, Ordering::then)
    });
    found
}

fn by(key: &SortKey, x: &Row, y: &Row) -> Ordering {
    let (x, y) = (value(x, &key.field), value(y, &key.field));
    let null = |value: &Value| match (value, key.nulls) {
        (Value::Null, Nulls::First) => 0,
        (Value::Null, _) => 2,
        _ => 1,
    };
    let order = null(&x).cmp(&null(&y));
    if order.is_ne() || x == Value::Null {
        return order;
    }
    let order = compare(&x, &y);
    if key.direction == Direction::Descending {
        order.reverse()
    } else {
        order
    }
}

fn value(row: &Row, field: &str) -> Value {
    match field {
        "id" => row.id.into(),
        "a" => row.a.into(),
        "b" => row.b.clone().into(),
        "c" => row.c.into(),
        "d" => row.d.into(),
        _ => unreachable!("the suite has no field {field}"),
    }
}

fn compare(x: &Value, y: &Value) -> Ordering {
    match (x, y) {
        (Value::Int(x), Value::Int(y)) => x.cmp(y),
        (Value::Text(x), Value::Text(y)) => x.as_bytes().cmp(y.as_bytes()),
        (Value::Bool(x), Value::Bool(y)) => x.cmp(y),
        _ => unreachable!("{x:?} and {y:?} are of one field"),
    }
}

fn holds(filter: &Filter, row: &Row) -> Option<bool> {
    match filter {
        Filter::All(filters) => {
            let held: Vec<_> = filters.iter().map(|filter| holds(filter, row)).collect();
            if held.contains(&Some(false)) {
                Some(false)
            } else if held.contains(&None) {
                None
            } else {
                Some(true)
            }
        }
        Filter::Any(filters) => {
            let held: Vec<_> = filters.iter().map(|filter| holds(filter, row)).collect();
            if held.contains(&Some(true)) {
                Some(true)
            } else if held.contains(&None) {
                None
            } else {
                Some(false)
            }
        }
        Filter::Not(filter) => holds(filter, row).map(|held| !held),
        Filter::Compare {
            field,
            operator,
            operands,
        } => test(&value(row, field), *operator, operands),
    }
}

fn test(value: &Value, operator: FilterOp, operands: &[Value]) -> Option<bool> {
    match operator {
        FilterOp::IsNull => return Some(*value == Value::Null),
        FilterOp::NotNull => return Some(*value != Value::Null),
        FilterOp::In if operands.is_empty() => return Some(false),
        FilterOp::NotIn if operands.is_empty() => return Some(true),
        _ if *value == Value::Null => return None,
        _ => {}
    }
    let order = |position: usize| compare(value, &operands[position]);
    let part = || match (value, &operands[0]) {
        (Value::Text(text), Value::Text(part)) => (text.clone(), part.clone()),
        _ => unreachable!("only text has parts"),
    };
    Some(match operator {
        FilterOp::Eq => order(0).is_eq(),
        FilterOp::Ne => order(0).is_ne(),
        FilterOp::Lt => order(0).is_lt(),
        FilterOp::Lte => order(0).is_le(),
        FilterOp::Gt => order(0).is_gt(),
        FilterOp::Gte => order(0).is_ge(),
        FilterOp::In => operands.contains(value),
        FilterOp::NotIn => !operands.contains(value),
        FilterOp::Between => order(0).is_ge() && order(1).is_le(),
        FilterOp::Contains => part().0.contains(&part().1),
        FilterOp::StartsWith => part().0.starts_with(&part().1),
        FilterOp::EndsWith => part().0.ends_with(&part().1),
        _ => unreachable!("{operator} was answered above"),
    })
}
