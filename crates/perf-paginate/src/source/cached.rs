//! Sources that remember what they were asked.

use super::{EachItem, Origin, PageSource, Selection};
use crate::aggregate::{AggregateSource, Aggregation, Group};
use crate::condition::Condition;
use crate::error::Error;
use crate::order::TotalOrder;
use crate::schema::Schema;
use crate::value::Value;
use async_trait::async_trait;
use perf_cache::{Cache, CacheError, LoadError};
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What was asked, in full: a digest that nobody can make collide.
type Asked = [u8; 32];

/// Remembers how many rows there are; each page is read anew.
///
/// However many requests ask for the same count at once, the source counts once. A count is remembered by its
/// condition, restrictions included. Where the database itself hides rows by who is connected, use one for each.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), perf_paginate::Error> {
/// use perf_paginate::{Counted, Field, PageQuery, Paginator, Plain, Schema, SliceSource, Total};
/// use std::time::Duration;
///
/// let schema = Schema::builder("n").field(Field::new("n", |n: &i64| *n)).key(["n"]).build()?;
/// let source = SliceSource::new(schema, (0..50).collect::<Vec<i64>>());
/// let paginator = Paginator::new(Counted::new(source, Duration::from_secs(300))?, Plain);
/// assert_eq!(paginator.page(&PageQuery::new().page(2)).await?.total, Total::Exact(50));
/// # Ok(())
/// # }
/// ```
pub struct Counted<S> {
    source: Arc<S>,
    totals: Cache<Asked, Option<u64>>,
}

/// Remembers pages, counts and figures. Rows are shared by all who ask for the same.
///
/// Relations are read anew. A walk through it sees pages of different moments, and may repeat or miss rows that moved between them. Streams
/// and exports belong on the source itself.
pub struct Cached<S: PageSource> {
    counted: Counted<S>,
    pages: Cache<Asked, Arc<Vec<S::Item>>>,
    records: Cache<Asked, Arc<Vec<Vec<Value>>>>,
    groups: Cache<Asked, Arc<Vec<Group>>>,
}

/// Most counts, and most pages, that are remembered.
const MOST: u64 = 10_000;

impl<S: PageSource> Counted<S> {
    /// Counts are good for `lifetime`, at least 8.4 ms and at most 104 days.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] when `lifetime` is outside these bounds.
    pub fn new(source: S, lifetime: Duration) -> Result<Self, Error> {
        let totals = Cache::builder("paginate totals");
        Ok(Self {
            source: Arc::new(source),
            totals: totals
                .ttl(lifetime)
                .max_entries(MOST)
                .build()
                .map_err(misconfigured)?,
        })
    }
}

impl<S: PageSource> Cached<S> {
    /// Pages, counts and figures are good for `lifetime`, at least 8.4 ms and at most 104 days.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] when `lifetime` is outside these bounds.
    pub fn new(source: S, lifetime: Duration) -> Result<Self, Error>
    where
        S::Item: Sync,
    {
        let pages = Cache::builder("paginate pages").ttl(lifetime);
        let records = Cache::builder("paginate records").ttl(lifetime);
        let groups = Cache::builder("paginate groups").ttl(lifetime);
        Ok(Self {
            counted: Counted::new(source, lifetime)?,
            pages: pages.max_entries(MOST).build().map_err(misconfigured)?,
            records: records.max_entries(MOST).build().map_err(misconfigured)?,
            groups: groups.max_entries(MOST).build().map_err(misconfigured)?,
        })
    }

    /// Forgets everything, after a write that must be seen.
    ///
    /// # Errors
    ///
    /// [`Error::Backend`] when a cache cannot be reached.
    ///
    /// # Cancel safety
    ///
    /// What has been forgotten stays forgotten.
    pub async fn clear(&self) -> Result<(), Error>
    where
        S::Item: Sync,
    {
        self.counted.totals.clear().await.map_err(unreachable)?;
        self.pages.clear().await.map_err(unreachable)?;
        self.records.clear().await.map_err(unreachable)?;
        self.groups.clear().await.map(drop).map_err(unreachable)
    }
}

#[async_trait]
impl<S: PageSource> PageSource for Counted<S> {
    type Item = S::Item;

    fn schema(&self) -> &Schema<S::Item> {
        self.source.schema()
    }

    async fn rows(&self, selection: &Selection<'_>) -> Result<Vec<S::Item>, Error> {
        self.source.rows(selection).await
    }

