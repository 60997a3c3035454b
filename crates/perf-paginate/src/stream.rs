//! All pages of a query, one after the other.
//!
//! As soon as a page has arrived, the next is asked for, so that the database works while the page is used. That takes no
//! task: the fetch is polled in between rows, which hands it one step on: to a connection, to the statement, to the rows
//! that have arrived. Polled at the page's end only, it would not even be sent before: a pool first asks a connection
//! whether it still works.

use crate::error::Error;
use crate::paginator::Paginator;
use crate::query::PageQuery;
use crate::request::{PageRequest, Start};
use crate::source::PageSource;
use crate::value::Value;
use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_util::stream;
use std::fmt;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// All pages of a query, in order, fetched by keyset: the millionth page costs what the first did.
///
/// Made by [`Paginator::pages`]. No page is empty, and all but the last are full. Memory holds two. The stream
/// ends after an error.
pub struct PageStream<S: PageSource> {
    paginator: Paginator<S>,
    request: Arc<PageRequest>,
    ahead: Ahead<S::Item>,
}

type Fetched<T> = Result<Vec<T>, Error>;

/// Rows of a page that are used before its successor is polled again.
const STRIDE: usize = 64;

/// The page after the one that was handed out last.
enum Ahead<T> {
    /// Not asked for yet; it follows these values.
    Unasked(Option<Vec<Value>>),
    Asked(BoxFuture<'static, Fetched<T>>),
    Fetched(Fetched<T>),
    End,
}

impl<S: PageSource> Paginator<S> {
    /// Every row of a query, in order, fetched a page at a time by keyset.
    ///
    /// A row that is there throughout and keeps its sort values comes exactly once, whatever is
    /// inserted, deleted or updated meanwhile. The query's own `page`, `offset` or `last` is refused,
    /// because all rows are meant; a `cursor` that leads forward is where the stream begins.
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
        let mut pages = self.pages(query)?;
        let mut page = Vec::new().into_iter();
        let next = move |context: &mut Context<'_>| loop {
            if let Some(item) = page.next() {
                if page.len().is_multiple_of(STRIDE) {
                    pages.advance(context);
                }
                return Poll::Ready(Some(Ok(item)));
            }
            match ready!(Pin::new(&mut pages).poll_next(context)) {
                Some(Ok(following)) => page = following.into_iter(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        };
        Ok(stream::poll_fn(next))
    }

    /// As [`Paginator::items`], a page at a time.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the query; [`Error::status`] is 400.
    ///
    /// # Cancel safety
    ///
    /// Dropping the stream, between pages or within a fetch, leaves nothing behind.
    pub fn pages(&self, query: &PageQuery) -> Result<PageStream<S>, Error> {
        let (request, start) = self.check_all(query)?;
        Ok(PageStream {
            paginator: self.clone(),
            request: Arc::new(request),
            ahead: Ahead::Unasked(start),
        })
    }

    /// Checks a query that means all rows, and where they begin.
    pub(crate) fn check_all(
        &self,
        query: &PageQuery,
    ) -> Result<(PageRequest, Option<Vec<Value>>), Error> {
        let request = self.check(query)?;
        match &request.start {
            Start::Place(place) if !place.backward => {
                let start = place.values.clone();
                Ok((request, start))
            }
            Start::Place(_) | Start::Offset(_) => Err(Error::ConflictingStart),
        }
    }
}

impl<S: PageSource> PageStream<S> {
    /// Fetches so many rows at a time, whatever the query says and a client may ask for.
    #[must_use]
    pub fn batch(mut self, rows: NonZeroU32) -> Self {
        Arc::make_mut(&mut self.request).size = rows.get();
        self
    }

    fn ask(&self, place: Option<Vec<Value>>) -> BoxFuture<'static, Fetched<S::Item>> {
        let (paginator, request) = (self.paginator.clone(), Arc::clone(&self.request));
        Box::pin(async move {
            let following = request.following(place.as_deref(), request.size.into());
            paginator.source().rows(&following).await
        })
    }

    /// Brings the next page nearer while the last one is used.
    fn advance(&mut self, context: &mut Context<'_>) {
        if let Ahead::Asked(fetch) = &mut self.ahead
            && let Poll::Ready(fetched) = fetch.as_mut().poll(context)
        {
            self.ahead = Ahead::Fetched(fetched);
        }
    }

    /// Asks for what follows a page, if it is full.
    fn page(
        &mut self,
        page: Vec<S::Item>,
        context: &mut Context<'_>,
    ) -> Option<Result<Vec<S::Item>, Error>> {
        let size = usize::try_from(self.request.size).unwrap_or(usize::MAX);
        let last = page.last()?;
        if page.len() >= size {
            let schema = self.paginator.source().schema();
            let last = self.request.order.values_of(schema, last);
            self.ahead = Ahead::Asked(self.ask(Some(last)));
            self.advance(context);
        }
        Some(Ok(page))
    }
}

impl<S: PageSource> Stream for PageStream<S> {
    type Item = Result<Vec<S::Item>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Ahead::Unasked(place) = &mut self.ahead {
            let place = place.take();
            self.ahead = Ahead::Asked(self.ask(place));
        }
        if let Ahead::Asked(fetch) = &mut self.ahead {
            let fetched = ready!(fetch.as_mut().poll(context));
            self.ahead = Ahead::Fetched(fetched);
        }
        match std::mem::replace(&mut self.ahead, Ahead::End) {
            Ahead::Fetched(Ok(page)) => Poll::Ready(self.page(page, context)),
            Ahead::Fetched(Err(error)) => Poll::Ready(Some(Err(error))),
            Ahead::Unasked(_) | Ahead::Asked(_) | Ahead::End => Poll::Ready(None),
        }
    }
}

/// Nothing in it is pinned: the fetch has a box of its own.
impl<S: PageSource> Unpin for PageStream<S> {}

impl<S: PageSource + fmt::Debug> fmt::Debug for PageStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageStream")
            .field("paginator", &self.paginator)
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}
