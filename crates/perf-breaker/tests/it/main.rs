//! The behaviour that users rely on, one module per theme.
#![cfg(not(loom))]

mod calls;
mod config;
mod cost;
mod holds;
mod keyed;
mod limiter;
mod probes;
mod quota;
mod soak;
mod support;
mod windows;

#[global_allocator]
static ALLOCATOR: perf_testkit::allocations::CountingAllocator =
    perf_testkit::allocations::CountingAllocator;
