//! The one who talks to the backend.

use super::agenda::Agenda;
use super::figures::Figures;
use super::run::{Bench, Finished};
use crate::error::TaskError;
use crate::tasks::{Claim, Exchange, Lease, Outcome, Settlement, TaskId, TaskQueue};
use perf_core::{Clock, Moment};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinError, JoinSet};

/// How long reports and free handlers wait for more of their kind.
const LINGER: Duration = Duration::from_millis(1);
/// How long the backend is left alone after it failed.
const RECOVERY: Duration = Duration::from_secs(1);
/// How often finished tasks are forgotten and the rest counted.
const HOUSEKEEPING: Duration = Duration::from_secs(30);

/// What the worker's owner wants.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    Work,
    Drain { by: Moment },
}

/// How a worker was set up.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) concurrency: usize,
    pub(super) lease: Duration,
    pub(super) poll: Duration,
}

pub(super) struct Coordinator {
    queue: TaskQueue,
    settings: Settings,
    bench: Arc<Bench>,
    agenda: Agenda,
    arrivals: watch::Receiver<()>,
    orders: watch::Receiver<Order>,
    runs: JoinSet<Finished>,
    held: HashMap<TaskId, Held>,
    reports: Vec<Settlement>,
    /// Since when there is something to exchange.
    ready_since: Option<Moment>,
    /// Whether tasks may be waiting.
    hungry: bool,
    next_look: Moment,
    next_renewal: Moment,
    next_agenda: Moment,
    next_housekeeping: Moment,
    /// Until when the backend is left alone.
    recovers: Moment,
}

/// A task that runs here.
struct Held {
    lease: Lease,
    /// Until when the lease is known to hold.
    until: Moment,
    run: AbortHandle,
}

/// What to do next.
enum Step {
    Renew,
    Exchange,
    Look,
    Agenda,
    Housekeeping,
}

