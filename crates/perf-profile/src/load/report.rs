use perf_core::{Snapshot, Summary};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What became of a load test. Its `Display` is a table for people.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LoadReport {
    /// From the end of the warm-up until the last answer.
    pub elapsed: Duration,
    /// How many requests succeeded.
    pub succeeded: u64,
    /// How many failed, by reason: at most 32 reasons, further ones count as `"other"`.
    pub failures: BTreeMap<String, u64>,
    /// How many requests were due but had to wait because too many were unanswered. Their latency counts
    /// that wait.
    pub delayed: u64,
    /// From the moment each request was due until it was answered, failed ones included.
    pub latency: Snapshot,
    /// From the moment each request was sent until it was answered.
    pub service: Snapshot,
    /// From the moment each request was due until it was sent: how late the generator was itself. Where
    /// this is not small beside the latency, the generator is the bottleneck.
    pub lag: Snapshot,
    /// The run in 60 slices of equal length, by when requests were due.
    pub timeline: Vec<LoadSlice>,
}

/// One slice of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct LoadSlice {
    /// From the end of the warm-up.
    pub start: Duration,
    /// How long it is.
    pub length: Duration,
    /// How many requests due in it succeeded.
    pub succeeded: u64,
    /// Latencies of all requests due in it.
    pub latency: Summary,
}

impl LoadReport {
    /// How many requests failed for any reason.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// The share of requests that failed, 0 to 1; 0 when none was sent.
    #[must_use]
    pub fn error_rate(&self) -> f64 {
        let failed = self.failed();
        let sent = failed + self.succeeded;
        if sent == 0 {
            0.0
        } else {
            failed as f64 / sent as f64
        }
    }

    /// Successful requests a second.
    #[must_use]
    pub fn throughput(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 {
            self.succeeded as f64 / seconds
        } else {
            0.0
        }
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64();
        writeln!(
            f,
            "{} succeeded, {} failed in {seconds:.1} s: {:.1} requests/s",
            self.succeeded,
            self.failed(),
            self.throughput()
        )?;
        writeln!(
            f,
            "{:<10}{:>12}{:>12}{:>12}{:>12}{:>12}",
            "", "p50", "p95", "p99", "p99.9", "max"
        )?;
        for (name, snapshot) in [
            ("latency", &self.latency),
            ("service", &self.service),
            ("lag", &self.lag),
        ] {
            let Summary {
                p50,
                p95,
                p99,
                p999,
                max,
                ..
            } = snapshot.summary();
            write!(f, "{name:<10}")?;
            for duration in [p50, p95, p99, p999, max] {
                // A duration ignores the width that it is given, text does not.
                write!(f, "{:>12}", format!("{duration:.1?}"))?;
            }
            writeln!(f)?;
        }
        for (reason, count) in &self.failures {
            writeln!(f, "{count:>10} x {reason}")?;
        }
        if self.delayed > 0 {
            writeln!(
                f,
                "{:>10} requests had to wait for others to be answered",
                self.delayed
            )?;
        }
        Ok(())
    }
}
