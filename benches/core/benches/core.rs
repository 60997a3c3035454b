//! Perf-core's parts against their peers.

use criterion::{Criterion, criterion_group, criterion_main};
use harness::Comparison;
use perf_core::Histogram;
use std::time::{Duration, Instant};

/// The peer's bounds and digits that come nearest to our range and error.
const MAX_NANOS: u64 = 1_000_000_000_000;
const DIGITS: u8 = 2;

/// Latencies spread evenly over a nanosecond to about a millisecond, the same in each run.
fn uniform() -> Vec<u64> {
    (0..1_u64 << 12)
        .map(|i| 1 + i.wrapping_mul(0x9E37_79B9_7F4A_7C15) % (1 << 20))
        .collect()
}

/// Times `record` over the values, in order and again from the start.
fn time_recording(values: &[u64], iterations: u64, mut record: impl FnMut(u64)) -> Duration {
    let start = Instant::now();
    let mut left = iterations;
    while left > 0 {
        for &value in values
            .iter()
            .take(usize::try_from(left).unwrap_or(usize::MAX))
        {
            record(value);
        }
        left = left.saturating_sub(values.len() as u64);
    }
    start.elapsed()
}

fn compare(criterion: &mut Criterion, id: &'static str, record: impl Fn(&Histogram, u64)) {
    let values = &uniform();
    let ours = Histogram::new();
    let mut peer = hdrhistogram::Histogram::<u64>::new_with_bounds(1, MAX_NANOS, DIGITS)
        .expect("the bounds are in order");
    let (mut recorded_ours, mut recorded_peer) = (0, 0);
    let mut comparison = Comparison::new(id);
    comparison.add_timed("perfkit", |iterations| {
        let elapsed = time_recording(values, iterations, |value| record(&ours, value));
        recorded_ours += iterations;
        assert_eq!(ours.snapshot().count(), recorded_ours);
        elapsed
    });
    comparison.add_timed("hdrhistogram", |iterations| {
        let elapsed = time_recording(values, iterations, |value| peer.saturating_record(value));
        recorded_peer += iterations;
        assert_eq!(peer.len(), recorded_peer);
        elapsed
    });
    comparison.run(criterion);
}

/// Ours may be recorded from any thread here, the peer from one only.
fn record(criterion: &mut Criterion) {
    compare(
        criterion,
        "core/histogram_record/uniform",
        Histogram::record,
    );
}

fn record_exclusive(criterion: &mut Criterion) {
    compare(
        criterion,
        "core/histogram_record_exclusive/uniform",
        Histogram::record_exclusive,
    );
}

criterion_group!(name = benches; config = harness::criterion(); targets = record, record_exclusive);
criterion_main!(benches);
