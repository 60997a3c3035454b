//! What a thousand statements and a thousand routes keep in memory.

use criterion::Criterion;
use hdrhistogram::Histogram;
use perf_profile::{Profiler, RequestScope, Usage};
use tracing_subscriber::layer::SubscriberExt;

const ID: &str = "profile/memory/2000_histograms/hotpath";
const NAMES: u64 = 1_000;
const EACH: u64 = 100;

/// Over three decades, as a service under load has them.
fn seconds(step: u64) -> f64 {
    let step = i32::try_from(step % 100).expect("below a hundred");
    1e-4 * 1.07_f64.powi(step)
}

fn resident<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let before = Usage::read().expect("Linux").resident_bytes;
    let kept = work();
    let after = Usage::read().expect("Linux").resident_bytes;
    (kept, after.saturating_sub(before) as f64)
}

fn ours() -> Profiler {
    let profiler = Profiler::builder().build();
    let subscriber = tracing_subscriber::registry().with(profiler.sql_layer());
    tracing::subscriber::with_default(subscriber, || {
        for step in 0..EACH {
            for number in 0..NAMES {
                RequestScope::new(&format!("GET /route_{number}")).in_scope(|| {
                    let text = format!("SELECT c{number} FROM t");
                    let elapsed = seconds(step + number);
                    tracing::debug!(
                        target: "sqlx::query",
                        summary = "SELECT …",
                        db.statement = &*text,
                        elapsed_secs = elapsed,
                    );
                });
            }
        }
    });
    profiler
}

/// The histograms that hotpath 0.30 keeps for each statement and each route.
fn hotpath() -> Vec<Histogram<u64>> {
    let mut histograms: Vec<_> = (0..2 * NAMES)
        .map(|_| Histogram::new_with_bounds(1, 1_000_000_000_000, 3).expect("valid bounds"))
        .collect();
    for (number, histogram) in (0_u64..).zip(&mut histograms) {
        for step in 0..EACH {
            histogram.saturating_record((1e9 * seconds(step + number)) as u64);
        }
    }
    histograms
}

pub(crate) fn histograms(_: &mut Criterion) {
    if !harness::is_wanted(ID) {
        return;
    }
    let (profiler, ours) = resident(ours);
    let snapshot = profiler.snapshot();
    let counts = (snapshot.queries().len(), snapshot.requests().len());
    assert_eq!(counts, (1_000, 1_000));
    let (histograms, hotpath) = resident(hotpath);
    assert!(histograms.iter().all(|histogram| histogram.len() == EACH));
    harness::record(ID, ours, hotpath, "bytes");
}
