//! Perf-cache's near tier beside the maps and caches it competes with, and its far tier beside the bare
//! driver.
//!
//! Hit ratios are compared on synthetic mixes, and on every trace of a folder: `*.u64le`, plain or as `.gz`
//! or `.xz`, one little-endian key a request. `PERF_BENCH_TRACES` names the folder for a run of everything;
//! `cargo bench -p bench-cache -- --traces FOLDER` compares hit ratios alone and prints
//! `docs/benchmarks/cache-hit-ratio.md`.

mod far;
mod hit_ratio;
mod hits;
mod workload;

use std::env;
use std::path::Path;

fn main() {
    let mut arguments = env::args().skip_while(|argument| argument != "--traces");
    if let (Some(_), Some(folder)) = (arguments.next(), arguments.next()) {
        return hit_ratio::publish(Path::new(&folder));
    }
    hits::benches();
    far::benches();
    hit_ratio::compare();
    criterion::Criterion::default()
        .configure_from_args()
        .final_summary();
}
