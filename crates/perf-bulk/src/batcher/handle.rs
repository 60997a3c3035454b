use super::BatchHandler;
use super::builder::{BatcherBuilder, WhenFull};
use super::shared::{Entered, Shared};
use super::submit::{Refused, Submit, Ticket};
use crate::error::BatchError;
use perf_core::{Health, Inspect, Registry, Sample};
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::hash::Hash;
use std::pin::pin;
use std::sync::Arc;

/// Turns single items into batches for a [`BatchHandler`]. Clones share their queue.
///
/// Batches run on the tokio runtime of whoever submits; without one, items are answered with
/// [`BatchError::Abandoned`]. When the last handle is dropped the batcher closes, and what it has taken is
/// still handled.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use futures_util::future::join_all;
/// use perf_bulk::Batcher;
/// use std::convert::Infallible;
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// static CALLS: AtomicUsize = AtomicUsize::new(0);
/// let prices = Batcher::new(|articles: Vec<u32>| async move {
///     CALLS.fetch_add(1, Ordering::Relaxed); // POST /prices with all of them
///     Ok::<_, Infallible>(articles.into_iter().map(|article| article * 10).collect())
/// });
///
/// let answers = join_all((0..100).map(|article| prices.submit(article))).await;
/// assert_eq!(answers.into_iter().sum::<Result<u32, _>>()?, 49_500);
/// assert_eq!(CALLS.load(Ordering::Relaxed), 1);
/// # Ok(())
/// # }
/// ```
pub struct Batcher<I, O, E, K = ()>
where
    I: Send + Sync + 'static,
    O: Send + 'static,
    E: Error + Send + Sync + 'static,
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    owner: Arc<Owner<I, O, E, K>>,
}

/// Closes the batcher when the last handle is dropped. Workers hold what it holds, and not it.
struct Owner<I, O, E, K>
where
    I: Send + Sync + 'static,
    O: Send + 'static,
    E: Error + Send + Sync + 'static,
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    shared: Arc<Shared<I, O, E, K>>,
}

impl<I, O, E> Batcher<I, O, E>
where
    I: Send + Sync + 'static,
    O: Send + 'static,
    E: Error + Send + Sync + 'static,
{
    /// A batcher with all settings at their defaults.
    pub fn new<H: BatchHandler<I, Output = O, Error = E>>(handler: H) -> Self {
        Self::from_shared(Self::builder(handler).into_shared())
    }

    /// A batcher to be set up.
    pub fn builder<H: BatchHandler<I, Output = O, Error = E>>(handler: H) -> BatcherBuilder<I, H> {
        BatcherBuilder::new(handler)
    }
}

impl<I, O, E, K> Batcher<I, O, E, K>
where
    I: Send + Sync + 'static,
    O: Send + 'static,
    E: Error + Send + Sync + 'static,
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    pub(super) fn from_shared(shared: Shared<I, O, E, K>) -> Self {
        let shared = Arc::new(shared);
        Self {
            owner: Arc::new(Owner { shared }),
        }
    }

    /// Submits an item and waits for its answer. While the queue is full it waits for room, first come,
    /// first served, unless [`when_full`](BatcherBuilder::when_full) says otherwise.
    ///
    /// # Errors
    ///
    /// [`BatchError::Full`] and [`BatchError::Closed`] when the item was not taken, any other variant when
    /// it was.
    ///
    /// # Cancel safety
    ///
    /// As [`Submit`] says.
    pub const fn submit(&self, item: I) -> Submit<'_, I, O, E, K> {
        Submit::new(self, item)
    }

    /// Submits an item and waits until it is taken, not until it is handled.
    ///
    /// # Errors
    ///
    /// [`BatchError::Full`] and [`BatchError::Closed`]: the item was not taken.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, the item was not taken, unless that happened since the last poll. Where it
    /// must be known, use [`submit`](Self::submit) and [`Submit::withdraw`].
    pub async fn enqueue(&self, item: I) -> Result<Ticket<O, E>, BatchError<E>> {
        let mut submit = pin!(self.submit(item));
        poll_fn(|context| submit.poll_taken(context)).await
    }

    /// Submits an item if there is room at once.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use perf_bulk::Batcher;
    /// use std::convert::Infallible;
    ///
    /// let echo = |items: Vec<u32>| async move { Ok::<_, Infallible>(items) };
    /// let batcher = Batcher::builder(echo).capacity(1).build()?;
    /// let ticket = batcher.try_submit(1)?;
    /// assert_eq!(batcher.try_submit(2).unwrap_err().item, 2);
    /// assert_eq!(ticket.await?, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Refused`] with the item, when the queue is full or the batcher closed.
    pub fn try_submit(&self, item: I) -> Result<Ticket<O, E>, Refused<I>> {
        match self.shared().submit(item, false) {
            Entered::Taken(answer) | Entered::InLine(_, answer) => Ok(Ticket::new(answer)),
            Entered::Refused(item, reason) => Err(Refused::new(item, reason)),
        }
    }

    /// Refuses items from now on. What was taken is handled without further lingering.
    pub fn close(&self) {
        self.shared().close();
    }

    /// Closes, and waits until everything that was taken has its answer.
    ///
    /// # Cancel safety
    ///
    /// Dropped midway, the batcher stays closed and goes on without anyone waiting.
    pub async fn drain(&self) {
        self.close();
        loop {
            let mut idle = pin!(self.shared().idle.notified());
            idle.as_mut().enable();
            if self.shared().queue.lock().is_idle() {
                return;
            }
            idle.await;
        }
    }

    /// Whether it refuses items.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared().queue.lock().is_closed()
    }

    /// Shows the batcher in `registry` for as long as a handle or a batch of it lives.
    pub fn register(&self, registry: &Registry) {
        registry.register(self.shared());
    }

    pub(super) fn shared(&self) -> &Arc<Shared<I, O, E, K>> {
        &self.owner.shared
    }

    pub(super) fn waits_when_full(&self) -> bool {
        self.shared().when_full == WhenFull::Wait
    }
}

impl<I, O, E, K> Clone for Batcher<I, O, E, K>
where
    I: Send + Sync + 'static,
    O: Send + 'static,
    E: Error + Send + Sync + 'static,
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    fn clone(&self) -> Self {
        Self {
            owner: Arc::clone(&self.owner),
        }
    }
}

impl<I, O, E, K> fmt::Debug for Batcher<I, O, E, K>
where
    I: Send + Sync + 'static,
    O: Send + 'static,
    E: Error + Send + Sync + 'static,
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher")
            .field("name", &self.shared().name)
            .finish_non_exhaustive()
    }
}

impl<I, O, E, K> Inspect for Batcher<I, O, E, K>
where
    I: Send + Sync + 'static,
    O: Send + 'static,
    E: Error + Send + Sync + 'static,
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    fn name(&self) -> Cow<'_, str> {
        self.shared().name()
    }

    fn kind(&self) -> &'static str {
        self.shared().kind()
    }

    fn health(&self) -> Health {
        self.shared().health()
    }

    fn samples(&self, samples: &mut Vec<Sample>) {
        self.shared().samples(samples);
    }
}

impl<I, O, E, K> Drop for Owner<I, O, E, K>
where
    I: Send + Sync + 'static,
    O: Send + 'static,
    E: Error + Send + Sync + 'static,
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    fn drop(&mut self) {
        self.shared.close();
    }
}
