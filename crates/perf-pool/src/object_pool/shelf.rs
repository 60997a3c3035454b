#![allow(
    unsafe_code,
    reason = "a lock that is only ever tried costs one atomic operation, half of a lock that can be waited for"
)]
#![cfg_attr(
    not(loom),
    allow(
        unreachable_pub,
        reason = "the loom models reach the shelf from outside"
    )
)]
#![cfg_attr(
    loom,
    allow(
        missing_docs,
        missing_debug_implementations,
        reason = "what the models reach is no part of the interface"
    )
)]

use crate::sync::{AtomicBool, UnsafeCell};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// A place for objects that one thread at a time may reach into. Nobody waits for it.
#[repr(align(128))] // Keeps neighbours off each other's cache line.
pub struct Shelf<T> {
    in_use: AtomicBool,
    objects: UnsafeCell<Vec<T>>,
}

// SAFETY: the objects are reached only by whoever has turned `in_use` from false to true, and until it is
// turned back; the exchange acquires what the store has released. So values are sent between threads,
// never shared by two.
unsafe impl<T: Send> Sync for Shelf<T> {}

/// Turns `in_use` back, also when `reach` panics.
struct Return<'s>(&'s AtomicBool);

impl Drop for Return<'_> {
    fn drop(&mut self) {
        self.0.store(false, Release);
    }
}

impl<T> Shelf<T> {
    pub fn new() -> Self {
        Self {
            in_use: AtomicBool::new(false),
            objects: UnsafeCell::new(Vec::new()),
        }
    }

    /// Calls `reach` with the objects, unless another thread is at it.
    #[inline]
    pub fn try_reach<R>(&self, reach: impl FnOnce(&mut Vec<T>) -> R) -> Option<R> {
        let taken = self.in_use.compare_exchange(false, true, Acquire, Relaxed);
        taken.ok()?;
        let _release = Return(&self.in_use);
        // SAFETY: the exchange found it unused, so nobody else reaches in until the release.
        Some(
            self.objects
                .with_mut(|objects| reach(unsafe { &mut *objects })),
        )
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::thread;

    const ROUNDS: u64 = if cfg!(miri) { 30 } else { 10_000 };

    #[test]
    fn two_threads_reach_in_one_at_a_time() {
        let shelf = Shelf::new();
        let put = || {
            let reached = (0..ROUNDS).filter_map(|round| shelf.try_reach(|kept| kept.push(round)));
            reached.count()
        };
        let (here, there) = thread::scope(|scope| {
            let other = scope.spawn(put);
            (put(), other.join().unwrap())
        });
        let kept = shelf.try_reach(std::mem::take).unwrap();
        assert_eq!(kept.len(), here + there);
    }

    #[test]
    fn a_panic_inside_leaves_it_open() {
        let shelf = Shelf::new();
        let panicked = thread::scope(|scope| {
            let reach = || {
                shelf.try_reach(|kept| {
                    kept.push(Box::new(1));
                    panic!("after the change");
                })
            };
            scope.spawn(reach).join().is_err()
        });
        assert!(panicked);
        assert_eq!(shelf.try_reach(Vec::pop), Some(Some(Box::new(1))));
    }
}
