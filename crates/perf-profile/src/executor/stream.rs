use super::running::{Ticket, Underway};
use futures_core::Stream;
use futures_core::stream::BoxStream;
use sqlx::{Either, Error};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A statement's results as they come.
pub(super) struct Recorded<'e, R, T> {
    results: BoxStream<'e, Result<Either<R, T>, Error>>,
    ticket: Option<Ticket>,
    underway: Option<Underway>,
}

impl<'e, R, T> Recorded<'e, R, T> {
    pub(super) fn new(results: BoxStream<'e, Result<Either<R, T>, Error>>, ticket: Ticket) -> Self {
        Self {
            results,
            ticket: Some(ticket),
            underway: None,
        }
    }
}

impl<R, T> Stream for Recorded<'_, R, T> {
    type Item = Result<Either<R, T>, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(ticket) = this.ticket.take() {
            this.underway = Some(ticket.begin());
        }
        let result = this.results.as_mut().poll_next(context);
        match (&result, &mut this.underway) {
            (Poll::Ready(Some(Ok(Either::Right(_)))), Some(underway)) => underway.row(),
            (Poll::Ready(Some(Err(_))), Some(underway)) => underway.fail(),
            (Poll::Ready(None), underway) => *underway = None,
            _ => {}
        }
        result
    }
}
