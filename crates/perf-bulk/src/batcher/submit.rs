//! An item on its way, as its caller waits for it.

use super::answer;
use super::handle::Batcher;
use super::shared::{Entered, Refusal};
use crate::error::BatchError;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The future of [`Batcher::submit`]. It does nothing until polled.
///
/// # Cancel safety
///
/// Dropped before its item was taken, the item is dropped with it and never handled. Dropped later, the
/// item is handled and the answer dropped. Use [`withdraw`](Self::withdraw) to know which, and to have the
/// item back.
#[must_use = "futures do nothing unless polled"]
pub struct Submit<'b, I, O, E, K>
where
    I: Send + Sync + 'static,
    O: Send + 'static,
    E: Error + Send + Sync + 'static,
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    batcher: &'b Batcher<I, O, E, K>,
    stage: Stage<I, O, E>,
}

enum Stage<I, O, E: Error + 'static> {
    Unpolled(I),
    InLine(u64, answer::Shared<O, E>),
    Taken(answer::Shared<O, E>),
    Refused(I),
    Done,
}

impl<'b, I, O, E, K> Submit<'b, I, O, E, K>
where
    I: Send + Sync + 'static,
    O: Send + 'static,
    E: Error + Send + Sync + 'static,
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    pub(super) const fn new(batcher: &'b Batcher<I, O, E, K>, item: I) -> Self {
        Self {
            batcher,
            stage: Stage::Unpolled(item),
        }
    }

    /// Takes the item back, unless it was taken: `None` says that it is or was handled. After
    /// [`BatchError::Full`] and [`BatchError::Closed`] the item is here too.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use perf_bulk::Batcher;
    /// use std::convert::Infallible;
    ///
    /// let batcher = Batcher::new(|items: Vec<u32>| async move { Ok::<_, Infallible>(items) });
    /// assert_eq!(batcher.submit(1).withdraw(), Some(1)); // never polled
    ///
    /// let mut submit = batcher.submit(2);
    /// let answer = (&mut submit).await?;
    /// assert_eq!((answer, submit.withdraw()), (2, None));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn withdraw(mut self) -> Option<I> {
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Unpolled(item) | Stage::Refused(item) => Some(item),
            Stage::InLine(place, _) => self.leave_line(place),
            Stage::Taken(_) | Stage::Done => None,
        }
    }

    /// Ready when the item was taken, with what to wait for.
    pub(super) fn poll_taken(
        &mut self,
        context: &Context<'_>,
    ) -> Poll<Result<Ticket<O, E>, BatchError<E>>> {
        if let Err(refusal) = self.enter(true) {
            return Poll::Ready(Err(refusal));
        }
        let (Stage::InLine(_, answer) | Stage::Taken(answer)) = &self.stage else {
            return Poll::Pending;
        };
        let answer = answer::Shared::clone(answer);
        match answer.poll_taken(context) {
            Poll::Ready(()) => {
                self.stage = Stage::Done;
                Poll::Ready(Ok(Ticket { answer }))
            }
            Poll::Pending => self.refused_in_line(),
        }
    }

    /// At the first poll: into the queue, or in line for it.
    fn enter(&mut self, may_wait: bool) -> Result<(), BatchError<E>> {
        if !matches!(self.stage, Stage::Unpolled(_)) {
            return Ok(());
        }
        let Stage::Unpolled(item) = std::mem::replace(&mut self.stage, Stage::Done) else {
            return Ok(());
        };
        let may_wait = may_wait && self.batcher.waits_when_full();
        let (stage, outcome) = match self.batcher.shared().submit(item, may_wait) {
            Entered::Taken(answer) => (Stage::Taken(answer), Ok(())),
            Entered::InLine(place, answer) => (Stage::InLine(place, answer), Ok(())),
            Entered::Refused(item, refusal) => (Stage::Refused(item), Err(refusal.into())),
        };
        self.stage = stage;
        outcome
    }

    /// Whether the batcher was closed while the item stood in line.
    fn refused_in_line<T>(&mut self) -> Poll<Result<T, BatchError<E>>> {
        let Stage::InLine(place, _) = self.stage else {
            return Poll::Pending;
        };
        if !self.batcher.is_closed() {
            return Poll::Pending;
        }
        match self.leave_line(place) {
            Some(item) => {
                self.stage = Stage::Refused(item);
                Poll::Ready(Err(BatchError::Closed))
            }
            None => Poll::Pending,
        }
    }

    fn leave_line(&self, place: u64) -> Option<I> {
        let mut queue = self.batcher.shared().queue.lock();
        queue.leave_line(place).map(|entry| entry.item)
    }
}

