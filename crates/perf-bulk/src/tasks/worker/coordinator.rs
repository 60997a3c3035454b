//! The one who talks to the backend.

use super::agenda::Agenda;
use super::figures::Figures;
use super::run::{Bench, Finished};
use crate::error::TaskError;
use crate::tasks::{Claim, Exchange, Lease, Outcome, Settlement, TaskId, TaskQueue};
use crate::wall::later;
use perf_core::{Clock, Moment, Transience};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinError, JoinSet};

/// How long reports and free handlers wait for more of their kind.
const LINGER: Duration = Duration::from_millis(1);
/// The most tasks of one claim.
const MOST_CLAIMED: usize = 1 << 14;
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
                self.let_go(now);
                None
            } else {
                self.due(now)
            };
            let Some(step) = step else {
                self.wait(now).await;
                continue;
            };
            let hung = self.hung(now);
            let done = tokio::select! {
                biased;
                done = self.take(step, now) => done,
                error = hung => Err(error),
            };
            if let Err(error) = done {
                self.agenda.forget();
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the tasks' backend failed"
                );
                self.figures().failures.fetch_add(1, Relaxed);
                self.recovers = self.clock().now().saturating_add(RECOVERY);
            }
        }
    }

    async fn take(&mut self, step: Step, now: Moment) -> Result<(), TaskError> {
        match step {
            Step::Renew => self.renew(now).await,
            Step::Exchange => self.exchange().await,
            Step::Look => self.look(now).await,
            Step::Agenda => self.keep_agenda(now).await,
            Step::Housekeeping => self.keep_house(now).await,
        }
    }

    /// Ends when a call of the backend is not worth waiting for: a lease ends meanwhile, or the time for
    /// draining was over a while ago.
    fn hung(&self, now: Moment) -> impl Future<Output = TaskError> + Send + use<> {
        let (clock, mut orders) = (self.clock(), self.orders.clone());
        let ends = self.first_end().filter(|ends| *ends > now);
        let ends = ends.unwrap_or_else(|| now.saturating_add(self.settings.lease));
        let is_drain = |order: &Order| matches!(order, Order::Drain { .. });
        async move {
            let drained = async {
                if let Ok(Order::Drain { by }) = orders.wait_for(is_drain).await.as_deref() {
                    return by.max(&now).saturating_add(RECOVERY);
                }
                Moment::NEVER
            };
            tokio::select! {
                () = clock.sleep_until(ends) => {}
                () = async { clock.sleep_until(drained.await).await } => {}
            }
            TaskError::Backend {
                transience: Transience::Transient,
                source: "it does not answer".into(),
            }
        }
    }

    /// When the first of the leases ends, unless renewed.
    fn first_end(&self) -> Option<Moment> {
        self.held.values().map(|held| held.until).min()
    }

    /// Stops what may be running elsewhere by now.
    fn let_go(&mut self, now: Moment) {
        let ended = self.held.iter().filter(|(_, held)| held.until <= now);
        let ended: Vec<_> = ended.map(|(id, _)| *id).collect();
        self.stop(&ended);
    }

    fn stop(&mut self, lost: &[TaskId]) {
        for id in lost {
            if let Some(held) = self.held.remove(id) {
                held.run.abort();
                tracing::warn!(task = %id, "the lease on a running task is lost");
            }
        }
        Figures::add(&self.figures().leases_lost, lost.len());
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
            || (self.reports.is_empty() && wanted >= half)
            || now.since(since) >= LINGER
    }

    async fn exchange(&mut self) -> Result<(), TaskError> {
        let wanted = if self.hungry { self.free() } else { 0 };
        let limit = few_digits(wanted.min(MOST_CLAIMED));
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
        let until = later(self.queue.now(), self.settings.lease);
        let backend = self.queue.backend();
        let lost = backend.renew(self.queue.name(), &leases, until).await?;
        for held in self.held.values_mut() {
            held.until = now.saturating_add(self.settings.lease);
        }
        self.next_renewal = now.saturating_add(self.settings.lease / 3);
        self.stop(&lost);
        Ok(())
    }

    async fn keep_agenda(&mut self, now: Moment) -> Result<(), TaskError> {
        let wall = self.queue.now();
        let tasks = self.agenda.plan(wall)?;
        if !tasks.is_empty() {
            let backend = self.queue.backend();
            backend.enqueue(self.queue.name(), &tasks, wall).await?;
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
        // Nothing is done before the backend has recovered, except that leases and draining end in time.
        if now < self.recovers {
            next = self.first_end().unwrap_or(Moment::NEVER).min(self.recovers);
        }
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

/// The number rounded down to its three leading binary digits: few different limits make few different
/// statements.
const fn few_digits(number: usize) -> usize {
    match number.checked_ilog2() {
        Some(power @ 3..) => number >> (power - 2) << (power - 2),
        _ => number,
    }
}

#[cfg(test)]
mod tests {
    use super::few_digits;

    #[test]
    fn a_limit_takes_most_of_what_is_free() {
        let cases = [
            (0, 0),
            (7, 7),
            (9, 8),
            (15, 14),
            (255, 224),
            (256, 256),
            (300, 256),
        ];
        for (free, limit) in cases {
            assert_eq!(few_digits(free), limit);
        }
    }
}
