//! Real servers, a fault proxy, data sets and harnesses for the tests of the `perf-*` crates.

pub mod allocations;
