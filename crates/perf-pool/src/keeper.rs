//! The task that does everything about resources that takes time.
//!
//! Acquiring and returning only move tickets. Whatever needs I/O is left in the roster for the keeper,
//! one task for each pool, which starts an errand for each: create, check, reset or close. So a
//! cancelled acquire cancels no work, dropping a guard spawns nothing, and all sockets live in one
//! runtime. The keeper is also the pool's clock hand: it ends overdue waits, whose futures therefore
//! need no timer of their own, and retires idle resources.
//!
//! The keeper starts in the runtime of the first acquire that has to wait. When that runtime goes, so do
//! the keeper and the sockets; the waiters are woken, and the first of another runtime starts it anew.
//!
//! A runtime that is kept but not driven stops the keeper unseen. So a wait in any other runtime has a
//! timer after all. It rings for the keeper, and if that gives no sign of life within the limit of a check, the
//! waiter's own runtime takes over: a keeper of a new epoch starts there, the old one's errands lose their slots,
//! and whatever the old runtime drove counts as lost. What its tasks bring if it is ever driven again is dropped.

use crate::errand::Errand;
use crate::error::PoolError;
use crate::exchange::Ticket;
use crate::health::CloseReason;
use crate::holder::{runtime_of, task_of};
use crate::manager::Manager;
use crate::roster::Chore;
use crate::seat::{Heartbeat, Tenure};
use crate::shared::{Refusal, Shared};
use crate::status::{Gauge, Stage};
use perf_core::Moment;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::runtime::Handle;

/// How soon to look again at a resource that was due for retirement while in use.
const RECHECK: Duration = Duration::from_secs(1);

/// Held by the keeper; dropped early only together with its runtime, or in a panic.
struct Lease<M: Manager> {
    shared: Weak<Shared<M>>,
    tenure: Tenure,
}

impl<M: Manager> Drop for Lease<M> {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            if std::thread::panicking() {
                // The next keeper would end the same way: nobody is left to wait for one.
                shared.exchange.refuse_all(|| Refusal::Panicked);
            }
            shared.runtime_lost(self.tenure.epoch);
        }
    }
}

impl<M: Manager> Shared<M> {
    /// Starts the keeper in the caller's runtime unless it runs.
    pub(crate) fn ensure_keeper(self: &Arc<Self>) -> Result<(), PoolError<M::Error>> {
        if self.seat.is_taken() {
            return Ok(());
        }
        let runtime = Handle::try_current().map_err(|_| PoolError::NoRuntime)?;
        let claimed = {
            let _roster = self.roster.lock();
            self.seat.claim(runtime.id())
        };
        let Some(tenure) = claimed else {
            return Ok(());
        };
        self.start_keeper(&runtime, tenure);
        // A runtime that is shutting down drops what is spawned on it at once, and the lease with it.
        if self.seat.is_taken() {
            Ok(())
        } else {
            Err(PoolError::NoRuntime)
        }
    }

    /// Moves the keeper to the caller's runtime if it has not moved on since `seen`. Whether it did.
    pub(crate) fn take_over(self: &Arc<Self>, seen: Heartbeat) -> bool {
        let Ok(runtime) = Handle::try_current() else {
            return false;
        };
        let mut roster = self.roster.lock();
        let Some(tenure) = self.seat.seize(runtime.id(), seen) else {
            return false;
        };
        for slot in roster.dismiss_all() {
            self.gauges[slot].set_stage(Stage::Vacant);
        }
        self.note_lost_resources();
        self.note_limit(&roster);
        drop(roster);
        self.counters.takeovers.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(
            pool = %self.settings.name,
            "the runtime that did the pool's work stands still; another takes over"
        );
        self.start_keeper(&runtime, tenure);
        self.vacated.notify_waiters();
        self.exchange.rouse();
        true
    }

    fn start_keeper(self: &Arc<Self>, runtime: &Handle, tenure: Tenure) {
        let lease = Lease {
            shared: Arc::downgrade(self),
            tenure,
        };
        runtime.spawn(keep(lease));
    }

    /// Rings for the keeper. What it has done by now is to be shown to [`Shared::take_over`] later.
    pub(crate) fn ring(&self) -> Heartbeat {
        let heartbeat = self.seat.heartbeat();
        self.seat.ring();
        heartbeat
    }

    /// Whether `caller`, who runs now, is in another runtime than the keeper. Outside any it has no timer to
    /// use.
    pub(crate) fn keeper_is_elsewhere(&self, caller: u64) -> bool {
        runtime_of(caller).is_some_and(|here| self.seat.is_outside(here))
    }

    /// Wakes the keeper if there is room for a new resource, or `urgent` says so.
    pub(crate) fn announce_demand(&self, urgent: bool) {
        if urgent || self.room.load(Ordering::Relaxed) > 0 {
            self.seat.ring();
        }
    }

