//! The pool as its users see it.
#![cfg(not(loom))]

mod acquire;
mod cancellation;
mod closing;
mod configuration;
mod deadlines;
mod figures;
mod holders;
mod lazy;
mod life_cycle;
mod object_pool;
mod overload;
mod resizing;
mod runtimes;
mod support;

#[cfg(feature = "postgres")]
mod dead_peers;
#[cfg(feature = "mysql")]
mod mariadb;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
mod servers;
#[cfg(feature = "sqlite")]
mod sqlite;

#[global_allocator]
static COUNTING: perf_testkit::allocations::CountingAllocator =
    perf_testkit::allocations::CountingAllocator;
