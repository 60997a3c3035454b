use parking_lot::Mutex;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A pool of things that are cheap enough to make on the spot and worth keeping: buffers, parsers,
/// compression contexts. Synchronous; taking one never waits.
///
/// Kept objects lie in up to eight shards, each behind a lock of its own that threads rarely share and
/// nobody ever waits for: who finds it taken makes a new object, or drops the one to be returned. What
/// is kept is capped over all shards, because a pool that grows with its threads is a leak on a large
/// machine.
///
/// ```
/// use perf_pool::ObjectPool;
///
/// let buffers = ObjectPool::new(64, || Vec::<u8>::with_capacity(4096)).with_reset(Vec::clear);
/// let mut buffer = buffers.take();
/// buffer.extend_from_slice(b"some text");
/// drop(buffer);
/// assert!(buffers.take().is_empty());
/// assert!(buffers.take().capacity() >= 4096);
/// ```
pub struct ObjectPool<T> {
    shards: Box<[Shard<T>]>,
    /// How many objects each shard keeps.
    shard_capacity: usize,
    make: Box<dyn Fn() -> T + Send + Sync>,
    reset: Box<dyn Fn(&mut T) + Send + Sync>,
}

/// Keeps neighbouring locks off each other's cache line.
#[repr(align(128))]
struct Shard<T>(Mutex<Vec<T>>);

/// More would help only where one lock is shared by many threads, none of which holds it for long.
const MAX_SHARDS: usize = 8;

impl<T> ObjectPool<T> {
    /// A pool that keeps at most `capacity` of the objects that `make` makes.
    #[must_use]
    pub fn new(capacity: usize, make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let shards = threads.clamp(1, MAX_SHARDS).min(capacity.max(1));
        Self {
            shards: (0..shards).map(|_| Shard(Mutex::new(Vec::new()))).collect(),
            shard_capacity: capacity / shards,
            make: Box::new(make),
            reset: Box::new(|_| {}),
        }
    }

    /// Calls `reset` on each object that is returned, before it is kept.
    #[must_use]
    pub fn with_reset(mut self, reset: impl Fn(&mut T) + Send + Sync + 'static) -> Self {
        self.reset = Box::new(reset);
        self
    }

    /// A kept object, or a new one.
    #[must_use]
    pub fn take(&self) -> Loan<'_, T> {
        let kept = self.own_shard().try_lock().and_then(|mut kept| kept.pop());
        Loan {
            object: Some(kept.unwrap_or_else(|| (self.make)())),
            pool: self,
        }
    }

    /// How many objects are kept now.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.shards.iter().map(|shard| shard.0.lock().len()).sum()
    }

    /// Drops what is kept.
    pub fn clear(&self) {
        for shard in &self.shards {
            // Dropped after the lock is released: a destructor may take its time.
            let kept = std::mem::take(&mut *shard.0.lock());
            drop(kept);
        }
    }

    fn keep(&self, mut object: T) {
        (self.reset)(&mut object);
        if let Some(mut kept) = self.own_shard().try_lock()
            && kept.len() < self.shard_capacity
        {
            kept.push(object);
        }
    }

    /// The shard of this thread. Threads take turns, so that two that run together seldom share one.
    fn own_shard(&self) -> &Mutex<Vec<T>> {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static THREAD: usize = THREADS.fetch_add(1, Relaxed);
        }
        // A thread that is ending has no number left; any shard will do.
        let thread = THREAD.try_with(|thread| *thread).unwrap_or(0);
        &self.shards[thread % self.shards.len()].0
    }
}

impl<T> fmt::Debug for ObjectPool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectPool")
            .field("kept", &self.kept())
            .field("capacity", &(self.shard_capacity * self.shards.len()))
            .finish_non_exhaustive()
    }
}

/// An object on loan from an [`ObjectPool`]. Dropping it gives it back.
pub struct Loan<'p, T> {
    /// `None` only while the loan is being ended.
    object: Option<T>,
    pool: &'p ObjectPool<T>,
}

impl<T> Loan<'_, T> {
    /// Takes the object out of the pool for good.
    #[must_use]
    pub fn detach(mut loan: Self) -> T {
        Self::lent(loan.object.take())
    }

    fn lent<L>(object: Option<L>) -> L {
        object.expect("a loan that can be named has not ended")
    }
}

impl<T> Deref for Loan<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        Self::lent(self.object.as_ref())
    }
}

impl<T> DerefMut for Loan<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        Self::lent(self.object.as_mut())
    }
}

impl<T> Drop for Loan<'_, T> {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            self.pool.keep(object);
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Loan<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Loan").field(&**self).finish()
    }
}
