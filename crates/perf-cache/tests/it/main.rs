//! What the cache promises, one module per theme.
#![cfg(not(loom))]

mod administer;
mod batch;
mod cancellation;
mod capacity;
mod close;
mod cluster;
mod coherence;
mod engines;
mod expiry;
mod far;
mod far_store;
mod history;
mod http;
mod inspect;
mod leases;
mod looks;
mod lossy;
mod macros;
mod near_hit;
mod orders;
mod outages;
mod panics;
mod processes;
mod refresh;
mod runtimes;
mod sentinel;
mod settings;
mod single_flight;
mod staleness;
mod staleness_elsewhere;
mod tags;
mod write_behind;

use std::convert::Infallible;

/// What a load that cannot fail returns.
type Sure<T> = Result<T, Infallible>;

#[global_allocator]
static ALLOCATOR: perf_testkit::allocations::CountingAllocator =
    perf_testkit::allocations::CountingAllocator;
