//! Integration tests of `perf-testkit`.

mod proxy;
mod servers;
mod supervision;
mod support;
