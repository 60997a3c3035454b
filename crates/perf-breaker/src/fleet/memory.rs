use super::{FleetReport, FleetStore, FleetView, Vote};
use crate::error::StoreError;
use async_trait::async_trait;
use parking_lot::Mutex;
use perf_core::{Clock, Moment, SystemClock};
use std::collections::HashMap;
use std::sync::Arc;

/// Word within one process: for tests, and as the model of all other stores. Clones share it.
#[derive(Clone, Debug)]
pub struct MemoryFleet {
    clock: Arc<dyn Clock>,
    fleets: Arc<Mutex<HashMap<String, Fleet>>>,
}

#[derive(Debug, Default)]
struct Fleet {
    members: HashMap<u64, Moment>,
    votes: HashMap<u64, Moment>,
    lease: Option<(u64, Moment)>,
}

impl MemoryFleet {
    /// No fleet yet, on the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(SystemClock)
    }

    /// No fleet yet, on `clock`.
    pub fn with_clock(clock: impl Clock) -> Self {
        Self {
            clock: Arc::new(clock),
            fleets: Arc::default(),
        }
    }
}

impl Default for MemoryFleet {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl FleetStore for MemoryFleet {
    async fn exchange(&self, fleet: &str, report: FleetReport) -> Result<FleetView, StoreError> {
        let mut fleets = self.fleets.lock();
        let fleet = fleets.entry(fleet.to_owned()).or_default();
        Ok(fleet.exchange(report, self.clock.now()))
    }
}

impl Fleet {
    fn exchange(&mut self, report: FleetReport, now: Moment) -> FleetView {
        let (member, end) = (report.member, now.saturating_add(report.life));
        self.members.retain(|_, end| *end > now);
        self.votes.retain(|_, end| *end > now);
        self.lease = self.lease.filter(|(_, end)| *end > now);
        self.members.insert(member, end);
        if report.has_recovered && self.is_held_by(member) {
            self.votes.clear();
            self.lease = None;
        }
        let stands = self.votes.contains_key(&member);
        match report.vote {
            Vote::Stands if !stands => {}
            Vote::Yes | Vote::Stands => drop(self.votes.insert(member, end)),
            Vote::No => drop(self.votes.remove(&member)),
        }
        let is_open = self.view(false).is_open(report.quorum);
        let may_probe = is_open && self.votes.contains_key(&member);
        if may_probe && self.lease.is_none_or(|(holder, _)| holder == member) {
            self.lease = Some((member, end));
        } else if !may_probe && self.is_held_by(member) {
            self.lease = None;
        }
        self.view(self.is_held_by(member))
    }

    fn is_held_by(&self, member: u64) -> bool {
        self.lease.is_some_and(|(holder, _)| holder == member)
    }

    fn view(&self, has_lease: bool) -> FleetView {
        let count = |map: &HashMap<u64, Moment>| u32::try_from(map.len()).unwrap_or(u32::MAX);
        FleetView::new(count(&self.members), count(&self.votes), has_lease)
    }
}
