//! The behaviour that users rely on, one module per theme.
#![cfg(not(loom))]

mod adaptive;
mod budget;
mod bulkhead;
mod calls;
mod cluster;
mod config;
mod configs;
mod cost;
mod deadline;
mod fleet;
mod guard;
mod hedge;
mod holds;
mod http;
mod keyed;
mod lag;
mod layer;
mod layers;
mod limiter;
mod probes;
mod quota;
mod reconfigure;
mod registry;
mod retry;
mod scenario;
mod settings;
mod shared;
mod soak;
mod stores;
mod streams;
mod support;
mod throttle;
mod waiting;
mod windows;

#[global_allocator]
static ALLOCATOR: perf_testkit::allocations::CountingAllocator =
    perf_testkit::allocations::CountingAllocator;
