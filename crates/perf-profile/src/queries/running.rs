use super::RunningQuery;
use super::book::Book;
use parking_lot::Mutex;
use perf_core::Moment;
use std::collections::BTreeMap;

/// The last number given out, and by their numbers the statements that have begun and not ended.
pub(super) type Register = Mutex<(u64, BTreeMap<u64, (Moment, RunningQuery)>)>;

impl Book {
    /// The statements that are running, the oldest first.
    pub(crate) fn running(&self, now: Moment) -> Vec<RunningQuery> {
        let register = self.running.lock();
        let running = register.1.values();
        let running = running.map(|(started, query)| RunningQuery {
            elapsed: now.since(*started),
            ..query.clone()
        });
        running.collect()
    }
}
