#![allow(unsafe_code, reason = "`GlobalAlloc` is an unsafe trait")]

use super::counters::{allocated, freed, resized};
use std::alloc::{GlobalAlloc, Layout, System};

/// Counts what passes through another allocator, so that functions, lines and requests know what they
/// allocate.
///
/// It keeps four counters for each thread, costs a few nanoseconds for each pair of allocation and release,
/// and never panics or allocates itself. Any allocator may be inside:
///
/// ```
/// use perf_profile::{Profiler, ProfilingAllocator, span};
/// use std::alloc::System;
///
/// #[global_allocator]
/// static ALLOCATOR: ProfilingAllocator<System> = ProfilingAllocator::new(System);
///
/// # fn main() -> Result<(), perf_profile::ProfileError> {
/// let profiler = Profiler::builder().build();
/// profiler.verify_allocator()?;
/// {
///     let _span = span!("fill");
///     drop(vec![0_u8; 1_000]);
/// }
/// let snapshot = profiler.snapshot();
/// let fill = snapshot.functions().iter().find(|function| function.name == "fill");
/// let memory = fill.map(|function| function.memory).unwrap_or_default();
/// assert_eq!((memory.bytes, memory.allocations, memory.net, memory.peak), (1_000, 1, 0, 1_000));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ProfilingAllocator<A = System> {
    inner: A,
}

impl<A> ProfilingAllocator<A> {
    /// Counts what passes through `inner`.
    #[must_use]
    pub const fn new(inner: A) -> Self {
        Self { inner }
    }
}

// SAFETY: every call goes to the inner allocator as it came, and its answer back as it is. Counting touches
// no memory that it hands out, allocates nothing and cannot unwind.
unsafe impl<A: GlobalAlloc> GlobalAlloc for ProfilingAllocator<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller upholds the contract.
        let block = unsafe { self.inner.alloc(layout) };
        if !block.is_null() {
            allocated(layout.size());
        }
        block
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller upholds the contract.
        let block = unsafe { self.inner.alloc_zeroed(layout) };
        if !block.is_null() {
            allocated(layout.size());
        }
        block
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        freed(layout.size());
        // SAFETY: the caller upholds the contract.
        unsafe { self.inner.dealloc(block, layout) };
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller upholds the contract.
        let moved = unsafe { self.inner.realloc(block, layout, new_size) };
        if !moved.is_null() {
            resized(layout.size(), new_size);
        }
        moved
    }
}
