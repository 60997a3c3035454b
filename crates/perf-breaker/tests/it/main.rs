//! The behaviour that users rely on, one module per theme.
#![cfg(not(loom))]

mod budget;
mod calls;
mod config;
mod cost;
mod holds;
mod keyed;
mod layer;
mod limiter;
mod probes;
mod quota;
mod reconfigure;
mod registry;
mod scenario;
mod shared;
mod soak;
mod stores;
mod streams;
mod support;
mod waiting;
mod windows;

#[global_allocator]
static ALLOCATOR: perf_testkit::allocations::CountingAllocator =
    perf_testkit::allocations::CountingAllocator;
