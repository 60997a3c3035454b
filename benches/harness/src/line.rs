use serde_json::json;
use std::env;
use std::fs::OpenOptions;
use std::io::Write;

/// Records a cost, where lower is better: nanoseconds, bytes, statements.
///
/// `id` is `crate/operation/workload/peer`, `unit` the unit of `ours` and `peer`. The ratio of the
/// report is `ours / peer`.
///
/// # Panics
///
/// When the figures cannot be compared (not finite, or the divisor not above zero), or the report
/// cannot be written.
pub fn record(id: &str, ours: f64, peer: f64, unit: &str) {
    write(id, ours, peer, ours / peer, unit);
}

/// Records a rate, where higher is better: rows a second, hits of a hundred lookups.
///
/// As [`record`], with the ratio turned round to `peer / ours`, so that below 1 is better here too.
///
/// # Panics
///
/// As [`record`].
pub fn record_rate(id: &str, ours: f64, peer: f64, unit: &str) {
    write(id, ours, peer, peer / ours, unit);
}

/// Appends the line to the file that `PERF_BENCH_RECORDS` names, else shows it.
pub(crate) fn write(id: &str, ours: f64, peer: f64, ratio: f64, unit: &str) {
    assert_eq!(
        id.split('/').count(),
        4,
        "{id} is not crate/operation/workload/peer"
    );
    assert!(
        ratio.is_finite(),
        "{id}: {ours} and {peer} {unit} have no ratio"
    );
    let line = json!({ "id": id, "ours": ours, "peer": peer, "ratio": ratio, "unit": unit });
    let Some(path) = env::var_os("PERF_BENCH_RECORDS") else {
        eprintln!("{line}");
        return;
    };
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|mut file| writeln!(file, "{line}"))
        .unwrap_or_else(|error| panic!("cannot record {line}: {error}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "is not crate/operation/workload/peer")]
    fn an_id_without_peer_is_refused() {
        record("core/histogram_record/uniform", 1.0, 2.0, "ns");
    }

    #[test]
    #[should_panic(expected = "have no ratio")]
    fn a_peer_of_zero_is_refused() {
        record("core/histogram_record/uniform/none", 1.0, 0.0, "ns");
    }
}
