//! Where rows come from.
//!
//! A [`PageSource`] answers two questions: which rows come next in an order, and how many there are.
//! Cursors, page boundaries, directions and totals are built above it, once for all sources.

#[cfg(feature = "cache")]
mod cached;
mod memory;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
mod runner;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;

use crate::condition::Condition;
use crate::error::Error;
use crate::order::TotalOrder;
use crate::schema::Schema;
use crate::value::Value;
use async_trait::async_trait;
use std::fmt;

#[cfg(feature = "cache")]
pub use cached::{Cached, Counted};
pub use memory::SliceSource;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub use runner::{Exclusive, Runner};
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
use sql::undecodable;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub use sql::{Backend, SqlSource};

/// A set of rows that can be read in any declared order.
#[async_trait]
pub trait PageSource: Send + Sync + 'static {
    /// A row.
    type Item: Send + 'static;

    /// What the rows offer.
    fn schema(&self) -> &Schema<Self::Item>;

    /// The rows of a selection, in its order.
    ///
    /// # Errors
    ///
    /// [`Error::Backend`] when the source fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the read and changes nothing.
    async fn rows(&self, selection: &Selection<'_>) -> Result<Vec<Self::Item>, Error>;

    /// As [`PageSource::rows`], for a walk that will ask for what follows.
    ///
    /// # Errors
    ///
    /// [`Error::Backend`] when the source fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the read and changes nothing.
    async fn batch(&self, selection: &Selection<'_>) -> Result<Batch<Self::Item>, Error> {
        let rows = self.rows(selection).await?;
        let last = rows.last();
        let last = last.map(|row| selection.order.values_of(self.schema(), row));
        Ok(Batch::new(rows.len(), last, || Ok(rows)))
    }

    /// How many rows meet `condition`, counting no further than `at_most`.
    ///
    /// # Errors
    ///
    /// [`Error::Backend`] when the source fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the count and changes nothing.
    async fn count(&self, condition: &Condition, at_most: Option<u64>) -> Result<u64, Error>;

    /// The values of some fields, by their places in the schema, of the rows of a selection.
    ///
    /// Reads whole rows unless the source can read less.
    ///
    /// # Errors
    ///
    /// [`Error::Backend`] when the source fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the read and changes nothing.
    async fn records(
        &self,
        selection: &Selection<'_>,
        fields: &[usize],
    ) -> Result<Vec<Vec<Value>>, Error> {
        let rows = self.rows(selection).await?;
        let values = |row| {
            let fields = fields.iter();
            fields
                .map(|field| self.schema().read(row, *field))
                .collect()
        };
        Ok(rows.iter().map(values).collect())
    }

    /// About how many rows meet `condition`, if the source knows without reading them.
    ///
    /// # Errors
    ///
    /// [`Error::Backend`] when the source fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the question and changes nothing.
    async fn estimate(&self, condition: &Condition) -> Result<Option<u64>, Error> {
        let _unknown = condition;
        Ok(None)
    }
}

/// Some consecutive rows that have arrived but are not yet made into items.
///
/// What follows them can be asked for before that work is done.
pub struct Batch<T> {
    rows: usize,
    last: Option<Vec<Value>>,
    items: Box<dyn FnOnce() -> Result<Vec<T>, Error> + Send>,
}

impl<T> Batch<T> {
    /// A batch of `rows` rows, the last of which has the values `last` in the order's fields; `None` if there is none.
    pub fn new(
        rows: usize,
        last: Option<Vec<Value>>,
        items: impl FnOnce() -> Result<Vec<T>, Error> + Send + 'static,
    ) -> Self {
        Self {
            rows,
            last,
            items: Box::new(items),
        }
    }

    /// How many rows there are.
    pub(crate) const fn len(&self) -> usize {
        self.rows
    }

    pub(crate) const fn last(&mut self) -> Option<Vec<Value>> {
        self.last.take()
    }

    /// Makes the items.
    ///
    /// # Errors
    ///
    /// [`Error::Backend`] when a row is none of the items' type.
    pub fn items(self) -> Result<Vec<T>, Error> {
        (self.items)()
    }
}

impl<T> fmt::Debug for Batch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

/// Some consecutive rows of a source.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Selection<'a> {
    /// Which rows there are.
    pub condition: &'a Condition,
    /// Their order.
    pub order: &'a TotalOrder,
    /// Where to start.
    pub from: Origin<'a>,
    /// How many to read at most.
    pub limit: u64,
}

/// Where a selection starts.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Origin<'a> {
    /// At the first row.
    Beginning,
    /// After this many rows.
    Skipping(u64),
    /// At a place in the order.
    At(Position<'a>),
}

/// A place between rows, where a walk starts.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Position<'a> {
    /// The values of the order's fields at the place.
    pub values: &'a [Value],
    /// Whether a row with exactly these values belongs to the walk.
    pub inclusive: bool,
}
