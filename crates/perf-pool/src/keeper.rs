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

use crate::errand::Errand;
use crate::error::PoolError;
use crate::exchange::Ticket;
use crate::health::CloseReason;
use crate::manager::Manager;
use crate::shared::{Chore, Refusal, Shared};
use crate::status::Stage;
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
    epoch: u64,
}

impl<M: Manager> Drop for Lease<M> {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            if std::thread::panicking() {
                // The next keeper would end the same way: nobody is left to wait for one.
                shared.exchange.refuse_all(|| Refusal::Panicked);
            }
            shared.runtime_lost(self.epoch);
        }
    }
}

impl<M: Manager> Shared<M> {
    /// Starts the keeper in the caller's runtime unless it runs.
    pub(crate) fn ensure_keeper(self: &Arc<Self>) -> Result<(), PoolError<M::Error>> {
        if self.keeper_runs.load(Ordering::Acquire) {
            return Ok(());
        }
        let runtime = Handle::try_current().map_err(|_| PoolError::NoRuntime)?;
        if self.keeper_runs.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let epoch = self.keeper_epoch.fetch_add(1, Ordering::AcqRel) + 1;
        let lease = Lease {
            shared: Arc::downgrade(self),
            epoch,
        };
        runtime.spawn(keep(lease));
        // A runtime that is shutting down drops what is spawned on it at once, and the lease with it.
        if self.keeper_runs.load(Ordering::Acquire) {
            Ok(())
        } else {
            Err(PoolError::NoRuntime)
        }
    }

    /// Wakes the keeper if a slot is free for a new resource, or `urgent` says so.
    pub(crate) fn announce_demand(&self, urgent: bool) {
        if urgent || self.vacancies.load(Ordering::Relaxed) > 0 {
            self.signal.notify_one();
        }
    }

    /// Called when tasks of keeper `epoch` were dropped unfinished: their runtime has gone, and with
    /// it every socket that it drove.
    pub(crate) fn runtime_lost(&self, epoch: u64) {
        if self.keeper_epoch.load(Ordering::Acquire) == epoch
            && self.keeper_runs.swap(false, Ordering::AcqRel)
        {
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
        self.exchange.rouse();
    }

    /// One round of the keeper. Returns when the next one is due.
    fn tend(self: &Arc<Self>) -> Moment {
        let now = self.settings.clock.now();
        let next_sweep = self.exchange.sweep(now);
        let next_retirement = self.retire_idle(now);
        self.start_chores();
        self.start_connecting();
        next_sweep.min(next_retirement)
    }

    fn start_chores(self: &Arc<Self>) {
        // Collected, so that the roster keeps its capacity and a guard's drop never allocates.
        let chores: Vec<_> = self.roster.lock().chores.drain(..).collect();
        for (ticket, chore) in chores {
            let errand = Errand::new(self, ticket);
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

    /// Creates as many resources as are missing: one for each waiter that no other errand will serve,
    /// and up to the minimum of idle ones.
    fn start_connecting(self: &Arc<Self>) {
        loop {
            let connecting = self.count(Stage::Connecting);
            if connecting >= self.settings.max_connecting || !self.wants_more(connecting) {
                return;
            }
            let Some(ticket) = self.take_vacancy() else {
                return;
            };
            self.gauges[ticket.index()].set_stage(Stage::Connecting);
            tokio::spawn(Errand::new(self, ticket).connect());
        }
    }

    fn take_vacancy(&self) -> Option<Ticket> {
        let mut roster = self.roster.lock();
        let ticket = roster.vacant.pop();
        self.vacancies.store(roster.vacant.len(), Ordering::Relaxed);
        ticket
    }

    /// Whether one more resource would have a use beside the `connecting` ones and those that will
    /// probably pass their checks.
    pub(crate) fn wants_more(&self, connecting: usize) -> bool {
        let coming = connecting + self.count(Stage::Checking);
        !self.exchange.is_closed()
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
    let Some(signal) = lease
        .shared
        .upgrade()
        .map(|shared| Arc::clone(&shared.signal))
    else {
        return;
    };
    loop {
        // Held only during the round: a sleeping keeper keeps no pool alive.
        let Some(shared) = lease.shared.upgrade() else {
            return;
        };
        let next = shared.tend();
        let pause = shared.settings.clock.sleep_until(next);
        drop(shared);
        tokio::select! {
            () = signal.notified() => {}
            () = pause => {}
        }
    }
}
