use super::reader::{DAY, Section};
use std::time::Duration;

/// Breakers before other services.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CircuitBreakerSettings {
    /// The share of failed calls that opens one, above 0 to 1. Default: 0.5.
    pub failure_rate: f64,
    /// How many failures in a row open one; 0 for no such rule. Default: 5.
    pub consecutive_failures: u32,
    /// How long it stays open at first. Default: 5 s.
    pub open_for: Duration,
    /// How long a call may take. Default: not said.
    pub timeout: Option<Duration>,
    /// How many calls probe, 1 to 1,000. Default: 3.
    pub probes: u16,
}

impl CircuitBreakerSettings {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        let time = Duration::from_millis(1)..=DAY;
        Self {
            failure_rate: section.share("failure_rate").unwrap_or(0.5),
            consecutive_failures: section
                .count("consecutive_failures", 0..=1_000_000)
                .unwrap_or(5),
            open_for: section
                .time(
                    "open_for",
                    Duration::from_millis(1)..=Duration::from_secs(60),
                )
                .unwrap_or(Duration::from_secs(5)),
            timeout: section.time("timeout", time),
            probes: section.count("probes", 1..=1_000).unwrap_or(3),
        }
    }
}
