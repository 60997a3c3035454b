//! Objects that are kept for whoever needs one next.

#[cfg(not(loom))]
mod shelf;
#[cfg(loom)]
pub mod shelf;

use shelf::Shelf;
use std::cell::Cell;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A pool of things that are cheap enough to make on the spot and worth keeping: buffers, parsers,
/// compression contexts. Synchronous; taking one never waits.
///
/// Kept objects lie on up to eight shelves, each for one thread at a time, that threads rarely share and
/// nobody ever waits for: who finds its own in use, empty or full tries the others, and then makes a new
/// object or drops the returned one. What is kept is capped over all shelves, because a pool that grows with its threads is a leak on a large
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
    shelves: Box<[Shelf<T>]>,
    /// How many objects each shelf keeps.
    shelf_capacity: usize,
    make: Box<dyn Fn() -> T + Send + Sync>,
    reset: Option<Box<Reset<T>>>,
}

type Reset<T> = dyn Fn(&mut T) + Send + Sync;

/// More would help only where one shelf is shared by many threads, none of which uses it for long.
const MAX_SHELVES: usize = 8;

impl<T> ObjectPool<T> {
    /// A pool that keeps at most `capacity` of the objects that `make` makes.
    #[must_use]
    pub fn new(capacity: usize, make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        // More than threads, because those that run together do not have consecutive numbers.
        let shelves = (threads * 4).clamp(1, MAX_SHELVES).min(capacity.max(1));
        // A power of two, so that a thread finds its own by a mask.
        let shelves = 1 << shelves.ilog2();
        Self {
            shelves: (0..shelves).map(|_| Shelf::new()).collect(),
            shelf_capacity: capacity / shelves,
            make: Box::new(make),
            reset: None,
        }
    }

    /// Calls `reset` on each object that is returned, before it is kept.
    #[must_use]
    pub fn with_reset(mut self, reset: impl Fn(&mut T) + Send + Sync + 'static) -> Self {
        self.reset = Some(Box::new(reset));
        self
    }

    /// A kept object, or a new one.
    #[must_use]
    #[inline]
    pub fn take(&self) -> Loan<'_, T> {
        let own = self.own_shelf();
        let kept = self.shelves[own].try_reach(Vec::pop).flatten();
        let object = kept.unwrap_or_else(|| self.take_elsewhere(own));
        Loan {
            object: Some(object),
            pool: self,
        }
    }

    /// How many objects are kept now.
    #[must_use]
    pub fn kept(&self) -> usize {
        let shelves = self.shelves.iter();
        shelves.map(|shelf| reach(shelf, |kept| kept.len())).sum()
    }

    /// Drops what is kept.
    pub fn clear(&self) {
        for shelf in &self.shelves {
            // Dropped after the shelf is released: a destructor may take its time.
            drop(reach(shelf, std::mem::take));
        }
    }

    #[inline]
    fn keep(&self, mut object: T) {
        if let Some(reset) = &self.reset {
            reset(&mut object);
        }
        let own = self.own_shelf();
        if let Some(object) = self.put(own, object) {
            self.put_elsewhere(own, object);
        }
    }

    /// Puts `object` on a shelf, or gives it back if there is no room or somebody else is at it.
    #[inline]
    fn put(&self, shelf: usize, object: T) -> Option<T> {
        let mut object = Some(object);
        self.shelves[shelf].try_reach(|kept| {
            if kept.len() < self.shelf_capacity {
                kept.extend(object.take());
            }
        });
        object
    }

    #[cold]
    fn take_elsewhere(&self, own: usize) -> T {
        let kept = self.others(own).find_map(|shelf| {
            let kept = self.shelves[shelf].try_reach(Vec::pop);
            kept.flatten()
        });
        kept.unwrap_or_else(|| (self.make)())
    }

    #[cold]
    fn put_elsewhere(&self, own: usize, object: T) {
        let left = self
            .others(own)
            .try_fold(object, |object, shelf| self.put(shelf, object));
        drop(left);
    }

    fn others(&self, own: usize) -> impl Iterator<Item = usize> {
        let shelves = self.shelves.len();
        (1..shelves).map(move |step| (own + step) & (shelves - 1))
    }

    /// The shelf of this thread. Threads take turns, so that two that run together seldom share one.
    #[inline]
    fn own_shelf(&self) -> usize {
        thread_number() & (self.shelves.len() - 1)
    }
}

/// A number of the thread's own, in the order in which threads first asked.
#[inline]
fn thread_number() -> usize {
    const UNKNOWN: usize = usize::MAX;
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static THREAD: Cell<usize> = const { Cell::new(UNKNOWN) };
    }
    THREAD.with(|thread| {
        if thread.get() == UNKNOWN {
            thread.set(THREADS.fetch_add(1, Relaxed));
        }
        thread.get()
    })
}

/// Reaches into a shelf as soon as it is free, which is a few instructions later.
fn reach<T, R>(shelf: &Shelf<T>, look: impl Fn(&mut Vec<T>) -> R) -> R {
    loop {
        if let Some(found) = shelf.try_reach(&look) {
            return found;
        }
        std::thread::yield_now();
    }
}

impl<T> fmt::Debug for ObjectPool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectPool")
            .field("kept", &self.kept())
            .field("capacity", &(self.shelf_capacity * self.shelves.len()))
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
    #[inline]
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
