//! Who holds what: the figures behind the reports of leaks and of circles.
#![allow(
    unsafe_code,
    reason = "a reference to something static, to be read by one thread while another writes it"
)]

use std::fmt;
use std::hash::{Hash, Hasher};
use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::runtime::Handle;

/// Somebody who holds a resource.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Holder {
    /// The call of `acquire` or `try_acquire`.
    pub location: &'static Location<'static>,
    /// The number of the tokio task that acquired, as `tokio::task::Id` shows it; `None` outside a task.
    pub task: Option<u64>,
    /// For how long, to the resolution of the pool's clock.
    pub held: Duration,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { location, held, .. } = self;
        write!(f, "acquired at {location}, held for {held:.1?}")?;
        self.task
            .map_or(Ok(()), |task| write!(f, ", by task {task}"))
    }
}

/// Whoever runs now: the number of the task, or outside tasks one of the thread's own.
pub(crate) fn current_caller() -> u64 {
    match tokio::task::try_id() {
        Some(id) => number_of(&id),
        None => {
            static THREADS: AtomicU64 = AtomicU64::new(0);
            thread_local! {
                static THREAD: u64 = THREADS.fetch_add(1, Relaxed) | NO_TASK;
            }
            THREAD.try_with(|thread| *thread).unwrap_or(NO_TASK)
        }
    }
}

/// The number inside one of tokio's ids, which hash as just that.
pub(crate) fn number_of(id: &impl Hash) -> u64 {
    let mut number = Number::default();
    id.hash(&mut number);
    number.0
}

/// The task's number as tokio shows it, if `caller` is a task.
pub(crate) const fn task_of(caller: u64) -> Option<u64> {
    if caller & NO_TASK == 0 {
        Some(caller)
    } else {
        None
    }
}

/// The number of the runtime in which `caller` runs, which must be whoever runs now; `None` outside any.
///
/// To ask tokio means to write twice to a count that all threads of the runtime share, and in a crowd that is
/// the dearest part of a wait. A task stays in its runtime for life and its number is never used again, so
/// one answer for each task is enough, and the latest are kept. A task that blocks its thread on a second
/// runtime goes on counting as one of its own.
pub(crate) fn runtime_of(caller: u64) -> Option<u64> {
    // `{runtime 20, task 44}`; consecutive tasks have places of their own.
    static KNOWN: [AtomicU64; 1 << 10] = [const { AtomicU64::new(0) }; 1 << 10];
    const TASK_BITS: u32 = 44;
    let task = task_of(caller).filter(|task| task >> TASK_BITS == 0);
    let place = task.map(|task| &KNOWN[usize::try_from(task & 0x3ff).unwrap_or(0)]);
    if let (Some(task), Some(place)) = (task, place) {
        let known = place.load(Relaxed);
        if known << (u64::BITS - TASK_BITS) == task << (u64::BITS - TASK_BITS) {
            return Some(known >> TASK_BITS);
        }
    }
    let runtime = number_of(&Handle::try_current().ok()?.id());
    if let (Some(task), Some(place)) = (task, place)
        && runtime >> (u64::BITS - TASK_BITS) == 0
    {
        place.store(runtime << TASK_BITS | task, Relaxed);
    }
    Some(runtime)
}

const NO_TASK: u64 = 1 << 63;

#[derive(Default)]
struct Number(u64);

impl Hasher for Number {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 << 8) | u64::from(*byte);
        }
        self.0 &= !NO_TASK;
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number & !NO_TASK;
    }
}

/// A reference to something static that any thread may replace and read.
#[derive(Debug)]
pub(crate) struct StaticRef<T: 'static>(AtomicPtr<T>);

impl<T: Sync> StaticRef<T> {
    #[inline]
    pub(crate) fn set(&self, target: &'static T) {
        self.0.store(ptr::from_ref(target).cast_mut(), Relaxed);
    }

    pub(crate) fn target(&self) -> Option<&'static T> {
        // SAFETY: null or what `set` stored, a reference that is valid for ever. Nobody writes through
        // the pointer, and `T: Sync` lets every thread read it.
        unsafe { self.0.load(Relaxed).as_ref() }
    }
}

impl<T> Default for StaticRef<T> {
    fn default() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_outside_tasks_have_numbers_of_their_own() {
        let here = current_caller();
        assert_eq!((here, task_of(here)), (current_caller(), None));
        let there = std::thread::spawn(current_caller).join().unwrap();
        assert_ne!(here, there);
    }

    #[test]
    fn a_static_reference_is_read_while_it_is_replaced() {
        static WORDS: [&str; 2] = ["one", "two"];
        let word = StaticRef::default();
        assert_eq!(word.target(), None);
        std::thread::scope(|scope| {
            scope.spawn(|| (0..20).for_each(|turn| word.set(&WORDS[turn % 2])));
            let seen = (0..20).filter_map(|_| word.target());
            assert!(seen.into_iter().all(|seen| WORDS.contains(seen)));
        });
        assert_eq!(word.target(), Some(&"two"));
    }

    #[test]
    fn tasks_of_two_runtimes_know_theirs() {
        let runtime = || tokio::runtime::Builder::new_current_thread().build();
        let runtimes = [runtime().unwrap(), runtime().unwrap()];
        let numbers = runtimes.each_ref().map(|runtime| {
            let expected = Some(number_of(&runtime.handle().id()));
            for _ in 0..3_000 / if cfg!(miri) { 300 } else { 1 } {
                let asked = runtime.spawn(async {
                    let first = runtime_of(current_caller());
                    assert_eq!(runtime_of(current_caller()), first);
                    first
                });
                assert_eq!(runtime.block_on(asked).unwrap(), expected);
            }
            // Outside a task tokio is asked each time.
            assert_eq!(
                runtime.block_on(async { runtime_of(current_caller()) }),
                expected
            );
            expected
        });
        assert_ne!(numbers[0], numbers[1]);
        assert_eq!(runtime_of(current_caller()), None);
    }

    #[tokio::test]
    async fn a_task_has_the_number_that_tokio_shows() {
        let spawned = tokio::spawn(async { (current_caller(), tokio::task::id().to_string()) });
        let (caller, shown) = spawned.await.unwrap();
        assert_eq!(task_of(caller).map(|task| task.to_string()), Some(shown));
    }
}
