//! Counts in full under `cargo xtask soak profile`, with few cases otherwise.

use crate::support::calls;
use perf_profile::{Profiler, span};
use std::sync::atomic::{AtomicBool, Ordering};

const THREADS: u64 = 8;
/// Calls after which each thread ends and a new one takes over.
const TENURE: u64 = 10_000;

#[test]
fn eight_threads_lose_nothing_while_threads_end_and_snapshots_run() {
    let calls_of_each =
        std::env::var("PERF_SOAK_CASES").map_or(20_000, |cases| cases.parse().unwrap());
    let profiler = Profiler::builder().build();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut last, mut snapshots) = (0, 0_u64);
            while !done.load(Ordering::Relaxed) {
                let now = calls(&profiler.snapshot(), "exact");
                assert!(now >= last, "{now} after {last}");
                (last, snapshots) = (now, snapshots + 1);
            }
            snapshots
        });
        let mut left = calls_of_each;
        while left > 0 {
            let now = left.min(TENURE);
            std::thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(move || (0..now).for_each(|_| drop(span!("exact"))));
                }
            });
            left -= now;
        }
        done.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
    let snapshot = profiler.snapshot();
    assert_eq!(calls(&snapshot, "exact"), THREADS * calls_of_each);
    let exact = snapshot
        .functions()
        .iter()
        .find(|function| function.name == "exact")
        .unwrap();
    assert_eq!(exact.latency.count, THREADS * calls_of_each);
}
