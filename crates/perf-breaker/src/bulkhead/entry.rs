use super::{Place, Shared};
use crate::deadline::Deadline;
use crate::holder::Holder;
use crate::overload::{Overload, OverloadCause};
use perf_core::Clock;
use perf_core::clock::Sleep;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::{AcquireError, OwnedSemaphorePermit};

/// The way to a place: straight in, or through the queue.
pub(crate) struct Entry<'b, K>(Option<Queued<'b, K>>);

/// Dropped in this order: whoever has left the line makes room in it.
struct Queued<'b, K> {
    turn: Turn,
    alarm: Option<Sleep>,
    _seat: Seat<'b, K>,
}

/// Only a call that has to wait pays for this box.
type Turn = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

/// One of the queue's seats.
struct Seat<'b, K>(Holder<'b, Shared<K>>);

impl<K> Drop for Seat<'_, K> {
    fn drop(&mut self) {
        self.0.waiting.give_back();
    }
}

impl<'b, K: Clock> Entry<'b, K> {
    pub(crate) const fn new() -> Self {
        Self(None)
    }

    /// Whether it did not lead straight in.
    pub(crate) const fn is_queued(&self) -> bool {
        self.0.is_some()
    }

    #[inline]
    pub(crate) fn poll(
        &mut self,
        shared: &Holder<'b, Shared<K>>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Place<'b, K>, Overload>> {
        if self.0.is_none()
            && let Some(place) = Place::take(shared)
        {
            return Poll::Ready(Ok(place));
        }
        self.poll_queue(shared, context)
    }

    #[cold]
    fn poll_queue(
        &mut self,
        shared: &Holder<'b, Shared<K>>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Place<'b, K>, Overload>> {
        let queued = match &mut self.0 {
            Some(queued) => queued,
            None if shared.waiting.take(shared.queue).is_some() => self.0.insert(Queued {
                turn: Box::pin(Arc::clone(&shared.free).acquire_owned()),
                alarm: alarm(shared),
                _seat: Seat(shared.clone()),
            }),
            None => return Poll::Ready(Err(shared.refuse(OverloadCause::QueueFull))),
        };
        // The semaphore is never closed, so the turn always comes with its permit.
        if let Poll::Ready(Ok(permit)) = queued.turn.as_mut().poll(context) {
            permit.forget();
            self.0 = None;
            return Poll::Ready(Ok(Place {
                shared: shared.clone(),
            }));
        }
        let is_over = |alarm: &mut Sleep| alarm.as_mut().poll(context).is_ready();
        if queued.alarm.as_mut().is_some_and(is_over) {
            self.0 = None;
            return Poll::Ready(Err(shared.refuse(OverloadCause::WaitedTooLong)));
        }
        Poll::Pending
    }
}

/// The end of the longest wait, or of the deadline if that is nearer.
fn alarm<K: Clock>(shared: &Shared<K>) -> Option<Sleep> {
    let limits = [shared.max_wait, Deadline::current_left()];
    let nearest = limits.into_iter().flatten().min()?;
    Some(shared.clock.sleep(nearest))
}
