//! What is read of each row: all of it, or some fields.
//!
//! Where a page ends, whether more follow and which cursors lead on is the same for both, so the paginator
//! asks a view and not its source.

use crate::error::Error;
use crate::order::TotalOrder;
use crate::record::Record;
use crate::schema::{Layout, Schema};
use crate::source::{PageSource, Selection};
use crate::value::Value;
use std::borrow::Cow;
use std::sync::Arc;

/// A way to read the rows of a source.
pub(crate) trait View<S: PageSource>: Sync {
    /// What is read of one row.
    type Row: Send;

    /// The rows of a selection.
    fn rows(
        &self,
        source: &S,
        selection: &Selection<'_>,
    ) -> impl Future<Output = Result<Vec<Self::Row>, Error>> + Send;

    /// The value of a field that orders the rows.
    fn value(&self, schema: &Schema<S::Item>, row: &Self::Row, field: usize) -> Value;
}

/// Every column.
pub(crate) struct Whole;

impl<S: PageSource> View<S> for Whole {
    type Row = S::Item;

    async fn rows(&self, source: &S, selection: &Selection<'_>) -> Result<Vec<S::Item>, Error> {
        source.rows(selection).await
    }

    fn value(&self, schema: &Schema<S::Item>, row: &S::Item, field: usize) -> Value {
        schema.read(row, field)
    }
}

/// Some fields, and behind them those that order the rows, which no one is shown.
pub(crate) struct Sparse {
    names: Arc<[Cow<'static, str>]>,
    fields: Vec<usize>,
}

impl Sparse {
    pub(crate) fn new(layout: &Layout, shown: &[usize], order: &TotalOrder) -> Self {
        let name = |field: &usize| layout.fields[*field].name.clone();
        let mut fields = shown.to_vec();
        for key in order.keys() {
            if !fields.contains(&key.field) {
                fields.push(key.field);
            }
        }
        Self {
            names: shown.iter().map(name).collect(),
            fields,
        }
    }
}

impl<S: PageSource> View<S> for Sparse {
    type Row = Record;

    async fn rows(&self, source: &S, selection: &Selection<'_>) -> Result<Vec<Record>, Error> {
        let records = source.records(selection, &self.fields).await?;
        let named = |values| Record::new(Arc::clone(&self.names), values);
        Ok(records.into_iter().map(named).collect())
    }

    fn value(&self, _: &Schema<S::Item>, row: &Record, field: usize) -> Value {
        let place = self.fields.iter().position(|read| *read == field);
        place.map_or(Value::Null, |place| row.at(place).clone())
    }
}
