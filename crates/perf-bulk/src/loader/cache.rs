//! The loads of one request, remembered for its duration.

use super::batch_loader::BatchLoader;
use super::entry::{self, Entry};
use super::load::Load;
use super::queue::Lead;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::hash::Hash;

/// A [`BatchLoader`] that asks for no key twice; made by [`BatchLoader::request_cache`].
///
/// Its loads share the loader's batches with those of all other requests, its memory is its own: make one
/// for each request, and data that is written later is not hidden from the next. Failed loads are not
/// remembered.
pub struct RequestCache<K, V, E: Error + 'static> {
    loader: BatchLoader<K, V, E>,
    entries: Entries<K, V, E>,
}

pub(super) struct Entries<K, V, E: Error + 'static>(Mutex<HashMap<K, entry::Shared<V, E>>>);

impl<K, V, E> RequestCache<K, V, E>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    pub(super) fn new(loader: BatchLoader<K, V, E>) -> Self {
        Self {
            loader,
            entries: Entries(Mutex::new(HashMap::new())),
        }
    }

    /// Loads the value of `key`, or repeats what an earlier load of it found; `None` if there is none.
    ///
    /// # Errors
    ///
    /// As [`BatchLoader::load`].
    ///
    /// # Cancel safety
    ///
    /// As [`BatchLoader::load`].
    pub const fn load(&self, key: K) -> Load<'_, K, V, E> {
        Load::new(&self.loader, Some(&self.entries), key)
    }

    /// Remembers a value that is known already, in place of what may be remembered.
    pub fn prime(&self, key: K, value: V) {
        self.entries.0.lock().insert(key, Entry::answered(value));
    }

    /// Forgets what is remembered of `key`, after writing to it.
    pub fn forget(&self, key: &K) {
        self.entries.0.lock().remove(key);
    }
}

impl<K, V, E> Entries<K, V, E>
where
    K: Clone + Eq + Hash,
    V: Clone,
    E: Error,
{
    /// The entry remembered for `key`, or the one that `join` makes.
    pub(super) fn entry(
        &self,
        key: K,
        join: impl FnOnce(K) -> (entry::Shared<V, E>, Option<Lead>),
    ) -> (entry::Shared<V, E>, Option<Lead>) {
        let mut entries = self.0.lock();
        if let Some(entry) = entries.get(&key).filter(|entry| !entry.has_failed()) {
            return (entry.clone(), None);
        }
        let (entry, leads) = join(key.clone());
        entries.insert(key, entry.clone());
        (entry, leads)
    }
}

impl<K, V, E: Error> fmt::Debug for RequestCache<K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestCache")
            .field("keys", &self.entries.0.lock().len())
            .finish_non_exhaustive()
    }
}
