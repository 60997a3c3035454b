//! Where rows come from.
//!
//! A [`PageSource`] answers two questions: which rows come next in an order, and how many there are.
//! Cursors, page boundaries, directions and totals are built above it, once for all sources.

#[cfg(feature = "cache")]
mod cached;
mod memory;
#[cfg(feature = "mysql")]
mod mysql;
mod pace;
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
use std::collections::HashMap;

#[cfg(feature = "cache")]
pub use cached::{Cached, Counted};
pub use memory::SliceSource;
pub use pace::{EachItem, Pace};
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub use runner::{EachRow, Exclusive, Runner};
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

    /// Hands the rows of a selection to `each`, in its order, as they arrive.
    ///
    /// Reads 10,000 at a time unless the source can do with less memory.
    ///
    /// # Errors
    ///
    /// [`Error::Backend`] when the source fails; rows may have been handed over before.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the read and changes nothing.
    async fn each(
        &self,
        selection: &Selection<'_>,
        each: EachItem<'_, Self::Item>,
    ) -> Result<(), Error> {
        let (mut left, mut place) = (selection.limit, None);
        while left > 0 {
            let part = Selection {
                from: place.as_deref().map_or(selection.from, Origin::after),
                limit: left.min(PART),
                ..*selection
            };
            let rows = self.rows(&part).await?;
            let is_full = u64::try_from(rows.len()) == Ok(part.limit);
            left = if is_full { left - part.limit } else { 0 };
            place = rows
                .last()
                .map(|row| selection.order.values_of(self.schema(), row));
            for row in rows {
                each(row).keep().await;
            }
        }
        Ok(())
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

    /// All rows that meet `condition` and whose `field`, by its place in the schema, equals one of `keys`: each with the
    /// place of that key, those of one key in `order`.
    ///
    /// What is equal is for the source to say. By a collation that does not tell case apart, `ua` equals `UA`, and a row
    /// that equals both is there for both. Values are compared exactly unless the source knows better. `keys` are of the
    /// field's kind, sorted, and no two are the same.
    ///
    /// # Errors
    ///
    /// [`Error::Backend`] when the source fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the read and changes nothing.
    async fn matching(
        &self,
        condition: &Condition,
        order: &TotalOrder,
        field: usize,
        keys: &[Value],
    ) -> Result<Vec<(usize, Self::Item)>, Error> {
        matching_exactly(self, condition, order, field, keys).await
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

/// [`PageSource::matching`] where only the same values are equal.
async fn matching_exactly<S: PageSource + ?Sized>(
    source: &S,
    condition: &Condition,
    order: &TotalOrder,
    field: usize,
    keys: &[Value],
) -> Result<Vec<(usize, S::Item)>, Error> {
    let condition = condition.and(&Condition::among(field, keys));
    let selection = Selection {
        condition: &condition,
        order,
        // From the first row in one statement, wherever NULLs are.
        from: Origin::Skipping(0),
        limit: ALL,
    };
    let rows = source.rows(&selection).await?;
    let places: HashMap<Vec<u8>, usize> = (0..)
        .zip(keys)
        .map(|(place, key)| (key.form(), place))
        .collect();
    let place = |row| {
        let key = source.schema().read(&row, field).form();
        places.get(&key).map(|place| (*place, row))
    };
    Ok(rows.into_iter().filter_map(place).collect())
}

/// Rows that a source reads at a time which can hand none over before it has read them.
const PART: u64 = 10_000;

/// More rows than any table has, as every database can be told.
const ALL: u64 = i64::MAX.unsigned_abs();

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

impl<'a> Origin<'a> {
    /// Behind the row with these values of the order's fields.
    pub(crate) const fn after(values: &'a [Value]) -> Self {
        Self::At(Position {
            values,
            inclusive: false,
        })
    }
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
