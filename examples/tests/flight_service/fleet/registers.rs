//! What was written, what of it was acknowledged when, and what a read may hence show.

use super::{SLACK, WINDOW};
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

/// The history of one register.
#[derive(Debug, Default)]
pub(super) struct Register {
    /// Values and when they were acknowledged, in their order.
    acknowledged: Vec<(u64, Duration)>,
    /// Written, but nobody knows whether.
    unknown: Option<u64>,
}

/// All registers, by flight.
#[derive(Debug, Default)]
pub(super) struct Registers(Mutex<HashMap<u64, Register>>);

impl Registers {
    pub(super) fn acknowledge(&self, flight: u64, value: u64, now: Duration) {
        let mut registers = self.0.lock().unwrap();
        let register = registers.entry(flight).or_default();
        register.acknowledged.push((value, now));
    }

    pub(super) fn give_up(&self, flight: u64, value: u64) {
        let mut registers = self.0.lock().unwrap();
        registers.entry(flight).or_default().unknown = Some(value);
    }

    /// How long ago at `began` what a read did not show had been acknowledged; `None` if it showed everything.
    pub(super) fn age(&self, flight: u64, seen: Option<u64>, began: Duration) -> Option<Duration> {
        let registers = self.0.lock().unwrap();
        let acknowledged = &registers.get(&flight)?.acknowledged;
        let unseen = acknowledged.iter().find(|(value, _)| Some(*value) > seen);
        unseen.and_then(|(_, at)| began.checked_sub(*at))
    }

    /// Whether a read may be as old as that.
    pub(super) fn is_stale(age: Duration) -> bool {
        age > WINDOW + SLACK
    }

    /// Whether this may be what is left in the end.
    pub(super) fn may_end_with(&self, flight: u64, value: Option<u64>) -> bool {
        let registers = self.0.lock().unwrap();
        let register = &registers[&flight];
        let last = register.acknowledged.last().map(|(value, _)| *value);
        last.is_none() || value == last || (value.is_some() && value == register.unknown)
    }

    pub(super) fn flights(&self) -> Vec<u64> {
        self.0.lock().unwrap().keys().copied().collect()
    }

    pub(super) fn acknowledged(&self) -> usize {
        let registers = self.0.lock().unwrap();
        registers
            .values()
            .map(|register| register.acknowledged.len())
            .sum()
    }
}