impl Coordinator {
    pub(super) fn new(
        queue: TaskQueue,
        settings: Settings,
        bench: Arc<Bench>,
        agenda: Agenda,
        orders: watch::Receiver<Order>,
    ) -> Self {
        let now = queue.clock().now();
        Self {
            arrivals: queue.backend().arrivals(),
            queue,
            settings,
            bench,
            agenda,
            orders,
            runs: JoinSet::new(),
            held: HashMap::new(),
            reports: Vec::new(),
            ready_since: None,
            hungry: true,
            next_look: now,
            next_renewal: Moment::NEVER,
            next_agenda: now,
            next_housekeeping: now,
            recovers: now,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            let now = self.clock().now();
            self.obey(now);
            if self.is_over(now) {
                return;
            }
            let step = if now < self.recovers {
                None
            } else {
                self.due(now)
            };
            let Some(step) = step else {
                self.wait(now).await;
                continue;
            };
            let done = match step {
                Step::Renew => self.renew(now).await,
                Step::Exchange => self.exchange().await,
                Step::Look => self.look(now).await,
                Step::Agenda => self.keep_agenda(now).await,
                Step::Housekeeping => self.keep_house(now).await,
            };
            if let Err(error) = done {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the tasks' backend failed"
                );
                self.figures().failures.fetch_add(1, Relaxed);
                self.recovers = self.clock().now().saturating_add(RECOVERY);
            }
        }
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(self.queue.clock())
    }

    fn figures(&self) -> &Figures {
        &self.bench.figures
    }

    fn drains_by(&self) -> Option<Moment> {
        match *self.orders.borrow() {
            Order::Work => None,
            Order::Drain { by } => Some(by),
        }
    }

    /// Stops what still runs when the time for draining is over.
    fn obey(&mut self, now: Moment) {
        if self.drains_by().is_some_and(|by| by <= now) {
            self.runs.abort_all();
            let released = self.held.drain();
            let released = released.map(|(_, held)| Settlement::new(held.lease, Outcome::Released));
            self.reports.extend(released);
        }
    }

    /// Whether it is drained. A backend that fails is not waited for beyond the time for draining.
    fn is_over(&self, now: Moment) -> bool {
        let Some(by) = self.drains_by() else {
            return false;
        };
        let gives_up = by <= now && now < self.recovers;
        self.held.is_empty() && (self.reports.is_empty() || gives_up)
    }

    fn free(&self) -> usize {
        match self.drains_by() {
            Some(_) => 0,
            None => self.settings.concurrency - self.held.len(),
        }
    }

    fn due(&mut self, now: Moment) -> Option<Step> {
        if now >= self.next_renewal && !self.held.is_empty() {
            return Some(Step::Renew);
        }
        if self.exchange_is_due(now) {
            return Some(Step::Exchange);
        }
        if self.drains_by().is_some() {
            return None;
        }
        let steps = [
            (self.next_look, Step::Look),
            (self.next_agenda, Step::Agenda),
            (self.next_housekeeping, Step::Housekeeping),
        ];
        steps
            .into_iter()
            .find(|(at, _)| *at <= now)
            .map(|(_, step)| step)
    }

    fn exchange_is_due(&mut self, now: Moment) -> bool {
        let wanted = if self.hungry { self.free() } else { 0 };
        if self.reports.is_empty() && wanted == 0 {
            self.ready_since = None;
            return false;
        }
        let since = *self.ready_since.get_or_insert(now);
        let half = self.settings.concurrency.div_ceil(2);
        self.held.is_empty()
            || self.reports.len() >= half
            || wanted >= half
            || now.since(since) >= LINGER
    }

    async fn exchange(&mut self) -> Result<(), TaskError> {
        let wanted = if self.hungry { self.free() } else { 0 };
        // Few different limits make few different statements.
        let limit = wanted.checked_ilog2().map_or(0, |power| 1 << power);
        let Settings { name, lease, .. } = &self.settings;
        let claim = Claim::new(name, limit, self.queue.now(), *lease);
        // Time passes while the backend works: the lease counts from before.
        let until = self.clock().now().saturating_add(*lease);
        let backend = self.queue.backend();
        let exchange = backend
            .exchange(self.queue.name(), &self.reports, &claim)
            .await?;
        self.ready_since = None;
        self.figures().exchanges.fetch_add(1, Relaxed);
        let refused = exchange.refused.len();
        Figures::add(&self.figures().reports_refused, refused);
        if !self.reports.is_empty() {
            self.reports.clear();
            self.queue.tell_finished();
        }
        if limit > 0 {
            self.hungry = exchange.claimed.len() == limit;
        }
        self.begin(exchange, until, &claim);
        Ok(())
    }

    /// Starts what was claimed.
    fn begin(&mut self, exchange: Exchange, until: Moment, claim: &Claim) {
        if self.held.is_empty() && !exchange.claimed.is_empty() {
            let third = self.settings.lease / 3;
            self.next_renewal = self.clock().now().saturating_add(third);
        }
        Figures::add(&self.figures().claimed, exchange.claimed.len());
        for claimed in exchange.claimed {
            let waited = claim.now.duration_since(claimed.run_at).unwrap_or_default();
            self.figures().wait.record_duration(waited);
            let lease = claimed.lease;
            let run = self.runs.spawn(Arc::clone(&self.bench).run(claimed));
            self.held.insert(lease.id, Held { lease, until, run });
        }
        self.figures().running.store(self.held.len(), Relaxed);
    }

    /// Lets tasks wait that are due or whose worker is gone.
    async fn look(&mut self, now: Moment) -> Result<(), TaskError> {
        let wall = self.queue.now();
        let backend = self.queue.backend();
        let promotion = backend.promote(self.queue.name(), wall).await?;
        let expired = usize::try_from(promotion.expired).unwrap_or(usize::MAX);
        Figures::add(&self.figures().leases_expired, expired);
        // Tasks of other processes may have arrived unheard.
        self.hungry = true;
        let next = promotion
            .next
            .map(|next| next.duration_since(wall).unwrap_or_default());
        let pause = next.map_or(self.settings.poll, |next| next.min(self.settings.poll));
        // A due task that another transaction holds is not asked for at once again.
        self.next_look = now.saturating_add(pause.max(LINGER));
        Ok(())
    }

    async fn renew(&mut self, now: Moment) -> Result<(), TaskError> {
        let leases: Vec<_> = self.held.values().map(|held| held.lease).collect();
        let until = self.queue.now() + self.settings.lease;
        let backend = self.queue.backend();
        let renewed = backend.renew(self.queue.name(), &leases, until).await;
        let lost = match &renewed {
            Ok(lost) => {
                for held in self.held.values_mut() {
                    held.until = now.saturating_add(self.settings.lease);
                }
                self.next_renewal = now.saturating_add(self.settings.lease / 3);
                lost.clone()
            }
            // What may be running elsewhere by now must not go on here.
            Err(_) => {
                let held = self.held.iter().filter(|(_, held)| held.until <= now);
                held.map(|(id, _)| *id).collect()
            }
        };
        for id in &lost {
            if let Some(held) = self.held.remove(id) {
                held.run.abort();
                tracing::warn!(task = %id, "the lease on a running task is lost");
            }
        }
        Figures::add(&self.figures().leases_lost, lost.len());
        renewed.map(drop)
    }

    async fn keep_agenda(&mut self, now: Moment) -> Result<(), TaskError> {
        let wall = self.queue.now();
        let tasks = self.agenda.plan(wall)?;
        if !tasks.is_empty() {
            let backend = self.queue.backend();
            let enqueued = backend.enqueue(self.queue.name(), &tasks, wall).await;
            if let Err(error) = enqueued {
                self.agenda.forget();
                return Err(error);
            }
        }
        self.next_agenda = now.saturating_add(self.agenda.pause(wall));
        Ok(())
    }

    async fn keep_house(&mut self, now: Moment) -> Result<(), TaskError> {
        let past = self.queue.now().checked_sub(self.queue.retention());
        let past = past.unwrap_or(std::time::SystemTime::UNIX_EPOCH);
        self.queue.backend().purge(self.queue.name(), past).await?;
        self.queue.counts().await?;
        self.next_housekeeping = now.saturating_add(HOUSEKEEPING);
        Ok(())
    }

    /// Waits for a run to end, for tasks, for orders or for the time to do something.
    async fn wait(&mut self, now: Moment) {
        let next = self.next_moment(now);
        let clock = self.clock();
        let has_free = self.free() > 0;
        tokio::select! {
            Some(ended) = self.runs.join_next() => {
                self.ended(ended);
                while let Some(ended) = self.runs.try_join_next() {
                    self.ended(ended);
                }
                self.figures().running.store(self.held.len(), Relaxed);
            }
            Ok(()) = self.arrivals.changed(), if has_free => {
                self.hungry = true;
                // The new task may be due before the next look.
                self.next_look = clock.now();
            }
            Ok(()) = self.orders.changed() => {}
            () = clock.sleep_until(next) => {}
        }
    }

    fn next_moment(&self, now: Moment) -> Moment {
        let mut next = [self.next_look, self.next_agenda, self.next_housekeeping]
            .into_iter()
            .min()
            .unwrap_or(Moment::NEVER);
        let drains_by = self.drains_by();
        if drains_by.is_some() {
            next = Moment::NEVER;
        }
        if !self.held.is_empty() {
            next = next.min(self.next_renewal);
        }
        if let Some(since) = self.ready_since {
            next = next.min(since.saturating_add(LINGER));
        }
        // Nothing is done before the backend has recovered, except that draining ends in time.
        next = next.max(self.recovers);
        match drains_by {
            Some(by) if by > now => next.min(by),
            _ => next,
        }
    }

    fn ended(&mut self, ended: Result<Finished, JoinError>) {
        match ended {
            Ok(finished) => {
                // A run that was let go of has nothing to report, and its task may run here again.
                let Finished { lease, report } = finished;
                if self
                    .held
                    .get(&lease.id)
                    .is_some_and(|held| held.lease == lease)
                {
                    self.held.remove(&lease.id);
                    self.reports.extend(report);
                    self.queue.tell_finished();
                }
            }
            // Let go of what died outside its handler; its lease ends by itself.
            Err(error) => self.held.retain(|_, held| held.run.id() != error.id()),
        }
    }
}
