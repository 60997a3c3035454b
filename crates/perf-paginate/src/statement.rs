//! SQL text for a page, as one pure function per shape.
//!
//! The planner fixes a handful of shapes, so they are written here in full: a query builder would add a
//! tree to build and to walk for each page. Identifiers come from the declaration and are quoted; every
//! value is bound; the text depends on the request's shape alone, so that a connection's cache of
//! prepared statements holds it.
//!
//! The text of a shape is written once: [`Texts`] keeps it, and a request of a known shape only binds.
//!
//! Segments become one `UNION ALL` of limited branches where the database runs branches lazily and in
//! sequence, as PostgreSQL and SQLite do: a branch whose predecessors filled the page is never started.
//! (A branch with a `LIMIT` is no candidate for PostgreSQL's parallel append.) MySQL and MariaDB
//! materialise every branch, so there a segment is a statement, run only while the page has room.

mod key;
mod listed;
mod merge;
mod order;
mod predicate;
mod texts;

use crate::aggregate::Aggregation;
use crate::condition::Condition;
use crate::order::{OrderKey, TotalOrder};
use crate::schema::{Layout, Selected};
use crate::seek::{Range, Segment};
use crate::value::{Kind, Value};
use key::Key;
use merge::Item;
use perf_core::Dialect;
use std::sync::Arc;

pub(crate) use texts::Texts;

/// SQL text and what to bind, in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Statement {
    pub(crate) sql: Arc<str>,
    pub(crate) binds: Vec<Bind>,
}

/// One parameter.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Bind {
    /// A value; never NULL.
    Value(Value),
    /// A list bound as one array, where the database has arrays.
    List(Kind, Vec<Value>),
}

/// Everything that a statement's text depends on besides its segments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape<'a> {
    pub(crate) dialect: Dialect,
    pub(crate) layout: &'a Layout,
    /// What is selected; every column where nothing is said.
    pub(crate) fields: Option<&'a [usize]>,
    pub(crate) condition: &'a Condition,
    pub(crate) texts: &'a Texts,
}

impl Shape<'_> {
    /// How `segments` are grouped into statements.
    pub(crate) fn rounds<'s>(
        &self,
        segments: &'s [Segment],
    ) -> impl Iterator<Item = &'s [Segment]> {
        let at_once = if self.dialect.seeks_row_values() {
            segments.len()
        } else {
            1
        };
        segments.chunks(at_once.max(1))
    }

    /// Whether two ordered ranges of one index can be merged without a sort: PostgreSQL does so where nothing stands before
    /// the order's fields in the index, as the field of a filter may.
    pub(crate) fn merges_ranges(&self) -> bool {
        self.dialect == Dialect::Postgres && *self.condition == Condition::always()
    }

    /// The first `limit` rows of consecutive segments.
    pub(crate) fn rows(&self, order: &TotalOrder, segments: &[Segment], limit: u64) -> Statement {
        let mut key = self.key(b'r');
        key.limit(limit);
        let merge = self.merge(order);
        key.merge(merge.as_ref());
        key.order(order);
        segments.iter().for_each(|segment| key.segment(segment));
        self.statement(key, |writer| match merge {
            Some(merge) => writer.merged(merge, order, segments, limit),
            None => writer.segments(order, segments, limit),
        })
    }

    /// `limit` rows after the first `offset`.
    pub(crate) fn page(&self, order: &TotalOrder, limit: u64, offset: u64) -> Statement {
        let mut key = self.key(if offset == 0 { b'f' } else { b'o' });
        key.limit(limit);
        key.order(order);
        let segment = Segment {
            fixed: Vec::new(),
            range: Range::Whole,
        };
        self.statement(key, |writer| {
            if offset == 0 {
                writer.direct(order, &segment, limit);
            } else {
                writer.deferred(order, &segment, limit, Some(offset));
            }
        })
    }

    /// How many rows there are, counting at most `at_most`.
    pub(crate) fn count(&self, at_most: Option<u64>) -> Statement {
        let mut key = self.key(if at_most.is_some() { b'm' } else { b'c' });
        key.limit(at_most.unwrap_or_default());
        self.statement(key, |writer| match at_most {
            None => {
                writer.push("SELECT COUNT(*)");
                writer.source(None, &[]);
            }
            Some(limit) => {
                writer.push("SELECT COUNT(*) FROM (SELECT 1");
                writer.source(None, &[]);
                writer.limit(limit);
                writer.push(") AS counted");
            }
        })
    }

    /// Every row there is, without its columns.
    pub(crate) fn every(&self) -> Statement {
        self.statement(self.key(b'e'), |writer| {
            writer.push("SELECT 1");
            writer.source(None, &[]);
        })
    }

    /// The number of rows, what they share, and their figures.
    pub(crate) fn aggregate(&self, aggregation: &Aggregation<'_>) -> Statement {
        let mut key = self.key(b'a');
        key.aggregation(aggregation);
        self.statement(key, |writer| {
            writer.push("SELECT COUNT(*)");
            if let Some(field) = aggregation.group {
                writer.push(", ");
                writer.field(field);
            }
            for (measure, field) in aggregation.measures {
                writer.push(", ");
                writer.measure(*measure, *field);
            }
            writer.source(None, &[]);
            if let Some(field) = aggregation.group {
                writer.push(" GROUP BY ");
                writer.field(field);
                writer.limit(aggregation.limit);
            }
        })
    }

    fn key(&self, kind: u8) -> Key {
        let mut key = Key::new(kind);
        key.fields(self.fields);
        key.condition(self.condition);
        key
    }

    /// What `write` writes, its text taken from `texts` where it is known. Writing it again then only binds.
    fn statement<'s>(&'s self, key: Key, write: impl FnOnce(&mut Writer<'s>)) -> Statement {
        let known = self.texts.find(&key);
        let mut writer = Writer {
            shape: self,
            text: known.is_none().then(|| String::with_capacity(256)),
            binds: Vec::with_capacity(8),
            item: None,
            is_outside: false,
        };
        write(&mut writer);
        let sql = match (known, writer.text) {
            (Some(known), _) => known,
            (None, text) => self.texts.keep(key, text.unwrap_or_default()),
        };
        Statement {
            sql,
            binds: writer.binds,
        }
    }
}

