//! What the clients saw, phase by phase.

use super::load::Load;
use perf_core::{Clock, Moment, SystemClock};
use std::time::Duration;

/// One client's request.
pub(super) struct Outcome {
    pub(super) at: Moment,
    pub(super) failed: bool,
}

/// Prints a line for each phase.
pub(super) struct Phases<'l> {
    load: &'l Load,
}

impl<'l> Phases<'l> {
    pub(super) fn new(load: &'l Load) -> Self {
        println!(
            "{:<24}{:>10}{:>10}{:>12}{:>18}",
            "", "requests", "failed", "error rate", "last error after"
        );
        load.outcomes();
        Self { load }
    }

    pub(super) async fn run(&mut self, name: &str, length: Duration) {
        let began = SystemClock.now();
        SystemClock.sleep(length).await;
        let outcomes = self.load.outcomes();
        let failed: Vec<_> = outcomes.iter().filter(|outcome| outcome.failed).collect();
        let last = failed.last().map(|outcome| outcome.at.since(began));
        let last = last.map_or_else(|| "-".to_owned(), |last| format!("{last:.2?}"));
        let rate = 100.0 * failed.len() as f64 / outcomes.len().max(1) as f64;
        println!(
            "{name:<24}{:>10}{:>10}{:>11.1}%{:>18}",
            outcomes.len(),
            failed.len(),
            rate,
            last
        );
    }
}
