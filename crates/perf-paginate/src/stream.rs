use crate::error::Error;
use crate::paginator::Paginator;
use crate::query::PageQuery;
use crate::request::{PageRequest, Start};
use crate::source::PageSource;
use crate::value::Value;
use futures_core::Stream;
use futures_util::{TryStreamExt as _, stream};

/// A walk in progress: the last row's values, once there is one.
struct Walk<S> {
    paginator: Paginator<S>,
    request: PageRequest,
    place: Option<Vec<Value>>,
}

impl<S: PageSource> Paginator<S> {
    /// Every row of a query, in order, fetched a page at a time by keyset: the millionth page costs what
    /// the first did.
    ///
    /// A row that is there throughout and keeps its sort values comes exactly once, whatever is
    /// inserted, deleted or updated meanwhile. Memory holds one page. The query's own `page`, `offset`,
    /// `cursor` or `last` is refused, because all rows are meant.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), perf_paginate::Error> {
    /// use futures_util::TryStreamExt as _;
    /// use perf_paginate::{Field, PageQuery, Paginator, Plain, Schema, SliceSource};
    ///
    /// let schema = Schema::builder("n").field(Field::new("n", |n: &i64| *n).sortable()).key(["n"]).build()?;
    /// let paginator = Paginator::new(SliceSource::new(schema, vec![1, 3, 2]), Plain);
    /// let items: Vec<i64> = paginator.items(&PageQuery::new().sort("-n").size(2))?.try_collect().await?;
    /// assert_eq!(items, [3, 2, 1]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the query; [`Error::status`] is 400.
    ///
    /// # Cancel safety
    ///
    /// Dropping the stream, between rows or within a fetch, leaves nothing behind.
    pub fn items(
        &self,
        query: &PageQuery,
    ) -> Result<impl Stream<Item = Result<S::Item, Error>> + Send + use<S>, Error> {
        let pages = self.pages(query)?;
        Ok(pages
            .map_ok(|page| stream::iter(page.into_iter().map(Ok)))
            .try_flatten())
    }

    /// As [`Paginator::items`], a page at a time. No page is empty.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the query; [`Error::status`] is 400.
    ///
    /// # Cancel safety
    ///
    /// Dropping the stream, between pages or within a fetch, leaves nothing behind.
    pub fn pages(
        &self,
        query: &PageQuery,
    ) -> Result<impl Stream<Item = Result<Vec<S::Item>, Error>> + Send + use<S>, Error> {
        let request = self.check(query)?;
        let whole = matches!(&request.start, Start::Place(place) if place.values.is_none() && !place.backward);
        if !whole {
            return Err(Error::ConflictingStart);
        }
        let walk = Walk {
            paginator: self.clone(),
            request,
            place: None,
        };
        Ok(stream::try_unfold(Some(walk), |walk| async move {
            match walk {
                Some(walk) => walk.step().await,
                None => Ok(None),
            }
        }))
    }
}

impl<S: PageSource> Walk<S> {
    async fn step(mut self) -> Result<Option<(Vec<S::Item>, Option<Self>)>, Error> {
        let rows = self
            .paginator
            .following(&self.request, self.place.as_deref())
            .await?;
        let Some(last) = rows.last() else {
            return Ok(None);
        };
        let full = rows.len() >= usize::try_from(self.request.size).unwrap_or(usize::MAX);
        self.place = Some(
            self.request
                .order
                .values_of(self.paginator.source().schema(), last),
        );
        Ok(Some((rows, full.then_some(self))))
    }
}
