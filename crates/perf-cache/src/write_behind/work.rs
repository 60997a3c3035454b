use super::builder::{Failure, Left, WriteBehindBuilder};
use super::pending::{Batch, Change, Pending};
use crate::bounds::{Key, Value};
use crate::journal::Position;
use crate::store::LocalStore;
use crate::{Cache, CacheError, Receipt};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

/// What the tasks and the handles of one write-behind share.
pub(super) struct Work<K, V, S> {
    pub(super) settings: WriteBehindBuilder<K, V, S>,
    pub(super) pending: Mutex<Pending<K, V>>,
    pub(super) room: Arc<Semaphore>,
    /// Who tells the cache of a key's change does so alone.
    tellers: [tokio::sync::Mutex<()>; TELLERS],
    hasher: ahash::RandomState,
    /// Told when a change came, a flush is wanted, or no more will come.
    pub(super) called: Notify,
    /// Whether changes are to be written without waiting for others.
    pub(super) is_hasty: AtomicBool,
    /// How many changes are pending.
    pub(super) left: watch::Sender<usize>,
    /// No more changes will come.
    is_closed: AtomicBool,
    pub(super) written: AtomicU64,
    pub(super) retries: AtomicU64,
    pub(super) buried: AtomicU64,
}

/// A change on its way in.
pub(super) struct Order<K, V> {
    pub(super) change: Change<K, V>,
    pub(super) room: OwnedSemaphorePermit,
    pub(super) taken: oneshot::Sender<Result<(), CacheError>>,
}

/// Orders that are written to the journal at a time.
const TAKEN_AT_ONCE: usize = 256;
const TELLERS: usize = 64;

impl<K: Key, V: Value, S: LocalStore<K, V>> Work<K, V, S> {
    pub(super) fn new(settings: WriteBehindBuilder<K, V, S>, left: Vec<Left<K, V>>) -> Self {
        let mut pending = Pending::new();
        for (position, change) in left {
            pending.add(change, Some(position), None);
        }
        Self {
            room: Arc::new(Semaphore::new(settings.max_pending.get())),
            tellers: std::array::from_fn(|_| tokio::sync::Mutex::default()),
            hasher: ahash::RandomState::new(),
            left: watch::Sender::new(pending.len()),
            pending: Mutex::new(pending),
            called: Notify::new(),
            is_hasty: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            written: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            buried: AtomicU64::new(0),
            settings,
        }
    }

    pub(super) const fn cache(&self) -> &Cache<K, V, S> {
        &self.settings.cache
    }

    /// Tells the cache what the last change of `key` is: of two that come together, the later may be told
    /// first, and the earlier must not replace it.
    pub(super) async fn tell(&self, key: K) -> Result<Receipt, CacheError> {
        let teller = usize::try_from(self.hasher.hash_one(&key) >> 32).unwrap_or(0);
        let _alone = self.tellers[teller % TELLERS].lock().await;
        let pending = self.pending.lock().of(&key);
        match pending {
            Some(Some(value)) => self.cache().insert(key, value).await,
            // What was deleted, or what the source has already: whoever needs it asks there.
            Some(None) | None => self.cache().shared.invalidate(&key, || key.clone()).await,
        }
    }

    /// Writes orders to the journal, in one step, and makes them pending.
    async fn take(&self, orders: &mut Vec<Order<K, V>>) {
        let (mut records, mut taken) = (Vec::new(), Vec::with_capacity(orders.len()));
        for order in orders.drain(..) {
            if let Some(book) = &self.settings.book {
                match (book.encode)(&order.change) {
                    Ok(record) => records.push(record),
                    Err(error) => {
                        let error = CacheError::Unencodable(Arc::new(error));
                        let _gone = order.taken.send(Err(error));
                        continue;
                    }
                }
            }
            taken.push(order);
        }
        let positions = match &self.settings.book {
            Some(book) => book.journal.append(&records).await,
            None => Ok(Vec::new()),
        };
        let positions = match positions {
            Ok(positions) => positions,
            Err(source) => {
                for order in taken {
                    let error = CacheError::Journal {
                        source: source.clone(),
                    };
                    let _gone = order.taken.send(Err(error));
                }
                return;
            }
        };
        let mut positions = positions.into_iter();
        for Order {
            change,
            room,
            taken,
        } in taken
        {
            self.pending
                .lock()
                .add(change, positions.next(), Some(room));
            let _gone = taken.send(Ok(()));
        }
        self.left.send_replace(self.pending.lock().len());
        self.called.notify_one();
    }

