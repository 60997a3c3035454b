//! One batch from the queue to its last answer.

use super::queue::Item;
use super::shared::{Burial, Entry, Shared};
use super::{Handled, answer};
use crate::error::BatchError;
use crate::sink::{DeadLetter, describe};
use crate::wall::to_micros;
use futures_util::FutureExt;
use perf_core::backoff::Delays;
use std::error::Error;
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

type Outcome<O, E> = Result<O, BatchError<E>>;

/// Items in the handler's hands. Dropped, with the runtime or by a panic, it tells their callers so.
pub(super) struct Flight<'s, I, O, E: Error + 'static, K> {
    shared: &'s Shared<I, O, E, K>,
    items: Vec<I>,
    answers: Vec<answer::Shared<O, E>>,
    /// Items whose callers hear of it once the letters are kept.
    failed: Vec<Failed<I, O, E>>,
    attempts: u32,
}

/// An item that failed for good.
struct Failed<I, O, E: Error + 'static> {
    item: I,
    answer: answer::Shared<O, E>,
    error: BatchError<E>,
}

impl<'s, I, O, E, K> Flight<'s, I, O, E, K>
where
    I: Send + Sync + 'static,
    O: Send + 'static,
    E: Error + Send + Sync + 'static,
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    pub(super) fn new(shared: &'s Shared<I, O, E, K>, batch: Vec<Item<Entry<I, O, E>>>) -> Self {
        if let Some(first) = batch.first() {
            shared.figures.waited(first.since, shared.clock.now());
        }
        let entries = batch.into_iter().map(|item| item.item);
        let (items, answers) = entries.map(|entry| (entry.item, entry.answer)).unzip();
        Self {
            shared,
            items,
            answers,
            failed: Vec::new(),
            attempts: 0,
        }
    }

    /// Calls the handler until every item has its answer.
    pub(super) async fn run(mut self) {
        let retry = self.shared.retry.as_ref();
        let mut delays = retry.map(|retry| retry.backoff.delays(fastrand::Rng::new()));
        while !self.items.is_empty() {
            let outcomes = self.call().await;
            let delay = self.settle(outcomes, delays.as_mut()).await;
            if let Some(delay) = delay {
                self.shared.clock.sleep(delay).await;
            }
        }
    }

    /// One call of the handler; what it came to for each item.
    async fn call(&mut self) -> Vec<Outcome<O, E>> {
        self.attempts += 1;
        let (shared, expected) = (self.shared, self.items.len());
        let start = shared.clock.now();
        let handled = AssertUnwindSafe(shared.handler.call(&self.items));
        let handled = handled.catch_unwind().await;
        shared.figures.called(expected, start, shared.clock.now());
        match handled {
            Ok(handled) => self.read(handled, expected),
            Err(_panic) => all(expected, BatchError::Panicked),
        }
    }

    fn read(&self, handled: Handled<O, E>, expected: usize) -> Vec<Outcome<O, E>> {
        let attempts = self.attempts;
        let failed = |error| BatchError::Failed {
            attempts,
            source: Arc::new(error),
        };
        match handled {
            Ok(answers) if answers.len() == expected => answers
                .into_iter()
                .map(|answer| answer.map_err(failed))
                .collect(),
            Ok(answers) => {
                let found = answers.len();
                all(expected, BatchError::Miscounted { expected, found })
            }
            Err(error) => all(expected, failed(error)),
        }
    }

    /// Answers what is final and keeps the rest; how long to wait before it is tried again.
    async fn settle(
        &mut self,
        outcomes: Vec<Outcome<O, E>>,
        delays: Option<&mut Delays<'static>>,
    ) -> Option<std::time::Duration> {
        // Asked while every caller would hear of a panic.
        let helps: Vec<_> = outcomes
            .iter()
            .map(|outcome| self.retry_helps(outcome))
            .collect();
        let delay = delays
            .filter(|_| helps.contains(&true))
            .and_then(Iterator::next);
        let items = std::mem::take(&mut self.items);
        let answers = std::mem::take(&mut self.answers);
        let entries = items.into_iter().zip(answers);
        for ((item, answer), (outcome, helps)) in entries.zip(outcomes.into_iter().zip(helps)) {
            if delay.is_some() && helps {
                self.items.push(item);
                self.answers.push(answer);
                continue;
            }
            match outcome {
                Ok(output) => {
                    self.shared.figures.succeeded.fetch_add(1, Relaxed);
                    answer.answer(Ok(output));
                }
                Err(error) => self.failed.push(Failed {
                    item,
                    answer,
                    error,
                }),
            }
        }
        let retried = self.items.len() as u64;
        self.shared.figures.retried.fetch_add(retried, Relaxed);
        self.give_up().await;
        delay
    }

    fn retry_helps(&self, outcome: &Outcome<O, E>) -> bool {
        match (outcome, &self.shared.retry) {
            (Err(BatchError::Failed { source, .. }), Some(retry)) => (retry.helps)(source),
            _ => false,
        }
    }

    /// Keeps items as dead letters, then tells their callers.
    async fn give_up(&mut self) {
        if self.failed.is_empty() {
            return;
        }
        let count = self.failed.len() as u64;
        self.shared.figures.failed.fetch_add(count, Relaxed);
        if let Some(burial) = &self.shared.burial {
            let (kept, lost) = self.bury(burial).await;
            self.shared.figures.buried.fetch_add(kept, Relaxed);
            self.shared.figures.lost_letters.fetch_add(lost, Relaxed);
        }
        self.tell_failed();
    }

    /// How many letters were kept, and how many could not be.
    async fn bury(&self, burial: &Burial<I>) -> (u64, u64) {
        let (name, attempts) = (&self.shared.name, self.attempts);
        let at = crate::wall::from_micros(to_micros(self.shared.clock.wall()));
        let letters: Result<Vec<_>, _> = self
            .failed
            .iter()
            .map(|failed| {
                let payload =
                    (burial.write)(&failed.item).map_err(crate::BulkError::dead_letters)?;
                DeadLetter::new(name, &payload, describe(&failed.error), attempts, at)
            })
            .collect();
        let count = self.failed.len() as u64;
        let kept = match letters {
            Ok(letters) => burial.sink.keep(&letters).await,
            Err(error) => Err(error),
        };
        match kept {
            Ok(()) => (count, 0),
            Err(error) => {
                tracing::error!(
                    batcher = %name,
                    count,
                    error = &error as &dyn Error,
                    "dead letters were lost"
                );
                (0, count)
            }
        }
    }
}

impl<I, O, E: Error + 'static, K> Flight<'_, I, O, E, K> {
    fn tell_failed(&mut self) {
        for failed in self.failed.drain(..) {
            failed.answer.answer(Err(failed.error));
        }
    }
}

impl<I, O, E: Error + 'static, K> Drop for Flight<'_, I, O, E, K> {
    fn drop(&mut self) {
        self.tell_failed();
        for answer in self.answers.drain(..) {
            answer.answer(Err(BatchError::Abandoned));
        }
    }
}

fn all<O, E: Error>(count: usize, error: BatchError<E>) -> Vec<Outcome<O, E>> {
    std::iter::repeat_with(|| Err(error.clone()))
        .take(count)
        .collect()
}
