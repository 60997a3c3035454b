//! What callers rely on, one module per theme.

use perf_testkit::allocations::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

mod atomicity;
mod batcher;
mod cancellation;
mod derive;
mod engines;
mod export;
mod insert;
mod loader;
mod mysql;
mod parallel;
mod postgres;
mod sink;
mod soak;
mod support;
mod tasks;
mod upsert;
mod values;
