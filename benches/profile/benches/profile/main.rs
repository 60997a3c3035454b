//! Perf-profile's spans and fingerprints against their peers.
//!
//! Spans are judged by the CPU time of the whole process: a profiler that hands its events to a thread
//! has not made them free.

mod collector;
mod cpu;
mod fingerprint;
mod poll;
mod span;

use criterion::{criterion_group, criterion_main};

criterion_group!(
    name = benches;
    config = harness::criterion();
    targets = span::enabled, span::paused, poll::enabled, fingerprint::corpus
);
criterion_main!(benches);
