//! Counters that cost a hit two plain memory operations.
//!
//! An atomic increment takes about 6 ns even without contention, a sixth of a whole hit, and far more
//! when two cores share the line. So every thread owns one stripe, in each cache, that nobody else
//! writes: it adds with a load and a store. A thread that ends gives its number back for the next one;
//! without that, a program that starts many threads would run out of stripes. Threads beyond the last
//! stripe share it, and pay for the increment.

use parking_lot::Mutex;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Two counters in stripes: hits and misses.
#[derive(Debug)]
pub(crate) struct Stripes(Box<[Stripe]>);

/// Two cache lines: the neighbouring line is often fetched along.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe {
    hits: AtomicU64,
    misses: AtomicU64,
}

/// The stripes with an owner; one more is shared.
const OWNED: usize = 64;

impl Stripes {
    pub(crate) fn new() -> Self {
        Self((0..=OWNED).map(|_| Stripe::default()).collect())
    }

    #[inline]
    pub(crate) fn hit(&self) {
        let number = own_number();
        add(&self.0[number].hits, number);
    }

    #[inline]
    pub(crate) fn miss(&self) {
        let number = own_number();
        add(&self.0[number].misses, number);
    }

    pub(crate) fn hits(&self) -> u64 {
        self.sum(|stripe| &stripe.hits)
    }

    pub(crate) fn misses(&self) -> u64 {
        self.sum(|stripe| &stripe.misses)
    }

    fn sum(&self, counter: impl Fn(&Stripe) -> &AtomicU64) -> u64 {
        let counters = self.0.iter().map(counter);
        counters
            .map(|counter| counter.load(Ordering::Relaxed))
            .sum()
    }
}

#[inline]
fn add(counter: &AtomicU64, number: usize) {
    if number < OWNED {
        // This thread alone writes here. A former owner's last store happened before it gave the number
        // back, under the lock through which it came to this thread.
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    } else {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

const UNKNOWN: usize = usize::MAX;

thread_local! {
    static NUMBER: Cell<usize> = const { Cell::new(UNKNOWN) };
    static LEASE: Lease = Lease::take();
}

/// Numbers that were given back.
static FREE: Mutex<Vec<usize>> = Mutex::new(Vec::new());
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// The number of this thread's stripe, at most `OWNED`.
#[inline]
fn own_number() -> usize {
    let number = NUMBER.get();
    if number <= OWNED {
        number
    } else {
        take_number()
    }
}

#[cold]
fn take_number() -> usize {
    // A thread that is ending has given its number back and shares the last stripe.
    let number = LEASE.try_with(|lease| lease.0).unwrap_or(OWNED);
    NUMBER.set(number);
    number
}

struct Lease(usize);

impl Lease {
    fn take() -> Self {
        if let Some(number) = FREE.lock().pop() {
            return Self(number);
        }
        let fresh = NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
            (next < OWNED).then_some(next + 1)
        });
        Self(fresh.unwrap_or(OWNED))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        NUMBER.set(OWNED);
        if self.0 < OWNED {
            FREE.lock().push(self.0);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn no_count_is_lost_among_more_threads_than_stripes() {
        let stripes = Stripes::new();
        std::thread::scope(|scope| {
            for _ in 0..OWNED + 20 {
                scope.spawn(|| (0..1_000).for_each(|_| stripes.hit()));
            }
        });
        assert_eq!(stripes.hits(), (OWNED as u64 + 20) * 1_000);
        assert_eq!(stripes.misses(), 0);
    }

    #[test]
    fn numbers_are_used_again_when_threads_end() {
        let numbers: Vec<_> = (0..OWNED * 4)
            .map(|_| std::thread::spawn(own_number).join().unwrap())
            .collect();
        // Tests of this binary run side by side and hold numbers of their own.
        let shared = numbers.iter().filter(|&&number| number == OWNED).count();
        assert!(
            shared < numbers.len() / 2,
            "{shared} threads found no stripe"
        );
    }
}
