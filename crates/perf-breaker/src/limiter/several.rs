use super::rule::Rule;
use super::{Decision, Gcra};
use crate::quota::{Limit, Quota};
use crate::sync::Mutex;
use crate::timeline::Timeline;
use perf_core::{Clock, Moment};

/// Limits that must all admit a call, or that can change, under one lock.
#[derive(Debug)]
pub(super) struct Several(Mutex<Cells>);

/// An arrival time for each limit.
type Cells = Box<[(Rule, u64)]>;

impl Several {
    /// With nothing taken.
    pub(super) fn new(quota: &Quota) -> Self {
        let rules = quota.limits().iter().map(Rule::new);
        Self(Mutex::new(rules.map(|rule| (rule, 0)).collect()))
    }

    /// Takes `cost` from all limits or from none.
    pub(super) fn take(&self, time: &Timeline<impl Clock>, cost: u32) -> Decision {
        let mut cells = self.0.lock();
        // Read under the lock: with a reading older than another's, less would have come back.
        let now = time.now();
        let decision = judge(&cells, now, cost);
        if decision.is_allowed() {
            for (rule, arrival) in &mut *cells {
                *arrival = rule.decide(*arrival, now, cost).0;
            }
        }
        decision
    }

    /// What would be said of `cost` calls now.
    pub(super) fn look(&self, time: &Timeline<impl Clock>, cost: u32) -> Decision {
        let cells = self.0.lock();
        judge(&cells, time.now(), cost)
    }

    pub(super) fn refund(&self, cost: u32) {
        for (rule, arrival) in &mut *self.0.lock() {
            *arrival = rule.gcra.give_back(*arrival, cost);
        }
    }

    pub(super) fn quota(&self) -> Quota {
        Quota::of_rules(self.0.lock().iter().map(|(rule, _)| rule.limit))
    }

    /// The least burst of all limits.
    pub(super) fn burst(&self) -> u32 {
        let cells = self.0.lock();
        let bursts = cells.iter().map(|(rule, _)| rule.limit.burst());
        bursts.min().unwrap_or(0)
    }

    /// Puts other limits in force. `adopt` may know the first one's arrival time better.
    pub(super) fn change(
        &self,
        quota: &Quota,
        time: &Timeline<impl Clock>,
        adopt: impl FnOnce() -> Option<u64>,
    ) {
        let mut cells = self.0.lock();
        if let Some(arrival) = adopt() {
            cells[0].1 = arrival;
        }
        let now = time.now();
        let before = &*cells;
        let change = |(place, limit): (usize, &Limit)| {
            let rule = Rule::new(limit);
            let arrival = match before.get(place) {
                Some((old, arrival)) => convert(*arrival, now, &old.gcra, &rule.gcra),
                None => 0,
            };
            (rule, arrival)
        };
        let changed = quota.limits().iter().enumerate().map(change).collect();
        *cells = changed;
    }
}

/// What the limit that matters says.
fn judge(cells: &[(Rule, u64)], now: Moment, cost: u32) -> Decision {
    let decide = |(rule, arrival): &(Rule, u64)| rule.decide(*arrival, now, cost).1;
    cells
        .iter()
        .map(decide)
        .reduce(Decision::graver)
        .expect("a quota has at least one limit")
}

/// The same arrival time in the parts of another limit, rounded up, and no later than that limit's latest.
fn convert(arrival: u64, now: Moment, from: &Gcra, to: &Gcra) -> u64 {
    let ahead = from.duration(arrival.saturating_sub(from.instant(now)));
    let latest = to.latest(to.instant(now));
    to.instant(now.saturating_add(ahead)).min(latest)
}
