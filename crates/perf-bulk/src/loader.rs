//! Many single look-ups, one query.
//!
//! Code that resolves one thing at a time reads well and asks the database N + 1 times. A
//! [`BatchLoader`] lets it stay as it is: loads that are waiting at the same time become one call.
//!
//! The difficulty is to know when everybody is waiting. A fixed delay, as most loaders have, is paid by
//! every call, also by the one that is alone. Here the first load to enter the queue **leads** it: it yields, and
//! when it has its turn again, every sibling in its task has been polled too and stands in the queue, and so do the
//! loads of tasks that were ready before. If loads have arrived since its last turn, more may be on their
//! way, and it yields once more, for a millisecond at most; if none have, it releases what waits. A lone load waits for
//! one turn of the scheduler and no timer.
//!
//! - Released, full batches leave at once; what remains leaves when no batch is in flight. While one is,
//!   waiting is free and the next batch grows.
//! - A key joins those that wait and never a batch that has left, whose answer may be older than a write
//!   that the caller made.
//! - Batches run in tasks of their own, so no caller's cancellation hurts another. A leader that is
//!   dropped releases as it goes.
//! - A leader that is never polled again, in a `select!` that chose another branch but was kept, would
//!   hold up the rest. A watchdog releases a queue that has stopped growing for 1 ms; it runs only while
//!   the loader is in use.
//!
//! From one task, n distinct keys cost ⌈n ÷ maximum⌉ calls. From many tasks on several threads the number
//! of calls depends on how long they take to get there.

mod batch_loader;
mod cache;
mod entry;
mod load;
mod queue;
mod shared;

use std::collections::HashMap;
use std::error::Error;
use std::future::Future;
use std::hash::Hash;

pub use batch_loader::{BatchLoader, BatchLoaderBuilder};
pub use cache::RequestCache;
pub use load::Load;

/// Answers many keys at once.
///
/// Closures from `Vec<K>` to a future of `Result<HashMap<K, V>, E>` are loaders. Implement the trait to
/// fail single keys.
pub trait Loader<K>: Send + Sync + 'static {
    /// What a key stands for. It is cloned for each caller who waits for the same key.
    type Value: Clone + Send + 'static;
    /// Why a key, or the whole call, has no answer.
    type Error: Error + Send + Sync + 'static;

    /// Answers `keys`, which are distinct and at least one. A key that the answer leaves out does not exist.
    fn load(&self, keys: Vec<K>) -> impl Future<Output = LoadResult<K, Self>> + Send;
}

/// What [`Loader::load`] returns.
pub(crate) type LoadResult<K, L> =
    Result<Loaded<K, <L as Loader<K>>::Value, <L as Loader<K>>::Error>, <L as Loader<K>>::Error>;

/// The answer to a batch of keys: values, and errors of single keys.
///
/// ```
/// use perf_bulk::Loaded;
/// use std::collections::HashMap;
///
/// let planes = HashMap::from([("N10156", 55), ("N102UW", 182)]);
/// let loaded = Loaded::from(planes).with_failure("N999", "withdrawn");
/// # drop::<Loaded<_, _, _>>(loaded);
/// ```
#[derive(Debug)]
pub struct Loaded<K, V, E> {
    found: HashMap<K, V>,
    failed: HashMap<K, E>,
}

impl<K: Eq + Hash, V, E> Loaded<K, V, E> {
    /// Adds the error of one key, in place of a value that it may have.
    #[must_use]
    pub fn with_failure(mut self, key: K, error: E) -> Self {
        self.failed.insert(key, error);
        self
    }

    pub(crate) fn take(&mut self, key: &K) -> Result<Option<V>, E> {
        match self.failed.remove(key) {
            Some(error) => Err(error),
            None => Ok(self.found.remove(key)),
        }
    }
}

impl<K, V, E> From<HashMap<K, V>> for Loaded<K, V, E> {
    fn from(found: HashMap<K, V>) -> Self {
        Self {
            found,
            failed: HashMap::new(),
        }
    }
}

impl<K, V, E, F, A> Loader<K> for F
where
    K: Eq + Hash + Send,
    V: Clone + Send + 'static,
    E: Error + Send + Sync + 'static,
    F: Fn(Vec<K>) -> A + Send + Sync + 'static,
    A: Future<Output = Result<HashMap<K, V>, E>> + Send,
{
    type Value = V;
    type Error = E;

    fn load(&self, keys: Vec<K>) -> impl Future<Output = LoadResult<K, Self>> + Send {
        let answer = self(keys);
        async { answer.await.map(Loaded::from) }
    }
}
