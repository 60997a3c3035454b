use super::lost::LOST;
use super::{Latency, RequestState, RequestStats, SlowRequest, Timeline};
use crate::builder::Settings;
use crate::finding::{Cause, Finding};
use crate::memory::MemoryStats;
use crate::rules::{self, Observation, Rule};
use crate::sql::Fingerprint;
use parking_lot::Mutex;
use perf_core::Moment;
use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::Notify;
use tracing::dispatcher::WeakDispatch;
use tracing::span::Id;

/// What ended requests have shown, by their name.
#[derive(Debug)]
pub(crate) struct Requests {
    open: Mutex<Open>,
    ended: Notify,
    names: Mutex<HashMap<Arc<str>, Name>>,
    pub(crate) timeline: Timeline,
}

/// The requests that have not ended, by the number that each was given when it began.
#[derive(Debug, Default)]
struct Open {
    begun: u64,
    requests: BTreeMap<u64, Arc<RequestState>>,
    /// The last one that was asked whether it is abandoned.
    asked: u64,
}

impl Open {
    /// The requests in turns. Each that begins asks one other, so that none stays abandoned for long.
    fn next(&mut self) -> Option<Arc<RequestState>> {
        let (number, request) = self
            .requests
            .range(self.asked + 1..)
            .next()
            .or_else(|| self.requests.first_key_value())?;
        self.asked = *number;
        Some(Arc::clone(request))
    }
}

/// The figures and findings of the requests of one name.
#[derive(Debug, Default)]
struct Name {
    queries: u64,
    max_queries: u64,
    latency: Latency,
    memory: MemoryStats,
    findings: HashMap<(Rule, Fingerprint), Finding>,
}

const OTHER: &str = "<other>";

impl Requests {
    /// No requests since `start`.
    pub(crate) fn since(start: Moment) -> Self {
        Self {
            open: Mutex::default(),
            ended: Notify::default(),
            names: Mutex::default(),
            timeline: Timeline::new(start),
        }
    }

    /// Begins the request of the span with this identifier.
    pub(crate) fn open(
        &self,
        name: &str,
        span: &Id,
        dispatch: Option<WeakDispatch>,
        settings: &Settings,
    ) -> Arc<RequestState> {
        let mut open = self.open.lock();
        let other = open.next();
        open.begun += 1;
        let number = open.begun;
        let request = RequestState::new(name, span.clone(), dispatch, number, &settings.clock);
        let request = Arc::new(request);
        open.requests.insert(request.number, Arc::clone(&request));
        drop(open);
        self.end_if_abandoned(other.as_slice(), settings);
        request
    }

    /// Ends those of the open requests that only a lost span holds open.
    pub(crate) fn sweep(&self, settings: &Settings) {
        let requests: Vec<_> = self.open.lock().requests.values().cloned().collect();
        self.end_if_abandoned(&requests, settings);
    }

    fn end_if_abandoned(&self, requests: &[Arc<RequestState>], settings: &Settings) {
        let now = settings.clock.now();
        for request in requests {
            if let Some(ended) = request.abandoned(now) {
                self.close(request, ended, settings);
            }
        }
    }

    /// Judges the request, unless it has ended before.
    pub(crate) fn close(&self, request: &RequestState, now: Moment, settings: &Settings) {
        if !request.end() {
            return;
        }
        let latency = now.since(request.started);
        let mut observations =
            request.analyse(|executions| rules::find(executions, settings.thresholds));
        observations.extend(request.pool_wait());
        if latency >= settings.slow_request {
            tell(request, latency, settings);
        }
        self.timeline.record(now, latency, request.queries());
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
        self.open.lock().requests.remove(&request.number);
        self.ended.notify_waiters();
    }

    /// The open request of this span.
    pub(crate) fn of(&self, span: &Id) -> Option<Arc<RequestState>> {
        let open = self.open.lock();
        let found = open.requests.values().find(|request| request.span == *span);
        found.map(Arc::clone)
    }

    /// Waits until all requests that are open now have ended, at most for `limit`; tells whether they have.
    pub(crate) async fn settled(&self, limit: Duration, settings: &Settings) -> bool {
        let begun = self.open.lock().begun;
        self.have_ended(0..=begun, limit, settings).await
    }

    /// Waits until the requests of these numbers have ended, at most for `limit`; tells whether they have.
    pub(crate) async fn have_ended(
        &self,
        numbers: RangeInclusive<u64>,
        limit: Duration,
        settings: &Settings,
    ) -> bool {
        let mut limit = settings.clock.sleep(limit);
        loop {
            self.sweep(settings);
            let mut next_sweep = settings.clock.sleep(LOST);
            let ended = self.ended.notified();
            tokio::pin!(ended);
            // Enrol before the check: a request that ends between the two must not be missed.
            ended.as_mut().enable();
            if self
                .open
                .lock()
                .requests
                .range(numbers.clone())
                .next()
                .is_none()
            {
                return true;
            }
            let elapsed = poll_fn(|context| {
                if limit.as_mut().poll(context).is_ready() {
                    return Poll::Ready(true);
                }
                let ended = ended.as_mut().poll(context).is_ready();
                let again = ended || next_sweep.as_mut().poll(context).is_ready();
                if again {
                    Poll::Ready(false)
                } else {
                    Poll::Pending
                }
            });
            if elapsed.await {
                return false;
            }
        }
    }

    /// Requests that have not ended.
    pub(crate) fn open_count(&self) -> usize {
        self.open.lock().requests.len()
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

    /// All findings that are not accepted, by rule and then the costliest first.
    pub(crate) fn findings(&self, settings: &Settings) -> Vec<Finding> {
        let names = self.names.lock();
        let mut findings: Vec<_> = names
            .values()
            .flat_map(|name| name.findings.values().cloned())
            .collect();
        // Without the lock, since this is not our code.
        drop(names);
        findings.retain(|finding| !settings.accepted.has(finding));
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
        self.memory.merge(&request.memory());
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
            distribution: self.latency.distribution(),
            memory: self.memory,
        }
    }
}

fn tell(request: &RequestState, elapsed: Duration, settings: &Settings) {
    if let Some(log) = &settings.slow_request_log {
        log.tell(&SlowRequest {
            name: (*request.name).to_owned(),
            elapsed,
            queries: request.queries(),
            memory: request.memory(),
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
        function: request.function_of(observation.fingerprint),
        cause,
    }
}
