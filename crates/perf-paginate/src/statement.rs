//! SQL text for a page, as one pure function per shape.
//!
//! The planner fixes a handful of shapes, so they are written here in full: a query builder would add a
//! tree to build and to walk for each page. Identifiers come from the declaration and are quoted; every
//! value is bound; the text depends on the request's shape alone, so that a connection's cache of
//! prepared statements holds it.
//!
//! Segments become one `UNION ALL` of limited branches where the database runs branches lazily and in
//! sequence, as PostgreSQL and SQLite do: a branch whose predecessors filled the page is never started.
//! (A branch with a `LIMIT` is no candidate for PostgreSQL's parallel append.) MySQL and MariaDB
//! materialise every branch, so there a segment is a statement, run only while the page has room.

mod predicate;

use crate::condition::Condition;
use crate::order::{OrderKey, TotalOrder};
use crate::schema::Layout;
use crate::seek::{Range, Segment};
use crate::value::{Kind, Value};
use perf_core::Dialect;

/// SQL text and what to bind, in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Statement {
    pub(crate) sql: String,
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
    pub(crate) condition: &'a Condition,
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

    /// The first `limit` rows of consecutive segments.
    pub(crate) fn rows(&self, order: &TotalOrder, segments: &[Segment], limit: u64) -> Statement {
        let mut writer = Writer::new(self);
        if let [segment] = segments {
            writer.segment(order, segment, limit);
            return writer.finish();
        }
        for (position, segment) in segments.iter().enumerate() {
            writer.sql.push_str(if position == 0 {
                "SELECT * FROM ("
            } else {
                " UNION ALL SELECT * FROM ("
            });
            writer.segment(order, segment, limit);
            writer.sql.push_str(") AS s");
            writer.sql.push_str(&position.to_string());
        }
        writer.limit(limit);
        writer.finish()
    }

    /// `limit` rows after the first `offset`.
    pub(crate) fn page(&self, order: &TotalOrder, limit: u64, offset: u64) -> Statement {
        let mut writer = Writer::new(self);
        let segment = Segment {
            fixed: Vec::new(),
            range: Range::Whole,
        };
        writer.deferred(order, &segment, limit, Some(offset));
        writer.finish()
    }

    /// How many rows there are, counting at most `at_most`.
    pub(crate) fn count(&self, at_most: Option<u64>) -> Statement {
        let mut writer = Writer::new(self);
        match at_most {
            None => {
                writer.sql.push_str("SELECT COUNT(*)");
                writer.source(None, &[]);
            }
            Some(limit) => {
                writer.sql.push_str("SELECT COUNT(*) FROM (SELECT 1");
                writer.source(None, &[]);
                writer.limit(limit);
                writer.sql.push_str(") AS counted");
            }
        }
        writer.finish()
    }
}

/// Text and parameters under construction.
struct Writer<'a> {
    shape: &'a Shape<'a>,
    sql: String,
    binds: Vec<Bind>,
}

impl<'a> Writer<'a> {
    fn new(shape: &'a Shape<'a>) -> Self {
        Self {
            shape,
            sql: String::with_capacity(256),
            binds: Vec::new(),
        }
    }

    fn finish(self) -> Statement {
        Statement {
            sql: self.sql,
            binds: self.binds,
        }
    }

    fn segment(&mut self, order: &TotalOrder, segment: &Segment, limit: u64) {
        let sought = !segment.fixed.is_empty() && matches!(segment.range, Range::After { .. });
        if sought && !self.shape.dialect.seeks_row_values() {
            return self.deferred(order, segment, limit, None);
        }
        self.columns();
        self.source(Some(segment), order.keys());
        self.order_by(&order.keys()[segment.fixed.len()..], &segment.range);
        self.limit(limit);
    }

    /// Only keys are sought, or skipped, and rows are fetched for those found.
    ///
    /// Rows before an offset are then counted in the index and never fetched. And beside an equality,
    /// MySQL and MariaDB weigh the range that follows against reading the whole table, without regard to
    /// the limit, and then read all rows that are equal; for keys alone the index holds everything, so
    /// the range always wins.
    fn deferred(&mut self, order: &TotalOrder, segment: &Segment, limit: u64, offset: Option<u64>) {
        let keys = &order.keys()[segment.fixed.len()..];
        self.columns();
        self.sql.push_str(" FROM ");
        self.table();
        self.sql.push_str(" JOIN (SELECT ");
        self.key();
        self.source(Some(segment), order.keys());
        self.order_by(keys, &segment.range);
        self.limit(limit);
        if let Some(offset) = offset {
            self.sql.push_str(" OFFSET ");
            self.bind(Value::UInt(offset));
        }
        self.sql.push_str(") AS seek USING (");
        self.key();
        self.sql.push(')');
        self.order_by(keys, &segment.range);
    }

