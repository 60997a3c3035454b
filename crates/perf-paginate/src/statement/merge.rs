//! A list in the filter beside a sort by other fields: one range of the index for each item, merged.
//!
//! An index that begins with the list's field has the rows of each item in the sort's order, but not those of all items.
//! Planners then read the sort's own index past all rows of other items, or sort all rows of these. Rows examined for
//! twenty rows and a list of ten, of 200,000: PostgreSQL 49,819 against 30 when each item is a branch of its own,
//! MariaDB 49,863 against 212. SQLite stops early by itself.
//!
//! PostgreSQL takes the list as one parameter and joins it laterally, so lists of all lengths share a text.
//! MariaDB has no lateral join: there each item is a branch of a `UNION ALL`, padded to a power of two with branches that
//! find nothing.

use super::key::list_length;
use super::{Bind, Shape, Writer};
use crate::condition::Node;
use crate::filter::FilterOp;
use crate::order::TotalOrder;
use crate::seek::{Missed, Range, Segment};
use crate::value::Value;
use perf_core::Dialect;

/// A list that is read item by item.
#[derive(Clone, Copy, Debug)]
pub(super) struct Merge<'a> {
    pub(super) field: usize,
    pub(super) items: &'a [Value],
    /// Branches of the text; one that is joined to all items counts as one.
    pub(super) branches: usize,
}

/// What stands for the list within a branch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'a> {
    list: &'a [Value],
    /// The branch's own item; `None` where it is a joined column.
    value: Option<&'a Value>,
}

/// Each branch is read whether it is needed or not, so there must be few.
const MOST_BRANCHES: usize = 16;

impl<'a> Shape<'a> {
    /// The list to merge, if an index was promised for it and the sort does not begin with its field.
    pub(super) fn merge(&self, order: &TotalOrder) -> Option<Merge<'a>> {
        let nodes = match &self.condition.node {
            Node::All(nodes) => nodes.as_slice(),
            node => std::slice::from_ref(node),
        };
        let lists = nodes.iter().filter_map(|node| match node {
            Node::Compare {
                field,
                operator: FilterOp::In,
                operands,
            } if self.layout.fields[*field].leading => Some((*field, operands.as_slice())),
            _ => None,
        });
        let mut lists = lists.filter(|(_, items)| items.len() > 1);
        let (field, items) = lists.find(|(field, _)| order.keys()[0].field != *field)?;
        let branches = match self.dialect {
            Dialect::Postgres => 1,
            Dialect::Sqlite => return None,
            _ if items.len() > MOST_BRANCHES => return None,
            _ => list_length(items.len()),
        };
        Some(Merge {
            field,
            items,
            branches,
        })
    }
}

impl<'a> Writer<'a> {
    /// The first `limit` rows of the segments, of all items together.
    pub(super) fn merged(
        &mut self,
        merge: Merge<'a>,
        order: &TotalOrder,
        segments: &[Segment],
        limit: u64,
    ) {
        if self.shape.dialect == Dialect::Postgres {
            self.push("SELECT merged.* FROM unnest(");
            let kind = self.shape.layout.kind(merge.field);
            self.bind_any(Bind::List(kind, merge.items.to_vec()));
            self.push(") AS listed (item) CROSS JOIN LATERAL (");
            self.branch(&merge, None, order, segments, limit);
        } else {
            self.push("SELECT * FROM (");
            for place in 0..merge.branches {
                self.push(if place == 0 {
                    "SELECT * FROM ("
                } else {
                    " UNION ALL SELECT * FROM ("
                });
                let item = merge.items.get(place).unwrap_or(&Value::Null);
                self.branch(&merge, Some(item), order, segments, limit);
                self.push(") AS b");
                self.number(place);
            }
        }
        self.push(") AS merged");
        self.is_outside = true;
        let whole = Segment {
            fixed: Vec::new(),
            range: Range::Whole,
        };
        let segment = match segments {
            [segment] => segment,
            _ => &whole,
        };
        self.order_by(order, segment);
        self.is_outside = false;
        self.limit(limit);
    }

    /// The rows of a segment, and among them those that its comparison misses.
    pub(super) fn with_missed(
        &mut self,
        order: &TotalOrder,
        segment: &Segment,
        missed: &Missed,
        limit: u64,
    ) {
        self.push("SELECT * FROM (SELECT * FROM (");
        self.direct(order, segment, limit);
        self.push(") AS found UNION ALL SELECT * FROM (");
        self.missed(order, missed, limit);
        self.push(") AS missed) AS merged");
        self.is_outside = true;
        self.order_by(order, segment);
        self.is_outside = false;
        self.limit(limit);
    }

    fn missed(&mut self, order: &TotalOrder, missed: &Missed, limit: u64) {
        self.columns();
        let mut joint = self.source(None, &[]);
        self.push(joint.next());
        let keys = order.keys();
        self.field(keys[0].field);
        // What is said to be equal is no part of an order any more, and the ranges would have none in common.
        self.push(" = ANY(ARRAY[");
        self.bind(missed.first.clone());
        self.push("]) AND ");
        self.field(keys[1].field);
        self.push(" IS NULL");
        let whole = Segment {
            fixed: Vec::new(),
            range: Range::Whole,
        };
        self.order_by(order, &whole);
        self.limit(limit);
    }

    fn branch(
        &mut self,
        merge: &Merge<'a>,
        value: Option<&'a Value>,
        order: &TotalOrder,
        segments: &[Segment],
        limit: u64,
    ) {
        self.item = Some(Item {
            list: merge.items,
            value,
        });
        self.segments(order, segments, limit);
        self.item = None;
    }

    /// Whether a list of the filter is the one that is read item by item, and not one that is only equal to it.
    pub(super) fn is_merged(&self, operands: &[Value]) -> bool {
        self.item
            .is_some_and(|item| std::ptr::eq(item.list, operands))
    }

    /// The field is the branch's item.
    pub(super) fn merged_item(&mut self, field: usize) {
        self.field(field);
        match self.item.and_then(|item| item.value) {
            Some(value) => {
                self.push(" = ");
                self.bind(value.clone());
            }
            None => self.push(" = listed.item"),
        }
    }
}
