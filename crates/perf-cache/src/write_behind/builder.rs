use super::handle::WriteBehind;
use super::pending::Change;
use super::work::{Work, flush, take_in};
use crate::bounds::{Key, Value};
use crate::journal::{Journal, Position};
use crate::store::LocalStore;
use crate::{Cache, CacheError};
use perf_core::{Backoff, Codec, CodecError, MessagePack};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::error::Error;
use std::fmt;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// What a writer or a place for dead letters may fail with.
pub(super) type Failure = Box<dyn Error + Send + Sync>;
type Encoded = Result<Vec<u8>, CodecError>;
type Done = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;
pub(super) type Write<K, V> = Box<dyn Fn(Vec<Change<K, V>>) -> Done + Send + Sync>;
pub(super) type Bury<K, V> = Box<dyn Fn(Change<K, V>, Failure) -> Done + Send + Sync>;

/// A journal, and how changes are written in it.
pub(super) struct Book<K, V> {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) encode: fn(&Change<K, V>) -> Encoded,
    decode: fn(&[u8]) -> Option<Change<K, V>>,
}

/// Builds a [`WriteBehind`].
///
/// | setting | default |
/// |---|---|
/// | pending changes | 10,000 |
/// | changes in a batch | 500 |
/// | a change waits for others | 100 ms |
/// | attempts of a batch | 10, 100 ms to 30 s apart |
/// | journal, dead letters | none |
#[must_use]
pub struct WriteBehindBuilder<K, V, S> {
    pub(super) cache: Cache<K, V, S>,
    pub(super) write: Write<K, V>,
    pub(super) bury: Option<Bury<K, V>>,
    pub(super) book: Option<Book<K, V>>,
    pub(super) max_pending: NonZeroUsize,
    pub(super) batch: NonZeroUsize,
    pub(super) linger: Duration,
    pub(super) backoff: Backoff,
}

const MAX_PENDING: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");
const BATCH: NonZeroUsize = NonZeroUsize::new(500).expect("not zero");
const FIRST_RETRY: Duration = Duration::from_millis(100);
const ATTEMPTS: u32 = 10;
/// Records that are read from a journal at a time.
const READ_AT_ONCE: usize = 1_000;

impl<K: Key, V: Value, S: LocalStore<K, V>> WriteBehindBuilder<K, V, S> {
    pub(super) fn new(cache: Cache<K, V, S>, write: Write<K, V>) -> Self {
        Self {
            cache,
            write,
            bury: None,
            book: None,
            max_pending: MAX_PENDING,
            batch: BATCH,
            linger: Duration::from_millis(100),
            backoff: Backoff::exponential(FIRST_RETRY).with_max_attempts(ATTEMPTS),
        }
    }

    /// How many changes may be pending. Who brings one more waits.
    pub const fn max_pending(mut self, changes: NonZeroUsize) -> Self {
        self.max_pending = changes;
        self
    }

    /// How many changes are written at a time.
    pub const fn batch(mut self, changes: NonZeroUsize) -> Self {
        self.batch = changes;
        self
    }

    /// How long a change waits for others, unless a batch is full.
    pub const fn linger(mut self, pause: Duration) -> Self {
        self.linger = pause;
        self
    }

    /// How often a batch is tried, and the waits between.
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Takes the changes that cannot be written, one by one, with why. Those that it fails to take are
    /// written again.
    pub fn dead_letters<F, Fut, E>(mut self, bury: F) -> Self
    where
        F: Fn(Change<K, V>, Box<dyn Error + Send + Sync>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.bury = Some(Box::new(move |change, failure| {
            let buried = bury(change, failure);
            Box::pin(async move { buried.await.map_err(Into::into) })
        }));
        self
    }

    /// Keeps what is acknowledged in `journal` until it is written, so that it outlives the process.
    ///
    /// A journal belongs to one process at a time: the one that builds this first writes what the last one
    /// left.
    pub fn journal(mut self, journal: impl Journal) -> Self
    where
        K: Serialize + DeserializeOwned,
        V: Serialize + DeserializeOwned,
    {
        self.book = Some(Book {
            journal: Arc::new(journal),
            encode: |change| MessagePack.encode(&(&change.key, &change.value)),
            decode: |bytes| {
                let (key, value) = MessagePack.decode(bytes).ok()?;
                Some(Change::new(key, value))
            },
        });
        self
    }

    /// Reads the journal and starts the tasks.
    ///
    /// # Errors
    ///
    /// [`CacheError::NoRuntime`] outside a tokio runtime if the cache was given none;
    /// [`CacheError::Journal`] when the journal cannot be read, or holds what is not a change of this cache.
    ///
    /// # Cancel safety
    ///
    /// Nothing has happened.
    pub async fn build(mut self) -> Result<WriteBehind<K, V, S>, CacheError> {
        let runtime = self.cache.shared.runtime()?;
        let left = match &mut self.book {
            Some(book) => book.left().await?,
            None => Vec::new(),
        };
        let (sender, receiver) = tokio::sync::mpsc::channel(self.max_pending.get());
        let work = Arc::new(Work::new(self, left));
        runtime.spawn(take_in(Arc::clone(&work), receiver));
        runtime.spawn(flush(Arc::clone(&work)));
        Ok(WriteBehind::new(work, sender))
    }
}

/// A change and where it stands in the journal.
pub(super) type Left<K, V> = (Position, Change<K, V>);

impl<K, V> Book<K, V> {
    /// What the last process left.
    async fn left(&self) -> Result<Vec<Left<K, V>>, CacheError> {
        let (mut left, mut after) = (Vec::new(), Position::default());
        loop {
            let records = self.journal.read(after, READ_AT_ONCE).await;
            let records = records.map_err(|source| CacheError::Journal { source })?;
            let Some((last, _)) = records.last() else {
                return Ok(left);
            };
            after = *last;
            for (position, record) in records {
                let change = (self.decode)(&record).ok_or(CacheError::StrangeRecord)?;
                left.push((position, change));
            }
        }
    }
}

impl<K, V, S> fmt::Debug for WriteBehindBuilder<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteBehindBuilder")
            .field("max_pending", &self.max_pending)
            .field("batch", &self.batch)
            .finish_non_exhaustive()
    }
}