/// Text and parameters under construction.
struct Writer<'a> {
    shape: &'a Shape<'a>,
    /// `None` where the text is known.
    text: Option<String>,
    binds: Vec<Bind>,
    /// What stands for a list that is read item by item.
    item: Option<Item<'a>>,
    /// Whether columns are called as rows call them, because their tables are out of sight.
    is_outside: bool,
}

impl<'a> Writer<'a> {
    fn push(&mut self, text: &str) {
        if let Some(written) = &mut self.text {
            written.push_str(text);
        }
    }

    fn number(&mut self, number: usize) {
        if let Some(written) = &mut self.text {
            written.push_str(&number.to_string());
        }
    }

    fn segments(&mut self, order: &TotalOrder, segments: &[Segment], limit: u64) {
        if let [segment] = segments {
            return self.segment(order, segment, limit);
        }
        for (position, segment) in segments.iter().enumerate() {
            self.push(if position == 0 {
                "SELECT * FROM ("
            } else {
                " UNION ALL SELECT * FROM ("
            });
            self.segment(order, segment, limit);
            self.push(") AS s");
            self.number(position);
        }
        self.limit(limit);
    }

    fn segment(&mut self, order: &TotalOrder, segment: &Segment, limit: u64) {
        if let Range::After {
            missed: Some(missed),
            ..
        } = &segment.range
        {
            return self.with_missed(order, segment, missed, limit);
        }
        let beside_equality = !segment.fixed.is_empty() || self.item.is_some();
        let sought = beside_equality && matches!(segment.range, Range::After { .. });
        if sought && !self.shape.dialect.seeks_row_values() {
            return self.deferred(order, segment, limit, None);
        }
        self.direct(order, segment, limit);
    }

    fn direct(&mut self, order: &TotalOrder, segment: &Segment, limit: u64) {
        self.columns();
        self.source(Some(segment), order.keys());
        self.order_by(order, segment);
        self.limit(limit);
    }

    /// Only keys are sought, or skipped, and rows are fetched for those found.
    ///
    /// Rows before an offset are then counted in the index and never fetched. And beside an equality,
    /// MySQL and MariaDB weigh the range that follows against reading the whole table, without regard to
    /// the limit, and then read all rows that are equal; for keys alone the index holds everything, so
    /// the range always wins.
    fn deferred(&mut self, order: &TotalOrder, segment: &Segment, limit: u64, offset: Option<u64>) {
        self.columns();
        self.push(" FROM ");
        self.table();
        self.push(" JOIN (SELECT ");
        self.list(", ", &self.shape.layout.key, |writer, field| {
            writer.field(*field)
        });
        self.source(Some(segment), order.keys());
        self.order_by(order, segment);
        self.limit(limit);
        if let Some(offset) = offset {
            self.push(" OFFSET ");
            self.bind(Value::UInt(offset));
        }
        self.push(") AS seek USING (");
        self.key();
        self.push(")");
        self.joins();
        self.order_by(order, segment);
    }

    fn columns(&mut self) {
        let layout = self.shape.layout;
        self.push("SELECT ");
        match self.shape.fields {
            Some(fields) => self.list(", ", fields, |writer, field| writer.field(*field)),
            None => self.list(", ", &layout.columns, Self::selected),
        }
    }

    fn key(&mut self) {
        let layout = self.shape.layout;
        self.list(", ", &layout.key, |writer, field| {
            writer.identifier(&layout.fields[*field].column);
        });
    }

