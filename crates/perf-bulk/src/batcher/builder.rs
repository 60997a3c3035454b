use super::BatchHandler;
use super::figures::Figures;
use super::handle::Batcher;
use super::queue::{Limits, Queue};
use super::shared::{Burial, Retry, Shared};
use crate::error::BulkError;
use crate::sink::DeadLetterSink;
use parking_lot::Mutex;
use perf_core::{Backoff, Clock, SystemClock};
use serde::Serialize;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};

/// What a submit does when the queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// It waits for room: back-pressure.
    #[default]
    Wait,
    /// It fails with [`BatchError::Full`](crate::BatchError::Full): load is shed.
    Refuse,
}

/// Sets up a [`Batcher`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_bulk::{Batcher, MemoryDeadLetters, WhenFull};
/// use perf_core::Backoff;
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// let send = |mails: Vec<String>| async move { Ok::<_, std::io::Error>(vec![(); mails.len()]) };
/// let batcher = Batcher::builder(send)
///     .name("mail")
///     .max_items(100)
///     .max_bytes(256 << 10, |mail: &String| mail.len())
///     .linger(Duration::from_millis(5))
///     .key_by(|mail: &String| mail.split('@').next_back().map(str::to_owned))
///     .when_full(WhenFull::Refuse)
///     .retry(Backoff::exponential(Duration::from_millis(50)).with_max_attempts(4), |_| true)
///     .dead_letters(Arc::new(MemoryDeadLetters::new()))
///     .build()?;
/// batcher.submit("to@example.org".to_owned()).await?;
/// batcher.drain().await;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct BatcherBuilder<I, H, K = ()>
where
    H: BatchHandler<I>,
{
    handler: H,
    name: String,
    clock: Arc<dyn Clock>,
    limits: Limits,
    capacity: Option<usize>,
    in_flight: usize,
    when_full: WhenFull,
    key: Box<dyn Fn(&I) -> K + Send + Sync>,
    weigh: Box<dyn Fn(&I) -> usize + Send + Sync>,
    retry: Option<Retry<H::Error>>,
    burial: Option<Burial<I>>,
}

impl<I, H: BatchHandler<I>> BatcherBuilder<I, H> {
    pub(super) fn new(handler: H) -> Self {
        Self {
            handler,
            name: "batcher".to_owned(),
            clock: Arc::new(SystemClock),
            limits: Limits {
                items: 1_000,
                bytes: usize::MAX,
                linger: Some(Duration::ZERO),
                per_key: 1,
                capacity: 0,
            },
            capacity: None,
            in_flight: 16,
            when_full: WhenFull::Wait,
            key: Box::new(|_| ()),
            weigh: Box::new(|_| 0),
            retry: None,
            burial: None,
        }
    }
}

