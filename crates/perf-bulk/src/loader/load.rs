//! One load, as its caller waits for it.

use super::batch_loader::BatchLoader;
use super::cache::Entries;
use super::entry::{self, Answer};
use super::queue::Lead;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

/// The future of [`BatchLoader::load`] and [`RequestCache::load`](super::RequestCache::load). It does nothing until polled.
#[must_use = "futures do nothing unless polled"]
pub struct Load<'l, K, V, E>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    loader: &'l BatchLoader<K, V, E>,
    cache: Option<&'l Entries<K, V, E>>,
    stage: Stage<K, V, E>,
}

enum Stage<K, V, E: Error + 'static> {
    Unpolled(K),
    Waiting(Waiting<V, E>),
    Done,
}

struct Waiting<V, E: Error + 'static> {
    entry: entry::Shared<V, E>,
    /// The caller's place among those who wait for the entry.
    place: Option<usize>,
    /// Set until the release, while this load leads.
    leads: Option<Lead>,
}

impl<'l, K, V, E> Load<'l, K, V, E>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    pub(super) const fn new(
        loader: &'l BatchLoader<K, V, E>,
        cache: Option<&'l Entries<K, V, E>>,
        key: K,
    ) -> Self {
        Self {
            loader,
            cache,
            stage: Stage::Unpolled(key),
        }
    }

    fn join(&self, key: K) -> Waiting<V, E> {
        let join = |key| self.loader.shared.join(key);
        let (entry, leads) = match self.cache {
            Some(cache) => cache.entry(key, join),
            None => join(key),
        };
        Waiting {
            entry,
            place: None,
            leads,
        }
    }
}

// No field is ever pinned.
impl<K, V, E> Unpin for Load<'_, K, V, E>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
    E: Error + Send + Sync + 'static,
{
}

impl<K, V, E> Future for Load<'_, K, V, E>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    type Output = Answer<V, E>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut waiting = match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Unpolled(key) => {
                let waiting = self.join(key);
                if waiting.leads.is_some() {
                    wake_last(context);
                }
                waiting
            }
            Stage::Waiting(mut waiting) => {
                if let Some(lead) = waiting.leads.take() {
                    waiting.leads = self.loader.shared.lead(lead);
                    if waiting.leads.is_some() {
                        wake_last(context);
                    }
                }
                waiting
            }
            Stage::Done => return Poll::Pending,
        };
        let answer = waiting.entry.poll(context, &mut waiting.place);
        if answer.is_pending() {
            self.stage = Stage::Waiting(waiting);
        }
        answer
    }
}

impl<K, V, E> Drop for Load<'_, K, V, E>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    fn drop(&mut self) {
        if let Stage::Waiting(waiting) = std::mem::replace(&mut self.stage, Stage::Done) {
            let Waiting { entry, leads, .. } = waiting;
            // First the entry: a batch is made of those that somebody still holds.
            drop(entry);
            if let Some(lead) = leads {
                self.loader.shared.release(lead);
            }
        }
    }
}

impl<K, V, E> fmt::Debug for Load<'_, K, V, E>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.stage {
            Stage::Unpolled(_) => "Load(unpolled)",
            Stage::Waiting(_) => "Load(waiting)",
            Stage::Done => "Load(done)",
        })
    }
}

/// Has the task polled again once the others that are ready have been. tokio does that for those who yield; woken
/// by itself, a task would be polled again before those who have yet to reach this thread.
fn wake_last(context: &mut Context<'_>) {
    let yielding = pin!(tokio::task::yield_now());
    let _woken_later = yielding.poll(context);
}