    fn table(&mut self) {
        self.table_named(&self.shape.layout.table);
    }

    fn table_named(&mut self, name: &str) {
        self.list(".", name.split('.'), Self::identifier);
    }

    fn joins(&mut self) {
        let layout = self.shape.layout;
        for join in &layout.joins {
            self.push(" LEFT JOIN ");
            self.table_named(&join.table);
            self.push(" ON ");
            self.qualified(Some(&join.table), &join.other);
            self.push(" = ");
            self.qualified(None, &join.own);
        }
    }

    fn selected(&mut self, column: &Selected) {
        self.qualified(column.of.as_deref(), &column.column);
        if column.of.is_some() {
            self.push(" AS ");
            self.identifier(&column.name);
        }
    }

    /// A column of a joined table, or of the resource's own; qualified where there is more than one.
    fn qualified(&mut self, table: Option<&str>, column: &str) {
        let layout = self.shape.layout;
        if !layout.joins.is_empty() {
            self.table_named(table.unwrap_or(&layout.table));
            self.push(".");
        }
        self.identifier(column);
    }

    /// `FROM … WHERE …`; what stands before a further condition.
    fn source(&mut self, segment: Option<&Segment>, keys: &[OrderKey]) -> Joint {
        self.push(" FROM ");
        self.table();
        self.joins();
        self.conditions(segment, keys)
    }

    fn conditions(&mut self, segment: Option<&Segment>, keys: &[OrderKey]) -> Joint {
        let mut joint = Joint(" WHERE ");
        if *self.shape.condition != Condition::always() {
            self.push(joint.next());
            self.condition(&self.shape.condition.node);
        }
        let Some(segment) = segment else {
            return joint;
        };
        for (value, key) in segment.fixed.iter().zip(keys) {
            self.push(joint.next());
            self.shared(key, value);
        }
        let keys = &keys[segment.fixed.len()..];
        match &segment.range {
            Range::Whole => {}
            Range::NotNull => {
                self.push(joint.next());
                self.field(keys[0].field);
                self.push(" IS NOT NULL");
            }
            Range::After {
                values,
                form,
                inclusive,
                missed: _,
            } => {
                self.push(joint.next());
                self.after(&keys[..values.len()], values, *form, *inclusive);
            }
        }
        joint
    }

    fn limit(&mut self, limit: u64) {
        self.push(" LIMIT ");
        if is_usual(limit) {
            self.push(&limit.to_string());
        } else {
            self.bind(Value::UInt(limit));
        }
    }

    fn field(&mut self, field: usize) {
        let column = &self.shape.layout.fields[field];
        match &column.of {
            Some(_) if self.is_outside => self.identifier(&column.name),
            None if self.is_outside => self.identifier(&column.column),
            of => self.qualified(of.as_deref(), &column.column),
        }
    }

    fn identifier(&mut self, name: impl AsRef<str>) {
        if let Some(written) = &mut self.text {
            self.shape.dialect.push_identifier(written, name.as_ref());
        }
    }

    fn bind(&mut self, value: Value) {
        self.bind_any(Bind::Value(value));
    }

    fn bind_any(&mut self, bind: Bind) {
        // As text it would be compared as a floating-point number.
        let cast = matches!(bind, Bind::Value(Value::Decimal(_)))
            && matches!(self.shape.dialect, Dialect::MySql | Dialect::MariaDb);
        self.binds.push(bind);
        if cast {
            self.push("CAST(");
        }
        if let Some(written) = &mut self.text {
            let position = self.binds.len();
            self.shape.dialect.push_placeholder(written, position);
        }
        if cast {
            self.push(" AS DECIMAL(65, 30))");
        }
    }

    fn list<I>(
        &mut self,
        separator: &str,
        items: impl IntoIterator<Item = I>,
        mut write: impl FnMut(&mut Self, I),
    ) {
        for (position, item) in items.into_iter().enumerate() {
            if position > 0 {
                self.push(separator);
            }
            write(self, item);
        }
    }
}

/// Whether a limit belongs to a usual page size, less what is read beyond the page.
///
/// PostgreSQL takes a limit that it does not know for a tenth of the table. A plan for all parameters then never
/// looks as good as one for these, so it plans each time, which takes longer than the page. Of unusual sizes
/// there are many, and a text for each would fill a connection's cache of statements.
pub(crate) const fn is_usual(limit: u64) -> bool {
    matches!(
        limit,
        1 | 10..=12 | 20..=22 | 25..=27 | 50..=52 | 100..=102 | 500 | 1_000 | 2_000 | 5_000 | 10_001 | 100_000
    )
}

/// What stands before the next condition.
struct Joint(&'static str);

impl Joint {
    const fn next(&mut self) -> &'static str {
        let joint = self.0;
        self.0 = " AND ";
        joint
    }
}

#[cfg(test)]
mod tests;
