//! A filter that has been checked: fields exist, operators are allowed, values have the field's kind.

use crate::cursor;
use crate::error::Error;
use crate::filter::{Filter, FilterOp};
use crate::limits::Limits;
use crate::schema::{Column, Layout, Schema};
use crate::value::{Kind, Value};
use std::cmp::Ordering;

/// Which rows there are, checked against one [`Schema`].
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    pub(crate) node: Node,
}

/// One node of a condition. Fields are positions in the schema.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Compare {
        field: usize,
        operator: FilterOp,
        operands: Vec<Value>,
    },
}

/// Who wrote a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Author {
    /// A client, bound to the allow-list and the limits.
    Client,
    /// The service itself, which may filter by any declared field with any operator of a meaning.
    Service,
}

impl Condition {
    /// The condition that every row meets.
    #[must_use]
    pub const fn always() -> Self {
        Self {
            node: Node::All(Vec::new()),
        }
    }

    /// Whether `row` meets it; NULL follows SQL.
    #[must_use]
    pub fn holds<T>(&self, schema: &Schema<T>, row: &T) -> bool {
        self.node.holds(&|field| schema.read(row, field)) == Some(true)
    }

    /// The field, by its place in the schema, is one of `values`, which are of its kind and sorted.
    pub(crate) fn among(field: usize, values: &[Value]) -> Self {
        Self {
            node: Node::Compare {
                field,
                operator: FilterOp::In,
                operands: values.to_vec(),
            },
        }
    }

    /// Every one of `filters` holds. Each may nest as deep as if it stood alone.
    pub(crate) fn resolve(
        layout: &Layout,
        filters: &[Filter],
        author: Author,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let mut resolver = Resolver {
            layout,
            author,
            limits,
            conditions: 0,
        };
        Ok(Self::all(resolver.nodes(filters, 0)?))
    }

    fn all(mut nodes: Vec<Node>) -> Self {
        let node = match nodes.len() {
            1 => nodes.remove(0),
            _ => Node::All(nodes),
        };
        Self { node }
    }

    /// Both hold.
    pub(crate) fn and(&self, other: &Self) -> Self {
        let parts = [self, other]
            .into_iter()
            .filter(|part| **part != Self::always());
        Self::all(parts.map(|part| part.node.clone()).collect())
    }

    /// What a cursor of this condition is bound to: equal for conditions that differ only in the order
    /// of their parts or list items.
    pub(crate) fn fingerprint(&self) -> [u8; 8] {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        cursor::hash(&bytes)
    }

    /// Appends a form that two conditions share only if they mean the same.
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        self.node.encode(bytes);
    }
}

struct Resolver<'a> {
    layout: &'a Layout,
    author: Author,
    limits: &'a Limits,
    conditions: usize,
}

impl Resolver<'_> {
    fn node(&mut self, filter: &Filter, depth: usize) -> Result<Node, Error> {
        self.limit("levels of filters", depth, self.limits.max_filter_depth)?;
        Ok(match filter {
            Filter::All(filters) => Node::All(self.nodes(filters, depth)?),
            Filter::Any(filters) => Node::Any(self.nodes(filters, depth)?),
            Filter::Not(filter) => Node::Not(Box::new(self.node(filter, depth + 1)?)),
            Filter::Compare {
                field,
                operator,
                operands,
            } => {
                self.conditions += 1;
                self.limit("conditions", self.conditions, self.limits.max_conditions)?;
                self.comparison(field, *operator, operands)?
            }
        })
    }

    fn nodes(&mut self, filters: &[Filter], depth: usize) -> Result<Vec<Node>, Error> {
        self.limit(
            "filters in a group",
            filters.len(),
            self.limits.max_conditions,
        )?;
        filters
            .iter()
            .map(|filter| self.node(filter, depth + 1))
            .collect()
    }

    fn comparison(
        &self,
        field: &str,
        operator: FilterOp,
        operands: &[Value],
    ) -> Result<Node, Error> {
        let position = self.layout.find(field)?;
        let column = &self.layout.fields[position];
        if self.author == Author::Client && column.operators.is_empty() {
            return Err(Error::NotFilterable {
                field: field.to_owned(),
            });
        }
        let allowed = match self.author {
            Author::Client => column.operators.allow(operator),
            // What has no meaning has no negation that SQL and memory agree on.
            Author::Service => column.kind == Kind::Text || !operator.takes_text(),
        };
        if !allowed {
            return Err(Error::OperatorNotAllowed {
                field: field.to_owned(),
                operator,
            });
        }
        self.limit("items in a list", operands.len(), self.limits.max_list)?;
        let longest = operands.iter().map(Value::length).max().unwrap_or(0);
        self.limit("bytes in a value", longest, self.limits.max_value)?;
        let operands = coerced(column, operator, operands)?;
        Ok(Node::Compare {
            field: position,
            operator,
            operands,
        })
    }

    const fn limit(&self, what: &'static str, count: usize, max: usize) -> Result<(), Error> {
        if count > max && matches!(self.author, Author::Client) {
            return Err(Error::TooComplex { what, max });
        }
        Ok(())
    }
}

