use super::lost::LOST;
use super::names::Names;
use super::{RequestState, RequestStats, SlowRequest, Timeline};
use crate::builder::Settings;
use crate::finding::Finding;
use parking_lot::Mutex;
use perf_core::Moment;
use std::future::poll_fn;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::Notify;

/// What ended requests have shown, by their name.
#[derive(Debug)]
pub(crate) struct Requests {
    open: Mutex<Open>,
    ended: Notify,
    /// How many wait for requests to end.
    waiting: AtomicUsize,
    pub(crate) timeline: Timeline,
}

/// The requests that have not ended.
#[derive(Debug, Default)]
struct Open {
    begun: u64,
    /// A place each, as many as there ever were at once.
    places: Vec<Option<Arc<RequestState>>>,
    free: Vec<usize>,
    /// The place that was last asked whether its request is abandoned.
    asked: usize,
    names: Names,
}

impl Open {
    fn begin(&mut self, new: impl FnOnce((u64, usize)) -> RequestState) -> Arc<RequestState> {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        self.begun += 1;
        let request = Arc::new(new((self.begun, place)));
        self.places[place] = Some(Arc::clone(&request));
        request
    }

    fn end(&mut self, request: &RequestState) -> Option<Arc<RequestState>> {
        self.free.push(request.place);
        self.places[request.place].take()
    }

    fn all(&self) -> impl Iterator<Item = &Arc<RequestState>> {
        self.places.iter().flatten()
    }

    /// A request whose scope has gone before its span, if the next place in turn has one. Each request that
    /// begins asks one place, so that none stays abandoned for long.
    fn left(&mut self) -> Option<Arc<RequestState>> {
        self.asked = (self.asked + 1) % self.places.len().max(1);
        let next = self.places.get(self.asked)?.as_ref();
        next.filter(|request| request.is_left()).map(Arc::clone)
    }
}

/// Somebody who waits for requests to end, for as long as this lives.
struct Waiting<'r>(&'r AtomicUsize);

impl<'r> Waiting<'r> {
    fn among(waiting: &'r AtomicUsize) -> Self {
        waiting.fetch_add(1, Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Requests {
    /// No requests since `start`.
    pub(crate) fn since(start: Moment) -> Self {
        Self {
            open: Mutex::default(),
            ended: Notify::default(),
            waiting: AtomicUsize::new(0),
            timeline: Timeline::new(start),
        }
    }

    /// Begins a request.
    pub(crate) fn open(&self, name: &str, settings: &Settings) -> Arc<RequestState> {
        let now = settings.clock.now();
        let mut open = self.open.lock();
        let left = open.left();
        let named = open.names.of(name, settings.max_request_names);
        let clock = Arc::clone(&settings.clock);
        let request = open.begin(|number| RequestState::new(named, number, now, clock));
        drop(open);
        if let Some(left) = left {
            self.end_if_abandoned(&left, now, settings);
        }
        request
    }

    /// Ends those of the open requests that only a lost span holds open.
    pub(crate) fn sweep(&self, settings: &Settings) {
        let requests: Vec<_> = self.open.lock().all().cloned().collect();
        let now = settings.clock.now();
        for request in requests {
            self.end_if_abandoned(&request, now, settings);
        }
    }

    fn end_if_abandoned(&self, request: &RequestState, now: Moment, settings: &Settings) {
        if let Some(ended) = request.abandoned(now) {
            self.close(request, ended, settings);
        }
    }

    /// Judges the request, unless it has ended before.
    pub(crate) fn close(&self, request: &RequestState, now: Moment, settings: &Settings) {
        if !request.end() {
            return;
        }
        let latency = now.since(request.started);
        let (queries, observations) = request.judge(settings.thresholds);
        if latency >= settings.slow_request {
            tell(request, latency, settings);
        }
        self.timeline.record(now, latency, queries);
        request.named.add(request, latency, queries, &observations);
        let ended = self.open.lock().end(request);
        drop(ended);
        // Whoever waits says so before it looks at what is open, under the lock that has just been released.
        if self.waiting.load(Relaxed) > 0 {
            self.ended.notify_waiters();
        }
    }

    /// That of some requests which is open here.
    pub(crate) fn own<'r>(
        &self,
        requests: impl IntoIterator<Item = &'r Arc<RequestState>>,
    ) -> Option<Arc<RequestState>> {
        let open = self.open.lock();
        let is_own = |request: &&Arc<RequestState>| {
            let place = open.places.get(request.place);
            place.is_some_and(|own| own.as_ref().is_some_and(|own| Arc::ptr_eq(own, request)))
        };
        requests.into_iter().find(is_own).map(Arc::clone)
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
        let _waiting = Waiting::among(&self.waiting);
        let mut limit = settings.clock.sleep(limit);
        loop {
            self.sweep(settings);
            let mut next_sweep = settings.clock.sleep(LOST);
            let ended = self.ended.notified();
            tokio::pin!(ended);
            // Enrol before the check: a request that ends between the two must not be missed.
            ended.as_mut().enable();
            let is_open = |request: &Arc<RequestState>| numbers.contains(&request.number);
            if !self.open.lock().all().any(is_open) {
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

    /// Forgets what has ended until `now`.
    pub(crate) fn forget(&self, now: Moment) {
        self.open.lock().names = Names::default();
        self.timeline.begin(now);
    }

    /// Requests that have not ended.
    pub(crate) fn open_count(&self) -> usize {
        self.open.lock().all().count()
    }

    /// The figures of each name, the slowest in total first.
    pub(crate) fn stats(&self) -> Vec<RequestStats> {
        let names = self.open.lock().names.all();
        let stats = names.iter().filter_map(|(name, named)| named.stats(name));
        let mut stats: Vec<_> = stats.collect();
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
        let names = self.open.lock().names.all();
        let findings = names.iter().flat_map(|(_, named)| named.findings());
        let mut findings: Vec<_> = findings.collect();
        // Without a lock, since this is not our code.
        findings.retain(|finding| !settings.accepted.has(finding));
        findings.sort_by(|a, b| {
            (a.rule, b.time)
                .cmp(&(b.rule, a.time))
                .then_with(|| a.statement.cmp(&b.statement))
        });
        findings
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
