//! Rows that belong to other rows, without a statement for each.
//!
//! A list of carriers, each with its flights, is easily one statement for the carriers and one for each carrier's
//! flights. A [`Loader`] takes the keys of all carriers at once and asks for their flights in one statement, or one
//! for each thousand keys. What comes back is looked up by key, so it does not matter in which order the
//! parents are, or how often one is among them.
//!
//! | relation | loads | field |
//! |---|---|---|
//! | one to many | the many | theirs that names the one |
//! | many to one | the one | its key |
//! | many to many | the links by their left field, then the others by their key | |
//! | nested | each level by the keys of the level before | |
//!
//! A join would send each parent again with every child. It pays where there is at most one: then declare it with
//! [`SchemaBuilder::join`](crate::SchemaBuilder::join).

use crate::condition::{self, Author, Condition};
use crate::error::Error;
use crate::filter::{Filter, FilterOp};
use crate::limits::Limits;
use crate::order::{SortKey, TotalOrder};
use crate::source::PageSource;
use crate::value::{Kind, Value};
use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::slice;

/// Loads the rows of a source by the values of one field.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), perf_paginate::Error> {
/// use perf_paginate::{Field, Loader, Schema, SliceSource};
///
/// #[derive(Clone, Debug, PartialEq)]
/// struct Flight { number: i64, carrier: &'static str }
///
/// let schema = Schema::builder("flights")
///     .field(Field::new("number", |flight: &Flight| flight.number).sortable())
///     .field(Field::new("carrier", |flight: &Flight| flight.carrier.to_owned()))
///     .key(["number"])
///     .build()?;
/// let flights = [(1, "UA"), (2, "AA"), (3, "UA")].map(|(number, carrier)| Flight { number, carrier });
///
/// let loader = Loader::new(SliceSource::new(schema, flights)).sort("-number")?;
/// let of_carriers = loader.select_in("carrier", ["UA", "DL", "UA"]).await?;
/// let numbers = |carrier| of_carriers.of(carrier).iter().map(|flight| flight.number).collect::<Vec<_>>();
/// assert_eq!((numbers("UA"), numbers("DL")), (vec![3, 1], vec![]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Loader<S> {
    source: S,
    order: TotalOrder,
    condition: Condition,
    chunk: NonZeroUsize,
}

/// A power of two, because lists are padded to one where each key is a parameter.
const CHUNK: NonZeroUsize = NonZeroUsize::new(1_024).expect("not zero");

impl<S: PageSource> Loader<S> {
    /// Loads rows of `source`, those of one key in the order of the source's own key.
    pub fn new(source: S) -> Self {
        let order = TotalOrder::by_key(source.schema().layout());
        Self {
            source,
            order,
            condition: Condition::always(),
            chunk: CHUNK,
        }
    }

    /// Orders the rows of one key, as [`PageQuery::sort`](crate::PageQuery::sort) reads it.
    ///
    /// # Errors
    ///
    /// That a field is unknown or cannot be sorted by.
    pub fn sort(mut self, fields: &str) -> Result<Self, Error> {
        let keys: Vec<SortKey> = fields
            .split(',')
            .map(|key| SortKey::parse(key.trim()))
            .collect();
        self.order = TotalOrder::resolve(self.source.schema().layout(), &keys, usize::MAX)?;
        Ok(self)
    }

    /// Only rows for which `filter` holds. It may name any declared field.
    ///
    /// # Errors
    ///
    /// As [`Paginator::restricted`](crate::Paginator::restricted).
    pub fn filter(mut self, filter: &Filter) -> Result<Self, Error> {
        self.condition = self.condition.and(&self.resolved(filter)?);
        Ok(self)
    }

    /// Asks for so many keys in one statement; 1,024 unless told otherwise.
    #[must_use]
    pub const fn chunk(mut self, keys: NonZeroUsize) -> Self {
        self.chunk = keys;
        self
    }

    /// The rows whose `field` equals one of `keys`, in one statement for each chunk of distinct keys. NULL is no key.
    ///
    /// What is equal is for the database to say: by a collation that does not tell case apart, the key `ua` has the rows
    /// of `UA`. On MySQL and MariaDB, keys of such a column take a second statement, which says what equals what.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownField`], [`Error::InvalidValue`] for a key that is none of the field's kind, and
    /// [`Error::Backend`] when the source fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the read and changes nothing.
    pub async fn select_in<K: Into<Value>>(
        &self,
        field: &str,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Related<S::Item>, Error> {
        let layout = self.source.schema().layout();
        let place = layout.find(field)?;
        let column = &layout.fields[place];
        let keys = keys.into_iter().map(Into::into);
        let keys: Vec<Value> = keys.filter(|key: &Value| !key.is_null()).collect();
        let keys = condition::coerced(column, FilterOp::In, &keys)?;
        let mut related = Related {
            kind: column.kind,
            rows: HashMap::with_capacity(keys.len()),
        };
        let (condition, order) = (&self.condition, &self.order);
        for keys in keys.chunks(self.chunk.get()) {
            let rows = self.source.matching(condition, order, place, keys).await?;
            for (key, row) in rows {
                let rows: &mut Vec<_> = related.rows.entry(keys[key].form()).or_default();
                rows.push(row);
            }
        }
        Ok(related)
    }

    fn resolved(&self, filter: &Filter) -> Result<Condition, Error> {
        let layout = self.source.schema().layout();
        let filters = slice::from_ref(filter);
        Condition::resolve(layout, filters, Author::Service, &Limits::default())
    }
}

/// Rows by the key that they belong to.
pub struct Related<T> {
    kind: Kind,
    rows: HashMap<Vec<u8>, Vec<T>>,
}

impl<T> Related<T> {
    /// The rows of `key`, one of those that were asked for, in the loader's order.
    pub fn of(&self, key: impl Into<Value>) -> &[T] {
        let rows = self.rows.get(&form(key.into(), self.kind));
        rows.map_or(&[], Vec::as_slice)
    }

    /// The first row of `key`, where there is at most one.
    pub fn one(&self, key: impl Into<Value>) -> Option<&T> {
        self.of(key).first()
    }

    /// Takes the rows of `key` out.
    pub fn take(&mut self, key: impl Into<Value>) -> Vec<T> {
        self.rows
            .remove(&form(key.into(), self.kind))
            .unwrap_or_default()
    }

    /// The rows of all keys, those of one together; for the keys of the next level.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.rows.values().flatten()
    }

    /// The rows of `key` in `others`, through these, which link them: many to many.
    pub fn through<'o, U, K: Into<Value>>(
        &self,
        key: impl Into<Value>,
        others: &'o Related<U>,
        other: impl Fn(&T) -> K,
    ) -> Vec<&'o U> {
        let links = self.of(key).iter();
        links.flat_map(|link| others.of(other(link))).collect()
    }
}

/// One key, one form: an integer is the same whether its type has a sign.
fn form(key: Value, kind: Kind) -> Vec<u8> {
    key.clone().coerced(kind).unwrap_or(key).form()
}

impl<T> fmt::Debug for Related<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Related")
            .field("keys", &self.rows.len())
            .finish_non_exhaustive()
    }
}
