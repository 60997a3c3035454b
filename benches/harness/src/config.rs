use criterion::Criterion;
use std::env;
use std::time::Duration;

/// Whether a short answer is wanted: `cargo xtask bench --quick` sets `PERF_BENCH_QUICK`.
///
/// A benchmark with its own loops scales them by this, so that a crate's quick run ends within five
/// minutes.
#[must_use]
pub fn is_quick() -> bool {
    env::var_os("PERF_BENCH_QUICK").is_some()
}

/// Criterion as every benchmark here configures it: short in a quick run, 4 s a function otherwise.
#[must_use]
pub fn criterion() -> Criterion {
    let (warm_up, measurement, samples) = if is_quick() {
        (Duration::from_millis(200), Duration::from_millis(600), 10)
    } else {
        (Duration::from_secs(1), Duration::from_secs(3), 50)
    };
    Criterion::default()
        .warm_up_time(warm_up)
        .measurement_time(measurement)
        .sample_size(samples)
        .without_plots()
}

/// Whether the process was started by `cargo bench`, not by `cargo test` to see that it runs.
pub(crate) fn is_measuring() -> bool {
    env::args().any(|argument| argument == "--bench")
}

/// Whether a benchmark that criterion does not time is asked for: measured at all, and let through by the filter.
#[must_use]
pub fn is_wanted(id: &str) -> bool {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let mut filters = arguments
        .iter()
        .filter(|argument| !argument.starts_with('-'))
        .peekable();
    is_measuring() && (filters.peek().is_none() || filters.any(|filter| id.contains(filter)))
}
