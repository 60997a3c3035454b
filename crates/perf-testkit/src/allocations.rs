//! Counting what a piece of code allocates, for tests that promise "no allocation" or "within bounds".

#![allow(
    unsafe_code,
    reason = "a global allocator is an unsafe trait; every call goes to `System`"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static LIVE: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
}

/// The system's allocator, counting per thread. Install it with `#[global_allocator]`.
#[derive(Debug)]
pub struct CountingAllocator;

// SAFETY: every method hands its arguments unchanged to `System`, which upholds the contract; counting
// touches thread-local cells of constant initial value and neither allocates nor unwinds.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        record(layout.size(), 0);
        // SAFETY: the caller's contract is `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        record(layout.size(), 0);
        // SAFETY: the caller's contract is `System`'s.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        record(size, layout.size());
        // SAFETY: the caller's contract is `System`'s.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // A thread that is ending has no cells left; what it frees then is of no test's interest.
        let _ended = LIVE.try_with(|live| live.set(live.get() - signed(layout.size())));
        // SAFETY: the caller's contract is `System`'s.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// How many allocations and reallocations `work` makes on this thread.
pub fn count<T>(work: impl FnOnce() -> T) -> u64 {
    let before = COUNT.get();
    let _result = work();
    COUNT.get() - before
}

/// The most bytes that `work` has allocated on this thread at any one time, beyond what was there.
pub fn peak_bytes<T>(work: impl FnOnce() -> T) -> u64 {
    let before = LIVE.get();
    PEAK.set(before);
    let _result = work();
    (PEAK.get() - before).unsigned_abs()
}

fn record(size: usize, freed: usize) {
    let _ended = COUNT.try_with(|count| {
        count.set(count.get() + 1);
        let live = LIVE.get() + signed(size) - signed(freed);
        LIVE.set(live);
        PEAK.set(PEAK.get().max(live));
    });
}

fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