    async fn each(
        &self,
        selection: &Selection<'_>,
        each: EachItem<'_, S::Item>,
    ) -> Result<(), Error> {
        self.source.each(selection, each).await
    }

    async fn records(
        &self,
        selection: &Selection<'_>,
        fields: &[usize],
    ) -> Result<Vec<Vec<Value>>, Error> {
        self.source.records(selection, fields).await
    }

    async fn matching(
        &self,
        condition: &Condition,
        order: &TotalOrder,
        field: usize,
        keys: &[Value],
    ) -> Result<Vec<(usize, S::Item)>, Error> {
        self.source.matching(condition, order, field, keys).await
    }

    async fn count(&self, condition: &Condition, at_most: Option<u64>) -> Result<u64, Error> {
        let mut asked = Asking::new(b'c');
        asked.condition(condition);
        asked.number(at_most.unwrap_or(u64::MAX));
        let (source, condition) = (Arc::clone(&self.source), condition.clone());
        let load = async move || source.count(&condition, at_most).await.map(Some);
        let total = self.totals.get_or_load(asked.digest(), load).await;
        total.map(Option::unwrap_or_default).map_err(unloaded)
    }

    async fn estimate(&self, condition: &Condition) -> Result<Option<u64>, Error> {
        let mut asked = Asking::new(b'e');
        asked.condition(condition);
        let (source, condition) = (Arc::clone(&self.source), condition.clone());
        let load = async move || source.estimate(&condition).await;
        let total = self.totals.get_or_load(asked.digest(), load).await;
        total.map_err(unloaded)
    }
}

#[async_trait]
impl<S: PageSource<Item: Clone + Sync>> PageSource for Cached<S> {
    type Item = S::Item;

    fn schema(&self) -> &Schema<S::Item> {
        self.counted.schema()
    }

    async fn rows(&self, selection: &Selection<'_>) -> Result<Vec<S::Item>, Error> {
        let mut asked = Asking::new(b'r');
        asked.selection(selection);
        let (source, owned) = (Arc::clone(&self.counted.source), Owned::of(selection));
        let load = async move || source.rows(&owned.selection()).await.map(Arc::new);
        let rows = self.pages.get_or_load(asked.digest(), load).await;
        rows.map(|rows| rows.to_vec()).map_err(unloaded)
    }

    /// Remembers none of them: they are all rows, where a page is a few.
    async fn each(
        &self,
        selection: &Selection<'_>,
        each: EachItem<'_, S::Item>,
    ) -> Result<(), Error> {
        self.counted.each(selection, each).await
    }

    async fn records(
        &self,
        selection: &Selection<'_>,
        fields: &[usize],
    ) -> Result<Vec<Vec<Value>>, Error> {
        let mut asked = Asking::new(b'f');
        asked.selection(selection);
        fields.iter().for_each(|field| asked.number(number(*field)));
        let (source, owned) = (Arc::clone(&self.counted.source), Owned::of(selection));
        let fields = fields.to_vec();
        let load = async move || {
            let records = source.records(&owned.selection(), &fields).await;
            records.map(Arc::new)
        };
        let records = self.records.get_or_load(asked.digest(), load).await;
        records.map(|records| records.to_vec()).map_err(unloaded)
    }

    async fn matching(
        &self,
        condition: &Condition,
        order: &TotalOrder,
        field: usize,
        keys: &[Value],
    ) -> Result<Vec<(usize, S::Item)>, Error> {
        self.counted.matching(condition, order, field, keys).await
    }

    async fn count(&self, condition: &Condition, at_most: Option<u64>) -> Result<u64, Error> {
        self.counted.count(condition, at_most).await
    }

    async fn estimate(&self, condition: &Condition) -> Result<Option<u64>, Error> {
        self.counted.estimate(condition).await
    }
}

#[async_trait]
impl<S: AggregateSource> AggregateSource for Counted<S> {
    async fn aggregate(&self, aggregation: &Aggregation<'_>) -> Result<Vec<Group>, Error> {
        self.source.aggregate(aggregation).await
    }
}

