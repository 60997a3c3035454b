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

/// Two counters in stripes: hits and misses. They lie in place, a pointer nearer than in a box.
#[derive(Debug)]
pub(crate) struct Stripes([Stripe; OWNED + 1]);

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
        Self(std::array::from_fn(|_| Stripe::default()))
    }

    #[inline(always)]
    pub(crate) fn hit(&self) {
        match own_number() {
            Some(number) => add(&self.0[number].hits),
            None => self.share().hits.fetch_add(1, Ordering::Relaxed),
        };
    }

    pub(crate) fn miss(&self) {
        match own_number() {
            Some(number) => add(&self.0[number].misses),
            None => self.share().misses.fetch_add(1, Ordering::Relaxed),
        };
    }

    /// The stripe of a thread that has no number yet, or none of its own.
    #[cold]
    fn share(&self) -> &Stripe {
        &self.0[take_number()]
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

#[inline(always)]
fn add(counter: &AtomicU64) -> u64 {
    // This thread alone writes here. A former owner's last store happened before it gave the number
    // back, under the lock through which it came to this thread.
    let count = counter.load(Ordering::Relaxed);
    counter.store(count + 1, Ordering::Relaxed);
    count
}

const UNKNOWN: usize = usize::MAX;

thread_local! {
    static NUMBER: Cell<usize> = const { Cell::new(UNKNOWN) };
    static LEASE: Lease = Lease::take();
}

/// Numbers that were given back.
static FREE: Mutex<Vec<usize>> = Mutex::new(Vec::new());
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// The number of the stripe that this thread alone writes, if it is known.
#[inline(always)]
fn own_number() -> Option<usize> {
    Some(NUMBER.get()).filter(|number| *number < OWNED)
}

/// The number of this thread's stripe, `OWNED` for the shared one.
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
            .map(|_| std::thread::spawn(take_number).join().unwrap())
            .collect();
        // Tests of this binary run side by side and hold numbers of their own.
        let shared = numbers.iter().filter(|&&number| number == OWNED).count();
        assert!(
            shared < numbers.len() / 2,
            "{shared} threads found no stripe"
        );
    }
}
