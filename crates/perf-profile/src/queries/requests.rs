use super::{Latency, RequestState, RequestStats, SlowRequest};
use crate::builder::{Log, Settings};
use crate::finding::{Cause, Finding};
use crate::rules::{self, Observation, Rule};
use crate::sql::Fingerprint;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// What ended requests have shown, by their name.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    open: AtomicU64,
    ended: Notify,
    names: Mutex<HashMap<Arc<str>, Name>>,
}

/// The figures and findings of the requests of one name.
#[derive(Debug, Default)]
struct Name {
    queries: u64,
    max_queries: u64,
    latency: Latency,
    findings: HashMap<(Rule, Fingerprint), Finding>,
}

const OTHER: &str = "<other>";

impl Requests {
    pub(crate) fn open(&self, name: &str, settings: &Settings) -> Arc<RequestState> {
        self.open.fetch_add(1, Ordering::AcqRel);
        Arc::new(RequestState::new(name, settings.clock.now()))
    }

    pub(crate) fn close(&self, request: &RequestState, settings: &Settings) {
        let latency = settings.clock.now().since(request.started);
        let mut observations =
            request.analyse(|executions| rules::find(executions, settings.thresholds));
        observations.extend(request.pool_wait());
        if latency >= settings.slow_request {
            tell(request, latency, settings);
        }
        let mut names = self.names.lock();
        let full = names.len() >= settings.max_request_names;
        let name = if full && !names.contains_key(&request.name) {
            OTHER.into()
        } else {
            Arc::clone(&request.name)
        };
        names
            .entry(name)
            .or_default()
            .add(request, latency, &observations);
        drop(names);
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.ended.notify_waiters();
        }
    }

    pub(crate) async fn settled(&self) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            // Enrol before the check: a request that ends between the two must not be missed.
            ended.as_mut().enable();
            if self.open.load(Ordering::Acquire) == 0 {
                return;
            }
            ended.await;
        }
    }

    /// Requests that have not ended.
    pub(crate) fn open_count(&self) -> u64 {
        self.open.load(Ordering::Acquire)
    }

    /// The figures of each name, the slowest in total first.
    pub(crate) fn stats(&self) -> Vec<RequestStats> {
        let names = self.names.lock();
        let mut stats: Vec<_> = names
            .iter()
            .map(|(name, figures)| figures.stats(name))
            .collect();
        stats.sort_by(|a, b| {
            b.latency
                .sum
                .cmp(&a.latency.sum)
                .then_with(|| a.name.cmp(&b.name))
        });
        stats
    }

    /// All findings, by rule and then the costliest first.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let names = self.names.lock();
        let mut findings: Vec<_> = names
            .values()
            .flat_map(|name| name.findings.values().cloned())
            .collect();
        findings.sort_by(|a, b| {
            (a.rule, b.time)
                .cmp(&(b.rule, a.time))
                .then_with(|| a.statement.cmp(&b.statement))
        });
        findings
    }
}

impl Name {
    fn add(&mut self, request: &RequestState, latency: Duration, observations: &[Observation]) {
        let queries = request.queries();
        self.queries += queries;
        self.max_queries = self.max_queries.max(queries);
        self.latency.record(latency);
        for observation in observations {
            let key = (observation.rule, observation.fingerprint);
            let finding = self
                .findings
                .entry(key)
                .or_insert_with(|| new_finding(request, observation));
            finding.requests += 1;
            finding.time += observation.time;
            finding.repeats = finding.repeats.max(observation.repeats);
            finding.rows = finding.rows.max(observation.rows);
        }
    }

    fn stats(&self, name: &str) -> RequestStats {
        let latency = self.latency.summary();
        RequestStats {
            name: name.to_owned(),
            requests: latency.count,
            queries: self.queries,
            max_queries: self.max_queries,
            latency,
        }
    }
}

fn tell(request: &RequestState, elapsed: Duration, settings: &Settings) {
    if let Some(Log(log)) = &settings.slow_request_log {
        log(&SlowRequest {
            name: (*request.name).to_owned(),
            elapsed,
            queries: request.queries(),
        });
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
        cause,
    }
}