    /// Called when tasks of keeper `epoch` were dropped unfinished: their runtime has gone, and with
    /// it every socket that it drove.
    pub(crate) fn runtime_lost(&self, epoch: u64) {
        if self.seat.leave(epoch) {
            self.note_lost_resources();
        }
        self.exchange.rouse();
    }

    /// Begins a generation without those whose runtime is lost.
    fn note_lost_resources(&self) {
        let generation = self.generation.fetch_add(1, Ordering::AcqRel) + 1;
        self.lost_generation.fetch_max(generation, Ordering::AcqRel);
    }

    /// One round of the keeper `epoch`. Returns when the next one is due; `None` once it was replaced.
    fn tend(self: &Arc<Self>, epoch: u64) -> Option<Moment> {
        self.seat.beat();
        let now = self.settings.clock.now();
        let next_sweep = self.exchange.sweep(now);
        let next_retirement = self.retire_idle(now);
        let next_report = self.report_leaks(now);
        self.start_chores(epoch);
        self.start_connecting(epoch);
        (self.seat.epoch() == epoch).then(|| next_sweep.min(next_retirement).min(next_report))
    }

    fn start_chores(self: &Arc<Self>, epoch: u64) {
        for (errand, chore) in self.engage_for_chores(epoch) {
            match chore {
                Chore::Check | Chore::Suspect => tokio::spawn(errand.check()),
                Chore::Reset => tokio::spawn(errand.reset()),
                Chore::Retire(reason) if reason.is_healthy() => tokio::spawn(errand.close(reason)),
                Chore::Retire(reason) => {
                    errand.destroy(reason);
                    continue;
                }
            };
        }
    }

    /// An errand for each chore, unless the keeper of `epoch` has been replaced.
    fn engage_for_chores(self: &Arc<Self>, epoch: u64) -> Vec<(Errand<M>, Chore)> {
        let mut roster = self.roster.lock();
        if self.seat.epoch() != epoch {
            return Vec::new();
        }
        // Collected, so that the roster keeps its capacity and a guard's drop never allocates.
        let chores: Vec<_> = roster.chores.drain(..).collect();
        let engage = |(mut ticket, chore): (Ticket, Chore)| {
            let item = self.slots.open_mut(&mut ticket).take();
            let engagement = roster.engage(ticket, epoch);
            (Errand::new(self, engagement, item), chore)
        };
        chores.into_iter().map(engage).collect()
    }

    /// Creates as many resources as are missing: one for each waiter that no other errand will serve,
    /// and up to the minimum of idle ones.
    fn start_connecting(self: &Arc<Self>, epoch: u64) {
        loop {
            let connecting = self.count(Stage::Connecting);
            if connecting >= self.settings.max_connecting || !self.wants_more(connecting) {
                return;
            }
            let Some(errand) = self.engage_to_connect(epoch) else {
                return;
            };
            tokio::spawn(errand.connect());
        }
    }

    fn engage_to_connect(self: &Arc<Self>, epoch: u64) -> Option<Errand<M>> {
        let mut roster = self.roster.lock();
        if self.seat.epoch() != epoch {
            return None;
        }
        let ticket = roster.take_vacant()?;
        self.gauges[ticket.index()].set_stage(Stage::Connecting);
        self.note_occupancy(&roster);
        let engagement = roster.engage(ticket, epoch);
        Some(Errand::new(self, engagement, None))
    }

    /// Whether one more resource would have a use beside the `connecting` ones and those that will
    /// probably pass their checks.
    pub(crate) fn wants_more(&self, connecting: usize) -> bool {
        let coming = connecting + self.count(Stage::Checking);
        !self.exchange.is_closed()
            && !self.exchange.is_suspended()
            && (self.exchange.waiting() > coming
                || self.count(Stage::Idle) + coming < self.settings.min_idle)
    }

    /// Retires idle resources that are due. Returns when the next will be.
    fn retire_idle(&self, now: Moment) -> Moment {
        let generation = self.generation.load(Ordering::Acquire);
        let due = self
            .gauges
            .iter()
            .any(|gauge| gauge.stage() == Stage::Idle && gauge.retires() <= now.as_nanos());
        if due || self.sorted_generation.swap(generation, Ordering::AcqRel) < generation {
            self.sort_out_idle(now, generation);
        }
        let next = self.gauges.iter().filter_map(|gauge| match gauge.stage() {
            Stage::Idle => Some(Moment::from_nanos(gauge.retires())),
            Stage::Vacant => None,
            _ => Some(Moment::from_nanos(gauge.retires()).max(now.saturating_add(RECHECK))),
        });
        next.min().unwrap_or(Moment::NEVER)
    }

