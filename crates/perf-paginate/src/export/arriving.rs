//! Rows as they arrive, in batches of which each is one statement.
//!
//! Fetched page by page, the database would have nothing to do while the last page is written, and the writer nothing while
//! the next is looked for. Here a few rows are written as soon as they are there, and the statement that has them goes on
//! meanwhile. It ends after a batch all the same: a statement keeps a connection, and what its database had deleted
//! since it began, for as long as whoever reads it takes.

use crate::error::Error;
use crate::paginator::Paginator;
use crate::request::PageRequest;
use crate::source::{Pace, PageSource};
use crate::value::Value;
use futures_core::future::BoxFuture;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

/// Rows that are handed over together.
const GROUP: usize = 64;

/// All rows after a place, group by group.
pub(super) struct Arriving<T> {
    read: BoxFuture<'static, Result<(), Error>>,
    slot: Slot<T>,
}

/// Some consecutive rows.
pub(super) struct Group<T> {
    pub(super) rows: Vec<T>,
    /// Whether the statement that had them has no more.
    pub(super) ends_batch: bool,
}

/// Where the reader leaves a group before it rests.
type Slot<T> = Arc<Mutex<Option<Group<T>>>>;

impl<T: Send + 'static> Arriving<T> {
    pub(super) fn new<S: PageSource<Item = T>>(
        paginator: Paginator<S>,
        request: PageRequest,
        place: Option<Vec<Value>>,
        batch: NonZeroU32,
    ) -> Self {
        let slot = Slot::default();
        let reader = Reader {
            paginator,
            request,
            batch: batch.get().into(),
            slot: Arc::clone(&slot),
        };
        Self {
            read: Box::pin(reader.read(place)),
            slot,
        }
    }

    /// The next group; none after the last.
    pub(super) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Group<T>, Error>>> {
        let read = self.read.as_mut().poll(context);
        match (take(&self.slot), read) {
            (Some(group), _) => Poll::Ready(Some(Ok(group))),
            (None, Poll::Ready(Ok(()))) => Poll::Ready(None),
            (None, Poll::Ready(Err(error))) => Poll::Ready(Some(Err(error))),
            (None, Poll::Pending) => Poll::Pending,
        }
    }
}

fn take<T>(slot: &Slot<T>) -> Option<Group<T>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

struct Reader<S: PageSource> {
    paginator: Paginator<S>,
    request: PageRequest,
    /// Rows of a statement.
    batch: u64,
    slot: Slot<S::Item>,
}

impl<S: PageSource> Reader<S> {
    async fn read(self, mut place: Option<Vec<Value>>) -> Result<(), Error> {
        loop {
            place = self.batch(place.as_deref()).await?;
            if place.is_none() {
                return Ok(());
            }
        }
    }

    /// Reads the batch after `place`. Where the next one begins, if this one is full.
    async fn batch(&self, place: Option<&[Value]>) -> Result<Option<Vec<Value>>, Error> {
        let source = self.paginator.source();
        let selection = self.request.following(place, self.batch);
        let (mut left, mut next) = (self.batch, None);
        let mut rows = Vec::with_capacity(GROUP);
        let each = &mut |row| {
            left -= 1;
            if left == 0 {
                next = Some(self.request.order.values_of(source.schema(), &row));
            }
            rows.push(row);
            // The last ones wait until their statement has ended.
            if rows.len() < GROUP || left == 0 {
                return Pace::On;
            }
            let rows = std::mem::replace(&mut rows, Vec::with_capacity(GROUP));
            self.leave(rows, false);
            Pace::Rest
        };
        source.each(&selection, each).await?;
        self.leave(rows, true);
        Pace::Rest.keep().await;
        Ok(next)
    }

    fn leave(&self, rows: Vec<S::Item>, ends_batch: bool) {
        let group = Group { rows, ends_batch };
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(group);
    }
}
