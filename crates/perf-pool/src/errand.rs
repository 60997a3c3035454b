use crate::budget::Allotment;
use crate::exchange::Ticket;
use crate::health::{CloseReason, Record};
use crate::manager::{Fate, Manager};
use crate::roster::Engagement;
use crate::shared::{Item, Refusal, Shared};
use crate::status::{Gauge, Stage};
use perf_core::Moment;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The least time between attempts to create that fail: one that fails at once must not keep its thread
/// busy with nothing else.
pub(crate) const LEAST_DELAY: Duration = Duration::from_millis(1);

/// How often a task that waits for room in a budget looks whether its resource is still wanted.
const REVIEW: Duration = Duration::from_secs(1);

/// One piece of work on one slot, done by one task, which takes the resource out of the slot for it.
///
/// However the task ends, the slot comes back: an errand dropped unfinished, because the manager
/// panicked or the runtime went away, destroys the resource and vacates the slot. If the slot was taken
/// from it meanwhile, because its runtime stood still, it only destroys the resource.
pub(crate) struct Errand<M: Manager> {
    shared: Arc<Shared<M>>,
    /// `None` once the slot has been given up.
    engagement: Option<Engagement>,
    item: Option<Item<M::Resource>>,
}

/// The manager's answer, unless its time ran out.
struct Late;

impl<M: Manager> Errand<M> {
    pub(crate) fn new(
        shared: &Arc<Shared<M>>,
        engagement: Engagement,
        item: Option<Item<M::Resource>>,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            engagement: Some(engagement),
            item,
        }
    }

    /// Creates a resource, again and again while somebody wants one.
    pub(crate) async fn connect(mut self) {
        let shared = Arc::clone(&self.shared);
        let limit = shared.settings.connect_timeout;
        while self.wait_for_gate().await {
            let Some(allotment) = self.wait_for_allotment().await else {
                break;
            };
            let start = shared.settings.clock.now();
            let generation = shared.generation.load(Ordering::Acquire);
            match within(&shared, limit, shared.manager.create()).await {
                Ok(Ok(resource)) => {
                    let now = shared.settings.clock.now();
                    shared.counters.create.record_between(start, now);
                    let limits = &shared.settings.limits;
                    let record = Record::new(limits, now, generation, fastrand::f64());
                    self.item = Some(Item {
                        resource,
                        record,
                        allotment,
                    });
                    shared.note_success();
                    return self.hand_on();
                }
                Ok(Err(error)) => shared.note_failure(Some(error)),
                Err(Late) => shared.note_failure(None),
            }
        }
        self.vacate();
    }

    /// Checks a resource that was idle. One that is dead casts doubt on all that are idle.
    pub(crate) async fn check(mut self) {
        let shared = Arc::clone(&self.shared);
        let start = shared.settings.clock.now();
        let Some(item) = &mut self.item else {
            return self.vacate();
        };
        let checking = shared.manager.check(&mut item.resource);
        let outcome = within(&shared, shared.settings.check_timeout, checking).await;
        let now = shared.settings.clock.now();
        shared.counters.check.record_between(start, now);
        if matches!(outcome, Ok(Ok(()))) {
            self.hand_on();
        } else {
            shared.suspect_idle(start);
            self.destroy(CloseReason::CheckFailed);
        }
    }

    /// Cleans what a holder left behind.
    pub(crate) async fn reset(mut self) {
        let shared = Arc::clone(&self.shared);
        let Some(item) = &mut self.item else {
            return self.vacate();
        };
        let cleaning = shared.manager.reset(&mut item.resource);
        let fate = within(&shared, shared.settings.reset_timeout, cleaning).await;
        if matches!(fate, Ok(Ok(Fate::Keep))) {
            self.hand_on();
        } else {
            self.destroy(CloseReason::ResetFailed);
        }
    }

    /// Ends a healthy resource. The slot counts as taken until the manager is done.
    pub(crate) async fn close(mut self, reason: CloseReason) {
        let shared = Arc::clone(&self.shared);
        if let Some(item) = self.item.take() {
            shared.counters.count_closed(reason);
            let closing = shared.manager.close(item.resource);
            let _late = within(&shared, shared.settings.close_timeout, closing).await;
            drop(item.allotment);
        }
        self.vacate();
    }

    /// Drops a resource that is good for nothing.
    pub(crate) fn destroy(mut self, reason: CloseReason) {
        self.shared.destroy(self.item.take(), reason);
        self.vacate();
    }

    /// Waits until creating may be tried. `false` when nobody wants a resource any more. Exclusive, because
    /// a future that shares the errand could not be sent if the resource is not `Sync`.
    async fn wait_for_gate(&mut self) -> bool {
        let shared = &self.shared;
        let recovered = shared.recovered.notified();
        tokio::pin!(recovered);
        // Enrol before the look: a success between the two must not be missed.
        recovered.as_mut().enable();
        let (gate, hopeless) = {
            let roster = shared.roster.lock();
            let error = roster.last_error.clone();
            (roster.gate, error.filter(|_| roster.hopeless))
        };
        if shared.settings.clock.now() < gate {
            if let Some(error) = hopeless {
                shared.refuse_unless_served(&error);
            }
            if !self.is_wanted() {
                return false;
            }
            tokio::select! {
                () = recovered => {}
                () = shared.settings.clock.sleep_until(gate) => {}
            }
        }
        self.is_wanted()
    }

    /// Waits for room in the budget that the pool shares with others. `None` when nobody wants a resource
    /// any more.
    async fn wait_for_allotment(&mut self) -> Option<Allotment> {
        let shared = Arc::clone(&self.shared);
        let Some(budget) = &shared.settings.budget else {
            return Some(Allotment::default());
        };
        let allotment = budget.allot();
        tokio::pin!(allotment);
        loop {
            tokio::select! {
                biased;
                allotment = &mut allotment => return Some(allotment),
                () = shared.settings.clock.sleep(REVIEW) => {}
            }
            if !self.is_wanted() {
                return None;
            }
        }
    }

    /// Whether the resource of this errand, one of those connecting, would have a use.
    fn is_wanted(&self) -> bool {
        let engagement = self.engagement;
        let is_engaged =
            engagement.is_some_and(|engagement| self.shared.roster.lock().is_engaged(engagement));
        let others = self.shared.count(Stage::Connecting).saturating_sub(1);
        is_engaged && self.shared.wants_more(others)
    }

    /// Hands on a resource that has just proven itself.
    fn hand_on(mut self) {
        let Some(mut ticket) = self.release() else {
            self.shared
                .destroy(self.item.take(), CloseReason::RuntimeLost);
            return;
        };
        let shared = &self.shared;
        *shared.slots.open_mut(&mut ticket) = self.item.take();
        let now = shared.settings.clock.now();
        let record = &mut shared.item_mut(&mut ticket).record;
        record.tainted = false;
        record.proven = now;
        record.taken = now;
        let (retires, _) = record.retirement(&shared.settings.limits, true);
        shared.gauges[ticket.index()].set_retires(retires.as_nanos());
        shared.hand_on(ticket);
        shared.seat.ring();
    }

    fn vacate(mut self) {
        if let Some(ticket) = self.release() {
            self.shared.vacate(ticket);
        }
    }

    /// The slot's ticket, unless it was taken away.
    fn release(&mut self) -> Option<Ticket> {
        let engagement = self.engagement.take()?;
        self.shared.roster.lock().release(engagement)
    }
}

