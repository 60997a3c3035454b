//! Integration tests of `perf-testkit`.

mod servers;
mod supervision;
mod support;
