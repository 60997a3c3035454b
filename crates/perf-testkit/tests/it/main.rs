//! Integration tests of `perf-testkit`.

mod cancellation;
mod flights;
mod proxy;
mod servers;
mod supervision;
mod support;
