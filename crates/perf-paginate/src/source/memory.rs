mod figures;

use super::{EachItem, Origin, PageSource, Selection};
use crate::aggregate::{AggregateSource, Aggregation, Group};
use crate::condition::Condition;
use crate::error::Error;
use crate::schema::Schema;
use crate::value::Value;
use async_trait::async_trait;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Rows in memory.
///
/// A page costs one pass over all rows and a sort of as many as it shows. Text is ordered by its bytes,
/// as SQLite does by default; a database with another collation may order it otherwise.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), perf_paginate::Error> {
/// use perf_paginate::{Field, PageQuery, Paginator, Plain, Schema, SliceSource};
///
/// let schema = Schema::builder("codes").field(Field::new("code", String::clone)).key(["code"]).build()?;
/// let codes = ["LGA", "JFK", "EWR"].map(String::from);
/// let paginator = Paginator::new(SliceSource::new(schema, codes), Plain);
///
/// let page = paginator.page(&PageQuery::new().size(2)).await?;
/// assert_eq!(page.items, ["EWR", "JFK"]);
/// assert!(page.info.has_next);
/// # Ok(())
/// # }
/// ```
pub struct SliceSource<T> {
    schema: Schema<T>,
    rows: Arc<[T]>,
}

impl<T> SliceSource<T> {
    /// Pages of `rows`, which must be unique by the schema's key.
    pub fn new(schema: Schema<T>, rows: impl Into<Arc<[T]>>) -> Self {
        Self {
            schema,
            rows: rows.into(),
        }
    }

    fn holding<'a>(&'a self, condition: &'a Condition) -> impl Iterator<Item = &'a T> {
        self.rows
            .iter()
            .filter(|row| condition.holds(&self.schema, row))
    }

    /// The rows of a selection, with their values of its order's fields.
    fn selected(&self, selection: &Selection<'_>) -> Vec<(Vec<Value>, &T)> {
        let order = selection.order;
        let starts = |values: &[Value]| match selection.from {
            Origin::At(position) => match order.compare(values, position.values) {
                Ordering::Less => false,
                Ordering::Equal => position.inclusive,
                Ordering::Greater => true,
            },
            Origin::Beginning | Origin::Skipping(_) => true,
        };
        let mut rows: Vec<(Vec<Value>, &T)> = self
            .rows
            .iter()
            .filter(|row| selection.condition.holds(&self.schema, row))
            .map(|row| (order.values_of(&self.schema, row), row))
            .filter(|(values, _)| starts(values))
            .collect();
        let offset = match selection.from {
            Origin::Skipping(offset) => saturating(offset),
            Origin::Beginning | Origin::At(_) => 0,
        };
        let end = offset.saturating_add(saturating(selection.limit));
        let compare = |a: &(Vec<Value>, &T), b: &(Vec<Value>, &T)| order.compare(&a.0, &b.0);
        if end < rows.len() {
            // What the page does not show needs no order.
            rows.select_nth_unstable_by(end, compare);
            rows.truncate(end);
        }
        rows.sort_unstable_by(compare);
        rows.drain(..offset.min(rows.len()));
        rows
    }
}

#[async_trait]
impl<T: Clone + Send + Sync + 'static> PageSource for SliceSource<T> {
    type Item = T;

    fn schema(&self) -> &Schema<T> {
        &self.schema
    }

    async fn rows(&self, selection: &Selection<'_>) -> Result<Vec<T>, Error> {
        let rows = self.selected(selection).into_iter();
        Ok(rows.map(|(_, row)| row.clone()).collect())
    }

    async fn each(&self, selection: &Selection<'_>, each: EachItem<'_, T>) -> Result<(), Error> {
        for (_, row) in self.selected(selection) {
            each(row.clone()).keep().await;
        }
        Ok(())
    }

    async fn count(&self, condition: &Condition, at_most: Option<u64>) -> Result<u64, Error> {
        let at_most = at_most.map_or(usize::MAX, saturating);
        let count = self.holding(condition).take(at_most).count();
        Ok(u64::try_from(count).unwrap_or(u64::MAX))
    }
}

#[async_trait]
impl<T: Clone + Send + Sync + 'static> AggregateSource for SliceSource<T> {
    async fn aggregate(&self, aggregation: &Aggregation<'_>) -> Result<Vec<Group>, Error> {
        let mut groups: HashMap<Vec<u8>, (Value, Vec<&T>)> = HashMap::new();
        if aggregation.group.is_none() {
            // There is one group, even of no rows.
            groups.insert(Value::Null.form(), (Value::Null, Vec::new()));
        }
        for row in self.holding(aggregation.condition) {
            let group = aggregation.group;
            let key = group.map_or(Value::Null, |field| self.schema.read(row, field));
            let (_, rows) = groups.entry(key.form()).or_insert((key, Vec::new()));
            rows.push(row);
        }
        let groups = groups.into_values().take(saturating(aggregation.limit));
        groups
            .map(|(key, rows)| self.group(aggregation, key, &rows))
            .collect()
    }
}

impl<T> SliceSource<T> {
    fn group(
        &self,
        aggregation: &Aggregation<'_>,
        key: Value,
        rows: &[&T],
    ) -> Result<Group, Error> {
        let figure = |(measure, field): &(_, usize)| {
            let values = rows.iter().map(|row| self.schema.read(row, *field));
            let values: Vec<Value> = values.filter(|value| !value.is_null()).collect();
            figures::figure(*measure, self.schema.layout().kind(*field), &values)
        };
        let values = aggregation.measures.iter().map(figure);
        let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        Ok(Group::new(key, count, values.collect::<Result<_, _>>()?))
    }
}

impl<T> fmt::Debug for SliceSource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SliceSource")
            .field("schema", &self.schema)
            .field("rows", &self.rows.len())
            .finish()
    }
}

fn saturating(rows: u64) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}