/// The operands as values of the column's kind; a list's sorted, each once.
pub(crate) fn coerced(
    column: &Column,
    operator: FilterOp,
    operands: &[Value],
) -> Result<Vec<Value>, Error> {
    let count = match operator {
        FilterOp::IsNull | FilterOp::NotNull => Some(0),
        FilterOp::Between => Some(2),
        FilterOp::In | FilterOp::NotIn => None,
        _ => Some(1),
    };
    let wrong = |expected: String| Error::InvalidValue {
        field: column.name.to_string(),
        expected: expected.into(),
    };
    if let Some(count) = count.filter(|count| *count != operands.len()) {
        return Err(wrong(format!("{count} values for {operator}")));
    }
    let mut coerced = operands
        .iter()
        .map(|value| value.clone().coerced(column.kind))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| wrong(column.kind.name().to_owned()))?;
    if count.is_none() {
        // One meaning, one form: a list is a set.
        coerced.sort_by(|a, b| a.compare(b).unwrap_or(Ordering::Equal));
        coerced.dedup();
    }
    Ok(coerced)
}

impl Node {
    /// SQL's logic of three values: `None` is "unknown".
    fn holds(&self, read: &dyn Fn(usize) -> Value) -> Option<bool> {
        match self {
            Self::All(nodes) => every(nodes.iter().map(|node| node.holds(read))),
            Self::Any(nodes) => {
                every(nodes.iter().map(|node| node.holds(read).map(|held| !held))).map(|held| !held)
            }
            Self::Not(node) => node.holds(read).map(|held| !held),
            Self::Compare {
                field,
                operator,
                operands,
            } => compare(&read(*field), *operator, operands),
        }
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::All(nodes) => Self::encode_group(b'&', nodes, bytes),
            Self::Any(nodes) => Self::encode_group(b'|', nodes, bytes),
            Self::Not(node) => {
                bytes.push(b'!');
                node.encode(bytes);
            }
            Self::Compare {
                field,
                operator,
                operands,
            } => {
                bytes.push(b'?');
                bytes.extend_from_slice(&field.to_be_bytes());
                bytes.push(*operator as u8);
                bytes.extend_from_slice(&operands.len().to_be_bytes());
                operands.iter().for_each(|value| value.encode(bytes));
            }
        }
    }

    fn encode_group(mark: u8, nodes: &[Self], bytes: &mut Vec<u8>) {
        let mut parts: Vec<Vec<u8>> = nodes
            .iter()
            .map(|node| {
                let mut part = Vec::new();
                node.encode(&mut part);
                part
            })
            .collect();
        parts.sort();
        parts.dedup();
        bytes.push(mark);
        bytes.extend_from_slice(&parts.len().to_be_bytes());
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
    }
}

/// False if any is false, else unknown if any is unknown, else true.
fn every(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut result = Some(true);
    for part in parts {
        match part {
            Some(true) => {}
            Some(false) => return Some(false),
            None => result = None,
        }
    }
    result
}

fn compare(value: &Value, operator: FilterOp, operands: &[Value]) -> Option<bool> {
    let order = |position: usize| value.compare(operands.get(position)?);
    let text = |test: fn(&str, &str) -> bool| match (value, operands.first()) {
        (Value::Text(text), Some(Value::Text(part))) => Some(test(text, part)),
        _ => None,
    };
    match operator {
        FilterOp::Eq => order(0).map(Ordering::is_eq),
        FilterOp::Ne => order(0).map(Ordering::is_ne),
        FilterOp::Lt => order(0).map(Ordering::is_lt),
        FilterOp::Lte => order(0).map(Ordering::is_le),
        FilterOp::Gt => order(0).map(Ordering::is_gt),
        FilterOp::Gte => order(0).map(Ordering::is_ge),
        FilterOp::Between => order(0)
            .zip(order(1))
            .map(|(low, high)| low.is_ge() && high.is_le()),
        FilterOp::In if operands.is_empty() => Some(false),
        FilterOp::NotIn if operands.is_empty() => Some(true),
        FilterOp::In => (!value.is_null()).then(|| operands.contains(value)),
        FilterOp::NotIn => (!value.is_null()).then(|| !operands.contains(value)),
        FilterOp::IsNull => Some(value.is_null()),
        FilterOp::NotNull => Some(!value.is_null()),
        FilterOp::Contains => text(|text, part| text.contains(part)),
        FilterOp::StartsWith => text(|text, part| text.starts_with(part)),
        FilterOp::EndsWith => text(|text, part| text.ends_with(part)),
    }
}