impl<I, H, K> BatcherBuilder<I, H, K>
where
    I: Send + Sync + 'static,
    H: BatchHandler<I>,
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    /// The name under which it shows its figures, and the source of its dead letters; default `batcher`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The clock that lingering and retries go by; default [`SystemClock`].
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The most items of a batch; default 1,000.
    pub const fn max_items(mut self, items: usize) -> Self {
        self.limits.items = items;
        self
    }

    /// The most bytes of a batch, as `weigh` counts them; default unlimited. An item that alone has more
    /// is a batch of its own.
    pub fn max_bytes(
        mut self,
        bytes: usize,
        weigh: impl Fn(&I) -> usize + Send + Sync + 'static,
    ) -> Self {
        self.limits.bytes = bytes;
        self.weigh = Box::new(weigh);
        self
    }

    /// How long a batch that is not full waits for more items, counted from its first; default zero, which
    /// batches while busy.
    pub const fn linger(mut self, duration: Duration) -> Self {
        self.limits.linger = Some(duration);
        self
    }

    /// A batch leaves only when it is full, or when the batcher is closed.
    pub const fn full_batches_only(mut self) -> Self {
        self.limits.linger = None;
        self
    }

    /// Batches items of one key only; default one key for all.
    pub fn key_by<L>(self, key: impl Fn(&I) -> L + Send + Sync + 'static) -> BatcherBuilder<I, H, L>
    where
        L: Clone + Eq + Hash + Send + Sync + 'static,
    {
        BatcherBuilder {
            handler: self.handler,
            name: self.name,
            clock: self.clock,
            limits: self.limits,
            capacity: self.capacity,
            in_flight: self.in_flight,
            when_full: self.when_full,
            key: Box::new(key),
            weigh: self.weigh,
            retry: self.retry,
            burial: self.burial,
        }
    }

    /// How many batches of one key may be in flight; default 1, which keeps its items in order.
    pub const fn in_flight_per_key(mut self, batches: usize) -> Self {
        self.limits.per_key = batches;
        self
    }

    /// How many batches may be in flight in all; default 16.
    pub const fn in_flight(mut self, batches: usize) -> Self {
        self.in_flight = batches;
        self
    }

    /// How many items may wait in the queue, those in flight not counted; default twice the most items of
    /// a batch.
    pub const fn capacity(mut self, items: usize) -> Self {
        self.capacity = Some(items);
        self
    }

    /// What a submit does when the queue is full; default [`WhenFull::Wait`].
    pub const fn when_full(mut self, policy: WhenFull) -> Self {
        self.when_full = policy;
        self
    }

    /// Tries items again whose error `helps` approves of; default never. A panic and a wrong number of
    /// answers are not tried again.
    pub fn retry(
        mut self,
        backoff: Backoff,
        helps: impl Fn(&H::Error) -> bool + Send + Sync + 'static,
    ) -> Self {
        let helps = Box::new(helps);
        self.retry = Some(Retry { backoff, helps });
        self
    }

    /// Keeps items that failed for good, before their callers hear of it.
    pub fn dead_letters(mut self, sink: Arc<dyn DeadLetterSink>) -> Self
    where
        I: Serialize,
    {
        let write = Box::new(|item: &I| serde_json::to_value(item));
        self.burial = Some(Burial { sink, write });
        self
    }

    /// The batcher.
    ///
    /// # Errors
    ///
    /// [`BulkError::Config`] for a maximum or capacity of zero.
    pub fn build(self) -> Result<Batcher<I, H::Output, H::Error, K>, BulkError> {
        let limits = &self.limits;
        if limits.items == 0 || limits.bytes == 0 {
            return Err(BulkError::Config("a batch needs room for an item"));
        }
        if limits.per_key == 0 || self.in_flight == 0 {
            return Err(BulkError::Config(
                "at least one batch must be let in flight",
            ));
        }
        if self.in_flight > Semaphore::MAX_PERMITS {
            return Err(BulkError::Config("too many batches in flight"));
        }
        if self.capacity == Some(0) {
            return Err(BulkError::Config("a queue needs room for an item"));
        }
        Ok(Batcher::from_shared(self.into_shared()))
    }

    pub(super) fn into_shared(self) -> Shared<I, H::Output, H::Error, K> {
        let mut limits = self.limits;
        let twice = limits.items.saturating_mul(2);
        limits.capacity = self.capacity.unwrap_or(twice);
        Shared {
            name: self.name,
            clock: self.clock,
            handler: Box::new(self.handler),
            retry: self.retry,
            burial: self.burial,
            key: self.key,
            weigh: self.weigh,
            when_full: self.when_full,
            flights: Semaphore::new(self.in_flight),
            queue: Mutex::new(Queue::new(limits)),
            told: Notify::new(),
            idle: Notify::new(),
            figures: Figures::default(),
        }
    }
}

impl<I, H: BatchHandler<I>, K> fmt::Debug for BatcherBuilder<I, H, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatcherBuilder")
            .field("name", &self.name)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
