//! Perf-cache's near tier beside the maps and caches it competes with, and its far tier beside the bare
//! driver.
//!
//! Hit ratios are compared on synthetic mixes, and on every trace (`*.u64le` or `*.u64le.gz`, one
//! little-endian key a request) of the folder that `PERF_BENCH_TRACES` names.

mod far;
mod hit_ratio;
mod hits;
mod workload;

fn main() {
    hits::benches();
    far::benches();
    hit_ratio::compare();
    criterion::Criterion::default()
        .configure_from_args()
        .final_summary();
}
