//! What all handles of a batcher and its workers share.

use super::answer::{self, Answer};
use super::builder::WhenFull;
use super::figures::Figures;
use super::queue::{Item, Queue, Urge};
use super::{BatchHandler, Handled, worker};
use crate::error::BatchError;
use crate::sink::DeadLetterSink;
use futures_core::future::BoxFuture;
use parking_lot::Mutex;
use perf_core::{Backoff, Clock, Health, Inspect, Sample};
use std::borrow::Cow;
use std::error::Error;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::sync::{Notify, Semaphore};

pub(super) struct Shared<I, O, E: Error + 'static, K> {
    pub(super) name: String,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) handler: Box<dyn ErasedHandler<I, O, E>>,
    pub(super) retry: Option<Retry<E>>,
    pub(super) burial: Option<Burial<I>>,
    pub(super) key: Box<dyn Fn(&I) -> K + Send + Sync>,
    pub(super) weigh: Box<dyn Fn(&I) -> usize + Send + Sync>,
    pub(super) when_full: WhenFull,
    /// One permit for each batch that may be in flight, whatever its key.
    pub(super) flights: Semaphore,
    pub(super) queue: Mutex<Queue<K, Entry<I, O, E>>>,
    /// Tells those who gather to look again whether their batch is due.
    pub(super) told: Notify,
    /// Tells those who drain that nothing is left.
    pub(super) idle: Notify,
    pub(super) figures: Figures,
}

/// Which errors are tried again, and when.
pub(super) struct Retry<E> {
    pub(super) backoff: Backoff,
    pub(super) helps: Box<dyn Fn(&E) -> bool + Send + Sync>,
}

/// Where items go that failed for good.
pub(super) struct Burial<I> {
    pub(super) sink: Arc<dyn DeadLetterSink>,
    pub(super) write: Box<ToJson<I>>,
}

type ToJson<I> = dyn Fn(&I) -> serde_json::Result<serde_json::Value> + Send + Sync;

/// An item and where its answer goes.
pub(super) struct Entry<I, O, E: Error + 'static> {
    pub(super) item: I,
    pub(super) answer: answer::Shared<O, E>,
}

/// What became of an item that was submitted.
pub(super) enum Entered<I, O, E: Error + 'static> {
    Taken(answer::Shared<O, E>),
    InLine(u64, answer::Shared<O, E>),
    Refused(I, Refusal),
}

/// Why an item was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The queue is full.
    Full,
    /// The batcher is closed.
    Closed,
}

/// A handler whose type is forgotten.
pub(super) trait ErasedHandler<I, O, E>: Send + Sync {
    fn call<'a>(&'a self, items: &'a [I]) -> BoxFuture<'a, Handled<O, E>>;
}

impl<I, H> ErasedHandler<I, H::Output, H::Error> for H
where
    I: Send + Sync,
    H: BatchHandler<I>,
{
    fn call<'a>(&'a self, items: &'a [I]) -> BoxFuture<'a, Handled<H::Output, H::Error>> {
        // Called inside the future, so that a handler's panic is met where it is polled.
        Box::pin(async move { self.handle(items).await })
    }
}

impl<I, O, E, K> Shared<I, O, E, K>
where
    I: Send + Sync + 'static,
    O: Send + 'static,
    E: Error + Send + Sync + 'static,
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    /// Lets an item enter the queue, or the line for it if it `may_wait`.
    pub(super) fn submit(self: &Arc<Self>, item: I, may_wait: bool) -> Entered<I, O, E> {
        let key = (self.key)(&item);
        let (bytes, since) = ((self.weigh)(&item), self.clock.now());
        let entry = |item, taken| {
            let answer = Answer::new(taken);
            let shared = Arc::clone(&answer);
            let item = Entry { item, answer };
            (Item { item, bytes, since }, shared)
        };
        let mut queue = self.queue.lock();
        if queue.is_closed() {
            return self.refuse(item, Refusal::Closed);
        }
        if !queue.has_room() {
            if !may_wait {
                return self.refuse(item, Refusal::Full);
            }
            let (item, answer) = entry(item, false);
            return Entered::InLine(queue.line_up(key, item), answer);
        }
        let (item, answer) = entry(item, true);
        let urge = queue.push(key.clone(), item);
        drop(queue);
        self.follow(urge, key);
        Entered::Taken(answer)
    }

    fn refuse(&self, item: I, refusal: Refusal) -> Entered<I, O, E> {
        self.figures.refused.fetch_add(1, Relaxed);
        Entered::Refused(item, refusal)
    }

    /// Takes the batch that a worker has gathered, and lets those in line follow into the queue.
    pub(super) fn take(self: &Arc<Self>, key: &K) -> Vec<Item<Entry<I, O, E>>> {
        let mut urges = Vec::new();
        let mut admitted = Vec::new();
        let batch = {
            let mut queue = self.queue.lock();
            let (batch, urge) = queue.take(key);
            urges.push((urge, key.clone()));
            while let Some((key, item)) = queue.admit() {
                admitted.push(Arc::clone(&item.item.answer));
                urges.push((queue.push(key.clone(), item), key));
            }
            batch
        };
        for answer in admitted {
            answer.take();
        }
        for (urge, key) in urges {
            self.follow(urge, key);
        }
        batch
    }

    /// Refuses new items, and lets what waits leave.
    pub(super) fn close(&self) {
        let in_line: Vec<_> = {
            let mut queue = self.queue.lock();
            queue
                .close()
                .map(|entry| Arc::clone(&entry.answer))
                .collect()
        };
        for answer in in_line {
            answer.wake();
        }
        self.told.notify_waiters();
    }

    /// Answers everything that waits for a worker which will not come: the runtime is gone.
    pub(super) fn desert(&self, key: &K, gathering: bool) {
        let deserted: Vec<_> = {
            let mut queue = self.queue.lock();
            let mut deserted = queue.desert(key, gathering);
            while let Some((_, item)) = queue.admit() {
                deserted.push(item.item);
            }
            deserted
        };
        for entry in deserted {
            entry.answer.answer(Err(BatchError::Abandoned));
        }
        self.idle.notify_waiters();
    }

    fn follow(self: &Arc<Self>, urge: Urge, key: K) {
        match urge {
            Urge::Start => worker::start(self, key),
            Urge::Tell => self.told.notify_waiters(),
            Urge::Rest => {}
        }
    }
}

impl<I, O, E, K> Inspect for Shared<I, O, E, K>
where
    I: Send + Sync + 'static,
    O: Send + 'static,
    E: Error + Send + Sync + 'static,
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    fn name(&self) -> Cow<'_, str> {
        self.name.as_str().into()
    }

    fn kind(&self) -> &'static str {
        "batcher"
    }

    fn health(&self) -> Health {
        let queue = self.queue.lock();
        if queue.queued() >= queue.capacity() {
            return Health::Degraded("the queue is full".into());
        }
        Health::Healthy
    }

    fn samples(&self, samples: &mut Vec<Sample>) {
        self.figures.samples(self.clock.now(), samples);
        let queue = self.queue.lock();
        samples.extend([
            Sample::gauge("queued_items", queue.queued() as f64),
            Sample::gauge("waiting_for_room", queue.in_line() as f64),
        ]);
    }
}
