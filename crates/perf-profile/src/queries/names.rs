//! The figures of requests by their name.
//!
//! A request finds its name's figures when it begins and keeps hold of them, so that its end costs neither a
//! hash nor a lock that requests of other names take.

use super::{Latency, RequestState, RequestStats};
use crate::finding::{Cause, Finding};
use crate::memory::MemoryStats;
use crate::rules::{Observation, Rule};
use crate::sql::Fingerprint;
use ahash::RandomState;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The names so far.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<Arc<str>, Arc<Named>, RandomState>);

/// What the ended requests of one name have shown.
#[derive(Debug, Default)]
pub(super) struct Named(Mutex<Figures>);

#[derive(Debug, Default)]
struct Figures {
    queries: u64,
    max_queries: u64,
    latency: Latency,
    memory: MemoryStats,
    findings: HashMap<(Rule, Fingerprint), Finding>,
}

const OTHER: &str = "<other>";

impl Names {
    /// The name and its figures; those of `"<other>"` for a new one beyond `most`.
    pub(super) fn of(&mut self, name: &str, most: usize) -> (Arc<str>, Arc<Named>) {
        if let Some((name, named)) = self.0.get_key_value(name) {
            return (Arc::clone(name), Arc::clone(named));
        }
        let own = Arc::from(name);
        let shared = if self.0.len() >= most {
            OTHER.into()
        } else {
            Arc::clone(&own)
        };
        (own, Arc::clone(self.0.entry(shared).or_default()))
    }

    /// Each name with its figures.
    pub(super) fn all(&self) -> Vec<(Arc<str>, Arc<Named>)> {
        let each = self.0.iter();
        each.map(|(name, named)| (Arc::clone(name), Arc::clone(named)))
            .collect()
    }
}

impl Named {
    /// Adds a request that has ended.
    pub(super) fn add(
        &self,
        request: &RequestState,
        latency: Duration,
        queries: u64,
        observations: &[Observation],
    ) {
        let mut figures = self.0.lock();
        figures.queries += queries;
        figures.max_queries = figures.max_queries.max(queries);
        figures.latency.record_exclusive(latency);
        figures.memory.merge(&request.memory());
        for observation in observations {
            let key = (observation.rule, observation.fingerprint);
            let finding = figures
                .findings
                .entry(key)
                .or_insert_with(|| new_finding(request, observation));
            finding.requests += 1;
            finding.time += observation.time;
            finding.repeats = finding.repeats.max(observation.repeats);
            finding.rows = finding.rows.max(observation.rows);
        }
    }

    /// The figures under this name; none while none of its requests has ended.
    pub(super) fn stats(&self, name: &str) -> Option<RequestStats> {
        let figures = self.0.lock();
        let latency = figures.latency.summary();
        (latency.count > 0).then(|| RequestStats {
            name: name.to_owned(),
            requests: latency.count,
            queries: figures.queries,
            max_queries: figures.max_queries,
            latency,
            distribution: figures.latency.distribution(),
            memory: figures.memory,
        })
    }

    pub(super) fn findings(&self) -> Vec<Finding> {
        self.0.lock().findings.values().cloned().collect()
    }
}

fn new_finding(request: &RequestState, observation: &Observation) -> Finding {
    let cause = observation.cause.map(|(fingerprint, rows)| Cause {
        fingerprint,
        statement: request.text_of(fingerprint),
        rows,
    });
    Finding {
        rule: observation.rule,
        request: (*request.name).to_owned(),
        requests: 0,
        fingerprint: observation.fingerprint,
        statement: request.text_of(observation.fingerprint),
        repeats: 0,
        rows: 0,
        time: Duration::ZERO,
        function: request.function_of(observation.fingerprint),
        cause,
    }
}
