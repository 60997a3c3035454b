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

/// Whether the process was started by `cargo bench`, not by `cargo test` to see that it runs, and whether
/// `id` is asked for: criterion applies its filter to what it times itself alone.
fn is_wanted(id: &str) -> bool {
    let mut measuring = false;
    let mut filter = None;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--bench" => measuring = true,
            flag if flag.starts_with("--") => {}
            _ => filter = Some(argument),
        }
    }
    measuring && filter.is_none_or(|filter| id.contains(&filter))
}
