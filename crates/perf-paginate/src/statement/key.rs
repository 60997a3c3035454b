//! What tells the text of one statement from that of another: everything but its values.

use super::is_usual;
use super::merge::Merge;
use crate::aggregate::Aggregation;
use crate::condition::{Condition, Node};
use crate::filter::FilterOp;
use crate::order::TotalOrder;
use crate::seek::{Range, Segment};
use crate::value::Value;

/// The shape of a statement, without its values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(Vec<u8>);

impl Key {
    /// The shape of a statement of some kind, of which nothing else is known yet.
    pub(super) fn new(kind: u8) -> Self {
        let mut bytes = Vec::with_capacity(64);
        bytes.push(kind);
        Self(bytes)
    }

    pub(super) fn number(&mut self, number: usize) {
        // As many bytes as it takes: the last one alone has its highest bit clear.
        let mut rest = number;
        while rest > 0x7f {
            self.0.push(low_seven_bits(rest) | 0x80);
            rest >>= 7;
        }
        self.0.push(low_seven_bits(rest));
    }

    pub(super) fn text(&mut self, text: &str) {
        self.number(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(super) fn fields(&mut self, fields: Option<&[usize]>) {
        // No field is selected by no statement, so nothing else begins with zero.
        let fields = fields.unwrap_or_default();
        self.number(fields.len());
        fields.iter().for_each(|field| self.number(*field));
    }

    pub(super) fn limit(&mut self, limit: u64) {
        let written = if is_usual(limit) { limit } else { 0 };
        self.0.extend_from_slice(&written.to_be_bytes());
    }

    pub(super) fn order(&mut self, order: &TotalOrder) {
        self.number(order.keys().len());
        for key in order.keys() {
            self.number(key.field);
            self.0
                .push(u8::from(key.descending) | u8::from(key.nulls_first) << 1);
        }
    }

    pub(super) fn segment(&mut self, segment: &Segment) {
        self.number(segment.fixed.len());
        segment.fixed.iter().for_each(|value| self.null(value));
        match &segment.range {
            Range::Whole => self.0.push(b'w'),
            Range::NotNull => self.0.push(b'n'),
            Range::After {
                values,
                form,
                inclusive,
                missed,
            } => {
                let flags = u8::from(*inclusive) | u8::from(missed.is_some()) << 1;
                self.0.extend([b'a', *form as u8, flags]);
                self.number(values.len());
            }
        }
    }

    pub(super) fn merge(&mut self, merge: Option<&Merge<'_>>) {
        let Some(merge) = merge else {
            return self.0.push(b'-');
        };
        self.0.push(b'+');
        self.number(merge.field);
        self.number(merge.branches);
    }

    pub(super) fn aggregation(&mut self, aggregation: &Aggregation<'_>) {
        self.number(aggregation.group.map_or(0, |field| field + 1));
        for (measure, field) in aggregation.measures {
            self.0.push(*measure as u8);
            self.number(*field);
        }
    }

    fn null(&mut self, value: &Value) {
        self.0.push(u8::from(value.is_null()));
    }

    pub(super) fn condition(&mut self, condition: &Condition) {
        self.node(&condition.node);
    }

    fn node(&mut self, node: &Node) {
        let mut group = |mark, nodes: &[Node]| {
            self.0.push(mark);
            self.number(nodes.len());
            nodes.iter().for_each(|node| self.node(node));
        };
        match node {
            Node::All(nodes) => group(b'&', nodes),
            Node::Any(nodes) => group(b'|', nodes),
            Node::Not(node) => {
                self.0.push(b'!');
                self.node(node);
            }
            Node::Compare {
                field,
                operator,
                operands,
            } => {
                self.0.extend([b'?', *operator as u8]);
                self.number(*field);
                if matches!(operator, FilterOp::In | FilterOp::NotIn) {
                    self.number(list_length(operands.len()));
                }
            }
        }
    }
}

/// Lists of the lengths up to a power of two share a text, where each item is a parameter of its own.
pub(super) const fn list_length(items: usize) -> usize {
    if items == 0 {
        0
    } else {
        items.next_power_of_two()
    }
}

fn low_seven_bits(number: usize) -> u8 {
    u8::try_from(number & 0x7f).unwrap_or(0)
}
