use super::{RequestState, RequestStats};
use crate::builder::Settings;
use crate::finding::{Cause, Finding, Rule};
use crate::n_plus_one::{self, Repetition};
use crate::sql::Fingerprint;
use parking_lot::Mutex;
use perf_core::Histogram;
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
    latency: Box<Histogram>,
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
        let repetitions =
            request.analyse(|executions| n_plus_one::find(executions, settings.repetition));
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
            .add(request, latency, &repetitions);
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

    /// All findings, the costliest first.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let names = self.names.lock();
        let mut findings: Vec<_> = names
            .values()
            .flat_map(|name| name.findings.values().cloned())
            .collect();
        findings.sort_by(|a, b| {
            b.time
                .cmp(&a.time)
                .then_with(|| a.statement.cmp(&b.statement))
        });
        findings
    }
}

impl Name {
    fn add(&mut self, request: &RequestState, latency: Duration, repetitions: &[Repetition]) {
        let queries = request.queries();
        self.queries += queries;
        self.max_queries = self.max_queries.max(queries);
        self.latency.record_duration(latency);
        for repetition in repetitions {
            let key = (Rule::NPlusOne, repetition.fingerprint);
            let finding = self
                .findings
                .entry(key)
                .or_insert_with(|| new_finding(request, repetition));
            finding.requests += 1;
            finding.time += repetition.time;
            finding.repeats = finding.repeats.max(repetition.repeats);
        }
    }

    fn stats(&self, name: &str) -> RequestStats {
        let latency = self.latency.snapshot().summary();
        RequestStats {
            name: name.to_owned(),
            requests: latency.count,
            queries: self.queries,
            max_queries: self.max_queries,
            latency,
        }
    }
}

fn new_finding(request: &RequestState, repetition: &Repetition) -> Finding {
    let cause = repetition.cause.map(|(fingerprint, rows)| Cause {
        fingerprint,
        statement: request.text_of(fingerprint),
        rows,
    });
    Finding {
        rule: Rule::NPlusOne,
        request: (*request.name).to_owned(),
        requests: 0,
        fingerprint: repetition.fingerprint,
        statement: request.text_of(repetition.fingerprint),
        repeats: 0,
        time: Duration::ZERO,
        cause,
    }
}