    /// Tries to write the batch until it is written or its attempts are used up.
    async fn write(&self, batch: &Batch<K, V>) -> Result<(), Failure> {
        let mut pauses = self.settings.backoff.delays(fastrand::Rng::new());
        loop {
            let failure = match (self.settings.write)(batch.changes.clone()).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            self.retries.fetch_add(1, Ordering::Relaxed);
            let Some(pause) = pauses.next() else {
                return Err(failure);
            };
            self.cache().shared.settings.time.sleep(pause).await;
        }
    }

    /// Writes each change alone, and gives up those that fail. `false` if one could not be given up.
    async fn write_each(&self, batch: &Batch<K, V>) -> bool {
        let Some(bury) = &self.settings.bury else {
            return false;
        };
        for change in &batch.changes {
            if let Err(failure) = (self.settings.write)(vec![change.clone()]).await {
                if bury(change.clone(), failure).await.is_err() {
                    return false;
                }
                self.buried.fetch_add(1, Ordering::Relaxed);
                // Readers must not go on believing in it. Where that fails, it expires.
                let key = || change.key.clone();
                drop(self.cache().shared.invalidate(&change.key, key).await);
            }
        }
        true
    }

    /// The source has the batch.
    async fn finish(&self, batch: Batch<K, V>) {
        let written = u64::try_from(batch.changes.len()).unwrap_or(u64::MAX);
        let forgotten = self.pending.lock().done(&batch);
        self.forget(&forgotten).await;
        self.written.fetch_add(written, Ordering::Relaxed);
        let left = self.pending.lock().len();
        if left == 0 {
            self.is_hasty.store(false, Ordering::Release);
        }
        self.left.send_replace(left);
    }

    async fn forget(&self, positions: &[Position]) {
        let Some(book) = self
            .settings
            .book
            .as_ref()
            .filter(|_| !positions.is_empty())
        else {
            return;
        };
        let mut pauses = self.settings.backoff.delays(fastrand::Rng::new());
        // What stays in the journal is written once more by the next process.
        while book.journal.forget(positions).await.is_err()
            && let Some(pause) = pauses.next()
        {
            self.cache().shared.settings.time.sleep(pause).await;
        }
    }

    /// Waits until there is a batch to write; `false` when there will be none.
    async fn is_due(&self) -> bool {
        let settings = &self.settings;
        loop {
            let pending = self.pending.lock().len();
            let is_closed = self.is_closed.load(Ordering::Acquire);
            let is_hasty = is_closed || self.is_hasty.load(Ordering::Acquire);
            if pending >= settings.batch.get() || (pending > 0 && is_hasty) {
                return true;
            }
            if pending == 0 && is_closed {
                return false;
            }
            if pending == 0 {
                self.called.notified().await;
                continue;
            }
            let mut lingering = settings.cache.shared.settings.time.sleep(settings.linger);
            loop {
                tokio::select! {
                    biased;
                    () = &mut lingering => return true,
                    () = self.called.notified() => {}
                }
                let is_full = self.pending.lock().len() >= settings.batch.get();
                if is_full
                    || self.is_hasty.load(Ordering::Acquire)
                    || self.is_closed.load(Ordering::Acquire)
                {
                    return true;
                }
            }
        }
    }
}

/// Takes changes in until nobody can bring any more.
pub(super) async fn take_in<K: Key, V: Value, S: LocalStore<K, V>>(
    work: Arc<Work<K, V, S>>,
    mut orders: mpsc::Receiver<Order<K, V>>,
) {
    let mut taken = Vec::with_capacity(TAKEN_AT_ONCE);
    while orders.recv_many(&mut taken, TAKEN_AT_ONCE).await > 0 {
        work.take(&mut taken).await;
    }
    work.is_closed.store(true, Ordering::Release);
    work.called.notify_one();
}

/// Writes what is pending until nothing is and nothing more will come.
pub(super) async fn flush<K: Key, V: Value, S: LocalStore<K, V>>(work: Arc<Work<K, V, S>>) {
    while work.is_due().await {
        let batch = work.pending.lock().batch(work.settings.batch.get());
        if work.write(&batch).await.is_ok() || work.write_each(&batch).await {
            work.finish(batch).await;
        }
    }
}