#[async_trait]
impl<S: AggregateSource<Item: Clone + Sync>> AggregateSource for Cached<S> {
    async fn aggregate(&self, aggregation: &Aggregation<'_>) -> Result<Vec<Group>, Error> {
        let mut asked = Asking::new(b'g');
        asked.aggregation(aggregation);
        let source = Arc::clone(&self.counted.source);
        let (condition, measures) = (aggregation.condition.clone(), aggregation.measures.to_vec());
        let (group, limit) = (aggregation.group, aggregation.limit);
        let load = async move || {
            let aggregation = Aggregation {
                condition: &condition,
                measures: &measures,
                group,
                limit,
            };
            source.aggregate(&aggregation).await.map(Arc::new)
        };
        let groups = self.groups.get_or_load(asked.digest(), load).await;
        groups.map(|groups| groups.to_vec()).map_err(unloaded)
    }
}

/// A selection that outlives the request: a load goes on when its caller has gone.
struct Owned {
    condition: Condition,
    order: TotalOrder,
    from: OwnedOrigin,
    limit: u64,
}

enum OwnedOrigin {
    Skipping(Option<u64>),
    At(Vec<Value>, bool),
}

impl Owned {
    fn of(selection: &Selection<'_>) -> Self {
        Self {
            condition: selection.condition.clone(),
            order: selection.order.clone(),
            from: match selection.from {
                Origin::Beginning => OwnedOrigin::Skipping(None),
                Origin::Skipping(offset) => OwnedOrigin::Skipping(Some(offset)),
                Origin::At(position) => {
                    OwnedOrigin::At(position.values.to_vec(), position.inclusive)
                }
            },
            limit: selection.limit,
        }
    }

    fn selection(&self) -> Selection<'_> {
        let from = match &self.from {
            OwnedOrigin::Skipping(None) => Origin::Beginning,
            OwnedOrigin::Skipping(Some(offset)) => Origin::Skipping(*offset),
            OwnedOrigin::At(values, inclusive) => Origin::At(super::Position {
                values,
                inclusive: *inclusive,
            }),
        };
        Selection {
            condition: &self.condition,
            order: &self.order,
            from,
            limit: self.limit,
        }
    }
}

/// Collects what is asked. Every part ends where it says, so no two questions are alike.
struct Asking(Vec<u8>);

impl Asking {
    fn new(kind: u8) -> Self {
        Self(vec![kind])
    }

    fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    fn condition(&mut self, condition: &Condition) {
        condition.encode(&mut self.0);
    }

    fn aggregation(&mut self, aggregation: &Aggregation<'_>) {
        self.condition(aggregation.condition);
        self.number(number(aggregation.measures.len()));
        for (measure, field) in aggregation.measures {
            self.number(*measure as u64);
            self.number(number(*field));
        }
        self.number(aggregation.group.map_or(0, |field| number(field) + 1));
        self.number(aggregation.limit);
    }

    fn selection(&mut self, selection: &Selection<'_>) {
        self.condition(selection.condition);
        self.number(number(selection.order.keys().len()));
        selection.order.encode(&mut self.0);
        match selection.from {
            Origin::Beginning => self.0.push(b'b'),
            Origin::Skipping(offset) => {
                self.0.push(b's');
                self.number(offset);
            }
            Origin::At(position) => {
                self.0.push(if position.inclusive { b'i' } else { b'a' });
                let values = position.values.iter();
                values.for_each(|value| value.encode(&mut self.0));
            }
        }
        self.number(selection.limit);
    }

    fn digest(&self) -> Asked {
        Sha256::digest(&self.0).into()
    }
}

fn number(place: usize) -> u64 {
    u64::try_from(place).unwrap_or(u64::MAX)
}

fn misconfigured(error: CacheError) -> Error {
    Error::Configuration(error.to_string().into())
}

fn unreachable(error: CacheError) -> Error {
    Error::Backend {
        transient: error.is_transient(),
        source: error.into(),
    }
}

/// The error of a load that others may have shared.
fn unloaded(error: LoadError<Error>) -> Error {
    let transient = match error.loader().map(AsRef::as_ref) {
        Some(Error::ValueOutOfRange) => return Error::ValueOutOfRange,
        Some(loader) => loader.is_transient(),
        None => error.is_transient(),
    };
    Error::Backend {
        source: error.into(),
        transient,
    }
}

impl<S: fmt::Debug> fmt::Debug for Counted<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counted")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl<S: PageSource + fmt::Debug> fmt::Debug for Cached<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached")
            .field("source", &self.counted.source)
            .finish_non_exhaustive()
    }
}
