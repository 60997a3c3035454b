use perf_core::Histogram;
use perf_core::histogram::Snapshot;
use proptest::collection::vec;
use proptest::prelude::*;

/// Values spread over all octaves, not crowded into the highest.
fn value() -> impl Strategy<Value = u64> {
    (0_u32..40, any::<u64>()).prop_map(|(bits, random)| random & ((1 << bits) - 1))
}

fn exact(sorted: &[u64], quantile: f64) -> u64 {
    let below = |rank: usize| (rank as f64) < quantile * sorted.len() as f64;
    let rank = (1..sorted.len())
        .find(|&rank| !below(rank))
        .unwrap_or(sorted.len());
    sorted[rank - 1]
}

fn recorded(values: &[u64]) -> Snapshot {
    let histogram = Histogram::new();
    values.iter().for_each(|&value| histogram.record(value));
    histogram.snapshot()
}

proptest! {
    #[test]
    fn quantiles_are_within_their_error_of_a_sorted_vector(
        mut values in vec(value(), 1..400),
        quantile in 0.0..=1.0_f64,
    ) {
        let snapshot = recorded(&values);
        values.sort_unstable();
        for quantile in [quantile, 0.0, 0.5, 0.99, 1.0] {
            let expected = exact(&values, quantile);
            let got = snapshot.quantile(quantile).as_nanos() as f64;
            let error = (got - expected as f64).abs();
            prop_assert!(error <= expected as f64 * 0.016, "{got} for {expected} at {quantile}");
        }
        prop_assert_eq!(snapshot.count(), values.len() as u64);
        prop_assert_eq!(snapshot.sum().as_nanos(), values.iter().map(|&v| u128::from(v)).sum());
    }

    #[test]
    fn merging_equals_recording_everything_in_one(left in vec(value(), 0..200), right in vec(value(), 0..200)) {
        let mut merged = recorded(&left);
        merged.merge(&recorded(&right));
        prop_assert_eq!(merged, recorded(&[left, right].concat()));
    }

    #[test]
    fn one_writer_may_record_without_read_modify_writes(values in vec(any::<u64>(), 0..200)) {
        let histogram = Histogram::new();
        values.iter().for_each(|&value| histogram.record_exclusive(value));
        prop_assert_eq!(histogram.snapshot(), recorded(&values));
    }
}

#[test]
fn four_threads_lose_nothing() {
    let histogram = Histogram::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..25_000).for_each(|value| histogram.record(value)));
        }
    });
    let snapshot = histogram.snapshot();
    assert_eq!(snapshot.count(), 100_000);
    assert_eq!(
        snapshot.sum().as_nanos(),
        4 * (0..25_000_u128).sum::<u128>()
    );
}

#[test]
fn what_exceeds_the_range_is_counted_at_its_end_and_as_clamped() {
    let snapshot = recorded(&[1, u64::MAX >> 1, 3_600_000_000_000]);
    assert_eq!((snapshot.count(), snapshot.clamped()), (3, 2));
    assert!(snapshot.quantile(1.0).as_secs() > 1_000);
}

#[test]
fn nothing_recorded_is_zero_and_not_a_division() {
    let snapshot = Snapshot::default();
    assert!(snapshot.mean().is_zero() && snapshot.quantile(0.5).is_zero());
    assert_eq!(snapshot.buckets().count(), 0);
}

#[test]
fn buckets_hold_every_value_at_or_below_their_bound() {
    let snapshot = recorded(&[3, 3, 100]);
    let buckets: Vec<_> = snapshot
        .buckets()
        .map(|(bound, count)| (bound.as_nanos(), count))
        .collect();
    assert_eq!(buckets, [(3, 2), (101, 1)]);
}
