//! Where rows come from.
//!
//! A [`PageSource`] answers two questions: which rows come next in an order, and how many there are.
//! Cursors, page boundaries, directions and totals are built above it, once for all sources.

mod memory;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
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

pub use memory::SliceSource;
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