    /// Reports who holds a resource for longer than holders should, once each. Returns when to look
    /// again.
    fn report_leaks(&self, now: Moment) -> Moment {
        let Some(limit) = self.settings.leak_after else {
            return Moment::NEVER;
        };
        let mut next = now.saturating_add(limit);
        for gauge in &self.gauges {
            let Some((location, caller, taken)) = gauge.holder() else {
                continue;
            };
            let due = taken.saturating_add(limit);
            if due > now {
                next = next.min(due);
            } else if self.mark_leaked(gauge) {
                self.counters.leaks.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(
                    pool = %self.settings.name,
                    %location,
                    held = ?now.since(taken),
                    task = task_of(caller),
                    "a resource has not been returned for long"
                );
            }
        }
        next
    }

    /// Marks a hold as a leak, and makes room for one more in its place. `false` if it was marked before.
    fn mark_leaked(&self, gauge: &Gauge) -> bool {
        let replaces = self.settings.replaces_leaked;
        // Locked before the mark: a holder who returns now takes the room back only after it was made.
        let mut roster = self.roster.lock();
        let is_new = gauge.mark_leaked(replaces);
        if is_new && replaces {
            roster.replaced += 1;
            self.note_limit(&roster);
        }
        is_new
    }

    /// Takes everything idle and puts back what may stay. Whoever acquires meanwhile waits in line and
    /// is served from what comes back.
    fn sort_out_idle(&self, now: Moment, generation: u64) {
        let idle = self.exchange.drain();
        let mut spare = idle.len().saturating_sub(self.settings.min_idle);
        // The least recently used come last; they are judged first and put back first.
        for mut ticket in idle.into_iter().rev() {
            let record = self.item_mut(&mut ticket).record;
            let (moment, reason) = record.retirement(&self.settings.limits, spare > 0);
            if record.generation != generation {
                self.assign(ticket, Chore::Retire(CloseReason::Invalidated));
            } else if moment <= now {
                spare = spare.saturating_sub(1);
                self.assign(ticket, Chore::Retire(reason));
            } else {
                self.gauges[ticket.index()].set_retires(moment.as_nanos());
                self.hand_on(ticket);
            }
        }
    }

    /// Sends everything to be checked, all at once, that has been idle since before `failure`: one
    /// resource was found dead, and what killed it seldom comes alone.
    pub(crate) fn suspect_idle(&self, failure: Moment) {
        for mut ticket in self.exchange.drain().into_iter().rev() {
            if self.item_mut(&mut ticket).record.proven < failure {
                self.assign(ticket, Chore::Suspect);
            } else {
                self.hand_on(ticket);
            }
        }
    }
}

async fn keep<M: Manager>(lease: Lease<M>) {
    loop {
        // Held only during the round: a sleeping keeper keeps no pool alive.
        let Some(shared) = lease.shared.upgrade() else {
            return;
        };
        let Some(next) = shared.tend(lease.tenure.epoch) else {
            return;
        };
        let pause = shared.settings.clock.sleep_until(next);
        drop(shared);
        tokio::select! {
            () = lease.tenure.signal.notified() => {}
            () = pause => {}
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use crate::{Pool, from_fn};
    use perf_core::{Clock, ManualClock, SystemClock};
    use std::convert::Infallible;
    use std::thread;
    use std::time::Duration;
    use tokio::runtime::Builder;

    const SECOND: Duration = Duration::from_secs(1);

    /// A holder who returns between the mark and the room made for it would take nothing back, and the room
    /// would stay: while somebody else has the roster, there is neither.
    #[test]
    fn a_leak_is_marked_only_together_with_its_room() {
        let clock = ManualClock::new();
        let pool = Pool::builder(from_fn(async || Ok::<_, Infallible>(0)));
        let pool = pool.clock(clock.clone()).leak_after(SECOND);
        let pool = pool.replace_leaked(true).build().expect("valid");
        let runtime = Builder::new_current_thread().build().expect("no drivers");
        let held = runtime.block_on(pool.acquire()).expect("it is created");
        clock.advance(2 * SECOND);
        let shared = &pool.shared;
        let marked = || shared.gauges.iter().any(|gauge| gauge.is_marked());
        thread::scope(|scope| {
            let roster = shared.roster.lock();
            let report = scope.spawn(|| shared.report_leaks(clock.now()));
            // Long enough for a mark that comes too early; one that comes in time cannot come at all.
            let end = SystemClock.now().saturating_add(SECOND / 10);
            while SystemClock.now() < end && !marked() {
                thread::yield_now();
            }
            assert!(!marked(), "marked without its room");
            drop(roster);
            report.join().expect("it reports");
        });
        assert!(marked());
        assert_eq!(shared.roster.lock().replaced, 1);
        drop(held);
        assert_eq!(shared.roster.lock().replaced, 0);
    }
}