    fn columns(&mut self) {
        let layout = self.shape.layout;
        self.sql.push_str("SELECT ");
        self.list(", ", &layout.columns, Self::identifier);
    }

    fn key(&mut self) {
        let layout = self.shape.layout;
        self.list(", ", &layout.key, |writer, field| writer.field(*field));
    }

    fn table(&mut self) {
        self.list(".", self.shape.layout.table.split('.'), Self::identifier);
    }

    /// `FROM … WHERE …`
    fn source(&mut self, segment: Option<&Segment>, keys: &[OrderKey]) {
        self.sql.push_str(" FROM ");
        self.table();
        let before = self.sql.len();
        if *self.shape.condition != Condition::always() {
            self.conjunction(before);
            self.condition(&self.shape.condition.node);
        }
        let Some(segment) = segment else { return };
        for (value, key) in segment.fixed.iter().zip(keys) {
            self.conjunction(before);
            self.shared(key, value);
        }
        let keys = &keys[segment.fixed.len()..];
        match &segment.range {
            Range::Whole => {}
            Range::NotNull => {
                self.conjunction(before);
                self.field(keys[0].field);
                self.sql.push_str(" IS NOT NULL");
            }
            Range::After {
                values,
                form,
                inclusive,
            } => {
                self.conjunction(before);
                self.after(&keys[..values.len()], values, *form, *inclusive);
            }
        }
    }

    fn conjunction(&mut self, before: usize) {
        self.sql.push_str(if self.sql.len() == before {
            " WHERE "
        } else {
            " AND "
        });
    }

    fn order_by(&mut self, keys: &[OrderKey], range: &Range) {
        self.sql.push_str(" ORDER BY ");
        let may_be_null = matches!(range, Range::Whole);
        let dialect = self.shape.dialect;
        self.list(", ", keys.iter().enumerate(), |writer, (position, key)| {
            let placed =
                (position == 0 && !may_be_null) || key.is_natural(dialect.sorts_nulls_last());
            // An index of SQLite has no placement of its own, but it may have this expression. The first
            // key needs none: SQLite reads its NULLs apart.
            let in_words =
                dialect.has_nulls_placement() && (dialect != Dialect::Sqlite || position == 0);
            if !placed && !in_words {
                writer.field(key.field);
                writer.sql.push_str(if key.nulls_first {
                    " IS NULL DESC, "
                } else {
                    " IS NULL, "
                });
            }
            writer.field(key.field);
            writer
                .sql
                .push_str(if key.descending { " DESC" } else { "" });
            if !placed && in_words {
                writer.sql.push_str(if key.nulls_first {
                    " NULLS FIRST"
                } else {
                    " NULLS LAST"
                });
            }
        });
    }

    fn limit(&mut self, limit: u64) {
        self.sql.push_str(" LIMIT ");
        self.bind(Value::UInt(limit));
    }

    fn field(&mut self, field: usize) {
        self.identifier(&self.shape.layout.fields[field].column);
    }

    fn identifier(&mut self, name: impl AsRef<str>) {
        self.shape
            .dialect
            .push_identifier(&mut self.sql, name.as_ref());
    }

    fn bind(&mut self, value: Value) {
        self.bind_any(Bind::Value(value));
    }

    fn bind_any(&mut self, bind: Bind) {
        self.binds.push(bind);
        self.shape
            .dialect
            .push_placeholder(&mut self.sql, self.binds.len());
    }

    fn list<I>(
        &mut self,
        separator: &str,
        items: impl IntoIterator<Item = I>,
        mut write: impl FnMut(&mut Self, I),
    ) {
        for (position, item) in items.into_iter().enumerate() {
            if position > 0 {
                self.sql.push_str(separator);
            }
            write(self, item);
        }
    }
}

#[cfg(test)]
mod tests;