impl<M: Manager> Drop for Errand<M> {
    fn drop(&mut self) {
        let Some(engagement) = self.engagement else {
            return;
        };
        let panicked = std::thread::panicking();
        let reason = if panicked {
            CloseReason::Broken
        } else {
            CloseReason::RuntimeLost
        };
        if let Some(item) = self.item.take() {
            self.shared.destroy(Some(item), reason);
        }
        if let Some(ticket) = self.release() {
            let gauge = &self.shared.gauges[engagement.slot];
            if panicked && gauge.stage() == Stage::Connecting {
                self.shared.note_failure(None);
            }
            self.shared.vacate(ticket);
        }
        if !panicked {
            self.shared.runtime_lost(engagement.epoch);
        }
    }
}

impl<M: Manager> Shared<M> {
    /// Delays further attempts. A permanent failure reaches everybody who waits, unless there are others
    /// to wait for; `None` is an attempt that took too long or panicked.
    fn note_failure(&self, error: Option<M::Error>) {
        self.counters
            .create_failures
            .fetch_add(1, Ordering::Relaxed);
        let hopeless = error
            .as_ref()
            .is_some_and(|error| !self.manager.classify(error).is_transient());
        let error = error.map(Arc::new);
        let mut roster = self.roster.lock();
        let now = self.settings.clock.now();
        // Attempts that fail together widen the gap once, not once each.
        if now >= roster.gate {
            let delay = roster.delays.next().unwrap_or(roster.longest);
            let delay = delay.max(LEAST_DELAY);
            roster.longest = roster.longest.max(delay);
            roster.gate = now.saturating_add(delay);
        }
        roster.hopeless = hopeless;
        if error.is_some() {
            roster.last_error.clone_from(&error);
        }
        drop(roster);
        if let Some(error) = error.filter(|_| hopeless) {
            tracing::warn!(pool = %self.settings.name, %error, "creating a resource is hopeless");
            self.refuse_unless_served(&error);
        }
    }

    /// Turns everybody away, unless there are resources left whose return they may wait for.
    fn refuse_unless_served(&self, error: &Arc<M::Error>) {
        let is_left = |gauge: &Gauge| {
            !matches!(
                gauge.stage(),
                Stage::Vacant | Stage::Connecting | Stage::Closing
            )
        };
        if !self.gauges.iter().any(is_left) {
            self.exchange
                .refuse_all(|| Refusal::Create(Arc::clone(error)));
        }
    }

    fn note_success(&self) {
        let mut roster = self.roster.lock();
        roster.gate = Moment::ORIGIN;
        roster.longest = LEAST_DELAY;
        roster.delays = self.settings.backoff.delays(fastrand::Rng::new());
        roster.last_error = None;
        roster.hopeless = false;
        drop(roster);
        self.recovered.notify_waiters();
    }
}

/// The output of `work`, unless `limit` passes first.
async fn within<M: Manager, T>(
    shared: &Shared<M>,
    limit: Duration,
    work: impl Future<Output = T>,
) -> Result<T, Late> {
    tokio::select! {
        biased;
        output = work => Ok(output),
        () = shared.settings.clock.sleep(limit) => Err(Late),
    }
}
