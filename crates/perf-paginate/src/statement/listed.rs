//! Rows by a list of keys, each told which key it equals.
//!
//! What came back for `IN ('ua', 'UA')` does not say which of the two it equals: by most collations of MySQL, and by
//! `NOCASE` on SQLite, both. PostgreSQL and SQLite join the list with the places of its items, so that each row says
//! its key's. MySQL and MariaDB refuse to compare columns of two collations, and a list of parameters becomes one with
//! that of the connection; there each row says the collation, and where it takes different texts for the same a second
//! statement ranks texts by it: equal ones have equal ranks.

use super::key::{Key, list_length};
use super::{Bind, Joint, Shape, Statement, Writer};
use crate::filter::FilterOp;
use crate::order::TotalOrder;
use crate::seek::{Range, Segment};
use crate::value::Value;
use perf_core::Dialect;

impl Shape<'_> {
    /// Every row whose field equals a key, and in its last column the key's place; on MySQL and MariaDB the field's
    /// collation.
    pub(crate) fn listed(&self, order: &TotalOrder, field: usize, keys: &[Value]) -> Statement {
        let mut key = self.key(b'l');
        key.number(field);
        key.order(order);
        if !self.dialect.seeks_row_values() {
            key.number(list_length(keys.len()));
        }
        self.statement(key, |writer| match self.dialect {
            Dialect::Postgres => writer.lateral(order, field, keys),
            Dialect::Sqlite => writer.joined(order, field, keys),
            _ => writer.collated(order, field, keys),
        })
    }

    /// The places of texts and their ranks by a collation, which must be one that a server named.
    pub(crate) fn ranks(&self, collation: &str, texts: &[Value]) -> Statement {
        let mut key = Key::new(b'k');
        let length = list_length(texts.len());
        key.number(length);
        key.text(collation);
        self.statement(key, |writer| {
            let charset = collation.split('_').next().unwrap_or(collation);
            writer.push("SELECT place, DENSE_RANK() OVER (ORDER BY CONVERT(item USING ");
            writer.push(charset);
            writer.push(") COLLATE ");
            writer.push(collation);
            writer.push(") FROM (");
            let last = texts.len() - 1;
            writer.list(" UNION ALL ", 0..length, |writer, place| {
                writer.push("SELECT ");
                writer.bind(texts[place.min(last)].clone());
                writer.push(" AS item, ");
                writer.number(place.min(last));
                writer.push(" AS place");
            });
            writer.push(") AS listed");
        })
    }
}

impl Writer<'_> {
    fn lateral(&mut self, order: &TotalOrder, field: usize, keys: &[Value]) {
        self.push("SELECT matching.*, listed.listed_place FROM unnest(");
        let kind = self.shape.layout.kind(field);
        self.bind_any(Bind::List(kind, keys.to_vec()));
        self.push(") WITH ORDINALITY AS listed (listed_item, listed_place) CROSS JOIN LATERAL (");
        self.columns();
        let joint = self.source(None, &[]);
        self.equals_item(joint, field);
        self.push(") AS matching");
        self.is_outside = true;
        self.order_of_all(order);
        self.is_outside = false;
    }

    /// The list comes first, and stays first: it is the short one.
    fn joined(&mut self, order: &TotalOrder, field: usize, keys: &[Value]) {
        self.columns();
        self.push(", listed.listed_place FROM (SELECT key + 1 AS listed_place, value AS listed_item FROM json_each(");
        let texts = keys.iter().map(|key| match key {
            Value::Text(text) => text.as_str(),
            _ => "",
        });
        let json: serde_json::Value = texts.collect();
        self.bind(Value::Text(json.to_string()));
        self.push(")) AS listed CROSS JOIN ");
        self.table();
        self.joins();
        let joint = self.conditions(None, &[]);
        self.equals_item(joint, field);
        self.order_of_all(order);
    }

    fn collated(&mut self, order: &TotalOrder, field: usize, keys: &[Value]) {
        self.columns();
        self.push(", COLLATION(");
        self.field(field);
        self.push(") AS listed_collation");
        let mut joint = self.source(None, &[]);
        self.push(joint.next());
        self.membership(field, FilterOp::In, keys);
        self.order_of_all(order);
    }

    fn equals_item(&mut self, mut joint: Joint, field: usize) {
        self.push(joint.next());
        self.field(field);
        self.push(" = listed.listed_item");
    }

    fn order_of_all(&mut self, order: &TotalOrder) {
        let whole = Segment {
            fixed: Vec::new(),
            range: Range::Whole,
        };
        self.order_by(order, &whole);
    }
}