// No field is ever pinned.
impl<I, O, E, K> Unpin for Submit<'_, I, O, E, K>
where
    I: Send + Sync + 'static,
    O: Send + 'static,
    E: Error + Send + Sync + 'static,
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
}

impl<I, O, E, K> Future for Submit<'_, I, O, E, K>
where
    I: Send + Sync + 'static,
    O: Send + 'static,
    E: Error + Send + Sync + 'static,
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    type Output = Result<O, BatchError<E>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Err(refusal) = self.enter(true) {
            return Poll::Ready(Err(refusal));
        }
        let (Stage::InLine(_, answer) | Stage::Taken(answer)) = &self.stage else {
            return Poll::Pending;
        };
        match answer.poll(context) {
            Poll::Ready(answer) => {
                self.stage = Stage::Done;
                Poll::Ready(answer)
            }
            Poll::Pending => self.refused_in_line(),
        }
    }
}

impl<I, O, E, K> Drop for Submit<'_, I, O, E, K>
where
    I: Send + Sync + 'static,
    O: Send + 'static,
    E: Error + Send + Sync + 'static,
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    fn drop(&mut self) {
        if let Stage::InLine(place, _) = self.stage {
            // Dropped outside the lock: the item is the user's type.
            let item = self.leave_line(place);
            drop(item);
        }
    }
}

impl<I, O, E, K> fmt::Debug for Submit<'_, I, O, E, K>
where
    I: Send + Sync + 'static,
    O: Send + 'static,
    E: Error + Send + Sync + 'static,
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.stage {
            Stage::Unpolled(_) => "Submit(unpolled)",
            Stage::InLine(_, answer) if !answer.is_taken() => "Submit(in line)",
            Stage::InLine(..) | Stage::Taken(_) => "Submit(taken)",
            Stage::Refused(_) => "Submit(refused)",
            Stage::Done => "Submit(done)",
        })
    }
}

/// The answer to an item that was taken: the future of what [`Batcher::submit`] would have returned.
///
/// Dropping it drops the answer; the item is handled all the same.
#[must_use = "futures do nothing unless polled"]
pub struct Ticket<O, E: Error + 'static> {
    answer: answer::Shared<O, E>,
}

impl<O, E: Error> Ticket<O, E> {
    pub(super) const fn new(answer: answer::Shared<O, E>) -> Self {
        Self { answer }
    }
}

impl<O, E: Error + Send + Sync + 'static> Future for Ticket<O, E> {
    type Output = Result<O, BatchError<E>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.answer.poll(context)
    }
}

impl<O, E: Error> fmt::Debug for Ticket<O, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket")
    }
}

/// An item that was not taken, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the item was not taken: {reason}")]
#[non_exhaustive]
pub struct Refused<I> {
    /// The item.
    pub item: I,
    /// Why it was not taken.
    pub reason: Refusal,
}

impl<I> Refused<I> {
    pub(super) const fn new(item: I, reason: Refusal) -> Self {
        Self { item, reason }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the queue is full",
            Self::Closed => "the batcher is closed",
        })
    }
}

impl<E: Error> From<Refusal> for BatchError<E> {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Full => Self::Full,
            Refusal::Closed => Self::Closed,
        }
    }
}
