//! Perf-profile's spans, lines, allocator, fingerprints and memory against their peers.
//!
//! Spans are judged by the CPU time of the whole process: a profiler that hands its events to a thread
//! has not made them free.

mod allocation;
mod collector;
mod cpu;
mod fingerprint;
mod lines;
mod memory;
mod poll;
mod route;
mod span;

use criterion::{Criterion, criterion_group};

criterion_group!(
    name = benches;
    config = harness::criterion();
    targets = memory::histograms, span::enabled, span::paused, poll::enabled, lines::marks,
        allocation::counted, fingerprint::corpus, route::throughput
);

fn main() {
    if route::is_child() {
        return route::serve();
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
