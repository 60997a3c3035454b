use super::Writer;
use crate::order::TotalOrder;
use crate::seek::{Range, Segment};
use crate::value::Value;
use perf_core::Dialect;

impl Writer<'_> {
    pub(super) fn order_by(&mut self, order: &TotalOrder, segment: &Segment) {
        self.push(" ORDER BY ");
        let dialect = self.shape.dialect;
        let start = self.first_ordered(segment);
        // The first key's index is plain. One behind it, on PostgreSQL, has its NULLs where the whole groups need them,
        // and does not match an order that leaves the place open.
        let is_open = if dialect == Dialect::Postgres && !segment.fixed.is_empty() {
            start == 0
        } else {
            !matches!(segment.range, Range::Whole)
        };
        let keys = order.keys()[start..].iter().enumerate();
        self.list(", ", keys, |writer, (position, key)| {
            let placed = (position == 0 && is_open) || key.is_natural(dialect.sorts_nulls_last());
            // An index of SQLite has no placement of its own, but it may have this expression. The first
            // key needs none: SQLite reads its NULLs apart.
            let in_words =
                dialect.has_nulls_placement() && (dialect != Dialect::Sqlite || position == 0);
            if !placed && !in_words {
                writer.field(key.field);
                writer.push(if key.nulls_first {
                    " IS NULL DESC, "
                } else {
                    " IS NULL, "
                });
            }
            writer.field(key.field);
            writer.push(if key.descending { " DESC" } else { "" });
            if !placed && in_words {
                writer.push(if key.nulls_first {
                    " NULLS FIRST"
                } else {
                    " NULLS LAST"
                });
            }
        });
    }

    /// The first key that orders a segment. One that is the same in all its rows does not, but PostgreSQL is told of
    /// NULLs all the same: it would rather read past other rows in an index that has the keys behind them alone.
    fn first_ordered(&self, segment: &Segment) -> usize {
        let fixed = segment.fixed.len();
        if self.shape.dialect != Dialect::Postgres {
            return fixed;
        }
        let null = segment.fixed.iter().position(Value::is_null);
        null.unwrap_or(fixed)
    }
}
