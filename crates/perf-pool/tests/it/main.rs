//! The pool as its users see it.
#![cfg(not(loom))]

mod acquire;
mod budget;
mod cancellation;
mod closing;
mod configuration;
mod deadlines;
mod figures;
mod holders;
mod jobs;
mod lazy;
mod life_cycle;
mod object_pool;
mod overload;
mod resizing;
mod runtimes;
mod settings;
mod shared_pool;
mod sizing;
mod soak;
mod support;

#[cfg(feature = "conformance")]
mod conformance;
#[cfg(feature = "postgres")]
mod dead_peers;
#[cfg(feature = "postgres")]
mod hardened;
#[cfg(feature = "mysql")]
mod mariadb;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
mod servers;
#[cfg(feature = "sqlite")]
mod sqlite;

#[global_allocator]
static COUNTING: perf_testkit::allocations::CountingAllocator =
    perf_testkit::allocations::CountingAllocator;
