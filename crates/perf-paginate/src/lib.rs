#![doc = include_str!("../README.md")]

#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
mod advice;
mod aggregate;
#[cfg(feature = "axum")]
pub mod axum;
mod condition;
#[cfg(feature = "conformance")]
pub mod conformance;
mod connection;
mod cursor;
mod error;
mod export;
mod filter;
#[cfg(all(doctest, feature = "macros", feature = "sqlite"))]
mod guide;
mod limits;
mod links;
mod order;
mod page;
mod paginator;
mod query;
mod record;
mod relation;
mod request;
mod schema;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
mod seek;
mod source;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
mod statement;
mod stream;
#[cfg(feature = "utoipa")]
mod utoipa;
mod value;

#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub use advice::{IndexAdvice, Seek};
pub use aggregate::{AggregateQuery, AggregateSource, Aggregation, Group, Measure};
pub use condition::Condition;
pub use connection::{Connection, ConnectionInfo, Edge};
pub use cursor::{Cursor, CursorCodec, Plain, Sealed, Signed};
pub use error::{Binding, CursorFault, Error};
pub use export::{Checkpoint, Export, Recovery};
pub use filter::{Filter, FilterOp};
pub use limits::Limits;
pub use order::{Direction, Nulls, SortKey, TotalOrder};
pub use page::{CountMode, Page, PageInfo, Total};
pub use paginator::Paginator;
/// Derives [`Resource`](trait@Resource) from a struct with named fields.
///
/// | on the struct | means |
/// |---|---|
/// | `table = "…"` | the table; required |
/// | `name = "…"` | the resource's name, where it is not the table's |
/// | `join(table = "…", own = "…", other = "…")` | [`SchemaBuilder::join`], any number of times |
/// | `crate = …` | where this crate is reached by another path |
///
/// | on a field | means |
/// |---|---|
/// | `key` | it is the unique field, or one of those that are together |
/// | `sort` | [`Field::sortable`] |
/// | `filter`, `filter(eq, in, …)` | [`Field::filterable`], [`Field::filterable_by`] |
/// | `aggregate`, `leading` | [`Field::aggregatable`], [`Field::leading`] |
/// | `name = "…"` | what requests call it, where that is not the field's name |
/// | `column = "…"` | the column, where it is not named as the field |
/// | `of = "…"` | [`Field::of`]: the joined table whose column it is |
/// | `skip` | it is no column |
///
/// A field with none of these is selected but cannot be named by a request.
///
/// ```
/// use perf_paginate::{Error, Resource};
///
/// #[derive(Resource)]
/// #[resource(table = "flights", join(table = "airlines", own = "carrier", other = "code"))]
/// struct Flight {
///     #[resource(key)]
///     id: i64,
///     #[resource(sort, filter(gte, lte, is_null), aggregate)]
///     dep_delay: Option<i64>,
///     #[resource(filter, column = "dest")]
///     destination: String,
///     #[resource(sort, of = "airlines", column = "name")]
///     airline: Option<String>,
///     tailnum: Option<String>,
/// }
///
/// let schema = Flight::schema()?;
/// assert_eq!(schema.columns().collect::<Vec<_>>(), ["id", "dep_delay", "dest", "airline", "tailnum"]);
/// # Ok::<(), Error>(())
/// ```
#[cfg(feature = "macros")]
pub use perf_macros::Resource;
pub use query::PageQuery;
pub use record::Record;
pub use relation::{Loader, Related};
pub use request::PageRequest;
pub use schema::{Field, Resource, Schema, SchemaBuilder};
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub use seek::SeekForm;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub use source::{Backend, EachRow, Exclusive, Runner, SqlSource};
#[cfg(feature = "cache")]
pub use source::{Cached, Counted};
pub use source::{EachItem, Origin, Pace, PageSource, Position, Selection, SliceSource};
pub use stream::PageStream;
pub use value::{Decimal, FieldValue, Kind, Timestamp, Value};

/// What derived code names. Not part of the public interface.
#[doc(hidden)]
pub mod __private {
    #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
    pub use crate::statement::Bind;
    pub use crate::{Error, Field, FilterOp, Resource, Schema};
    pub use std::clone::Clone;
    pub use std::result::Result;
}
