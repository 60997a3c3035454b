use crate::builder::Settings;
use crate::error::PoolError;
use crate::exchange::{Exchange, Sighting, Slots, Ticket};
use crate::health::{CloseReason, Fitness, Record};
use crate::manager::Manager;
use crate::status::{Counters, Gauge, Stage, Status};
use parking_lot::Mutex;
use perf_core::Moment;
use perf_core::backoff::Delays;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// What a pool, its guards and its tasks share.
///
/// At any time each slot's ticket is in exactly one place: the exchange (idle, or granted to a waiter),
/// a guard, the roster (vacant, or with a chore to be done), or a task. Counts are taken from the
/// slots' gauges, which the holder of the ticket sets; no total is kept that could disagree with them.
pub(crate) struct Shared<M: Manager> {
    pub(crate) manager: M,
    pub(crate) settings: Settings,
    pub(crate) exchange: Exchange<Refusal<M::Error>>,
    pub(crate) slots: Slots<Option<Item<M::Resource>>>,
    pub(crate) gauges: Box<[Gauge]>,
    pub(crate) roster: Mutex<Roster<M::Error>>,
    /// How many slots are vacant, to be read without the roster's lock.
    pub(crate) vacancies: AtomicUsize,
    /// Counts the calls of `invalidate_all` and the runtimes lost. A resource of an earlier generation
    /// is not handed out again.
    pub(crate) generation: AtomicU64,
    /// The generation at which idle resources were last sorted out.
    pub(crate) sorted_generation: AtomicU64,
    pub(crate) counters: Counters,
    /// Tells the keeper that there is something to do.
    pub(crate) signal: Arc<Notify>,
    pub(crate) keeper_runs: AtomicBool,
    pub(crate) keeper_epoch: AtomicU64,
    /// Tells those who close the pool that a slot has become vacant.
    pub(crate) vacated: Notify,
}

/// A resource and what is remembered of it.
#[derive(Debug)]
pub(crate) struct Item<R> {
    pub(crate) resource: R,
    pub(crate) record: Record,
}

/// Why everybody who waits is turned away.
#[derive(Debug)]
pub(crate) enum Refusal<E> {
    Create(Arc<E>),
    Closed,
    Panicked,
}

/// Slots that nobody holds, and what the pool knows about creating more.
#[derive(Debug)]
pub(crate) struct Roster<E> {
    pub(crate) vacant: Vec<Ticket>,
    /// Slots whose resource needs work that only a task can do.
    pub(crate) chores: Vec<(Ticket, Chore)>,
    /// Before this no resource is created, because the last attempts failed.
    pub(crate) gate: Moment,
    pub(crate) delays: Delays<'static>,
    /// The longest of the delays so far, for the attempts that come after their end.
    pub(crate) longest: Duration,
    pub(crate) last_error: Option<Arc<E>>,
    /// Whether the last failure was permanent.
    pub(crate) hopeless: bool,
}

/// What a resource needs before somebody else may have it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Chore {
    Check,
    /// To check it without hoping for much.
    Suspect,
    Reset,
    Retire(CloseReason),
}

/// What a look at the idle resources found.
pub(crate) enum Taken {
    Ready(Ticket),
    /// Nothing usable; the last sighting if that was a resource that must be checked first.
    Nothing(Option<Sighting>),
}

impl<M: Manager> Shared<M> {
    /// The most recently used resource that is fit, if there is one. Those that are not go to the
    /// keeper.
    #[inline]
    pub(crate) fn take(&self) -> Taken {
        while let Some((mut ticket, sighting)) = self.exchange.pop() {
            let now = self.settings.stamps.now();
            let generation = self.generation.load(Ordering::Acquire);
            let limits = &self.settings.limits;
            let record = &mut self.item_mut(&mut ticket).record;
            match record.fitness_to_lend(limits, now, generation) {
                Fitness::Ready => {
                    record.taken = now;
                    return Taken::Ready(ticket);
                }
                Fitness::Retire(reason) => self.assign(ticket, Chore::Retire(reason)),
                Fitness::Check | Fitness::Reset => {
                    self.assign(ticket, Chore::Check);
                    return Taken::Nothing(Some(sighting));
                }
            }
        }
        Taken::Nothing(None)
    }

    /// Marks a slot as held.
    #[inline]
    pub(crate) fn lend(&self, ticket: &Ticket) {
        let gauge = &self.gauges[ticket.index()];
        gauge.set_stage(Stage::InUse);
        gauge.count_served();
    }

    /// Takes a slot back from its holder. Neither blocks on I/O nor panics nor spawns.
    #[inline]
    pub(crate) fn give_back(&self, mut ticket: Ticket) {
        let now = self.settings.stamps.now();
        let generation = self.generation.load(Ordering::Acquire);
        let limits = &self.settings.limits;
        let item = self.item_mut(&mut ticket);
        let held = now.since(item.record.taken);
        item.record.uses += 1;
        item.record.proven = now;
        let fitness = if self.is_broken(&mut item.resource) {
            Fitness::Retire(CloseReason::Broken)
        } else {
            item.record.fitness_to_return(limits, now, generation)
        };
        let retires = item.record.retirement(limits, true).0;
        // Two additions to lines that all threads share are paid only by holds long enough to hide them.
        if !held.is_zero() {
            self.counters.hold.record_duration(held);
        }
        match fitness {
            Fitness::Ready | Fitness::Check => {
                self.gauges[ticket.index()].set_retires(retires.as_nanos());
                self.hand_on(ticket);
            }
            Fitness::Reset => self.assign(ticket, Chore::Reset),
            Fitness::Retire(reason) => self.assign(ticket, Chore::Retire(reason)),
        }
    }

    /// Gives a usable resource to the first in line, or leaves it idle.
    #[inline]
    pub(crate) fn hand_on(&self, ticket: Ticket) {
        self.gauges[ticket.index()].set_stage(Stage::Idle);
        if let Err(ticket) = self.exchange.offer(ticket, || self.settings.clock.now()) {
            self.assign(ticket, Chore::Retire(CloseReason::PoolClosed));
        }
    }

    /// Leaves a slot to the keeper.
    #[cold]
    pub(crate) fn assign(&self, ticket: Ticket, chore: Chore) {
        let stage = match chore {
            Chore::Check | Chore::Reset => Stage::Checking,
            Chore::Suspect => Stage::Suspect,
            Chore::Retire(_) => Stage::Closing,
        };
        self.gauges[ticket.index()].set_stage(stage);
        self.roster.lock().chores.push((ticket, chore));
        self.signal.notify_one();
    }

    /// Gives up a slot whose resource is gone already.
    pub(crate) fn vacate(&self, ticket: Ticket) {
        self.gauges[ticket.index()].set_stage(Stage::Vacant);
        let mut roster = self.roster.lock();
        roster.vacant.push(ticket);
        self.vacancies.store(roster.vacant.len(), Ordering::Relaxed);
        drop(roster);
        self.signal.notify_one();
        self.vacated.notify_waiters();
    }

    /// What lies in a slot that is not vacant.
    #[inline]
    pub(crate) fn item<'a>(&'a self, ticket: &'a Ticket) -> &'a Item<M::Resource> {
        let item = self.slots.open(ticket).as_ref();
        item.expect("only vacant slots are empty, and their tickets stay in the roster")
    }

    /// As [`Shared::item`], to be changed.
    #[inline]
    pub(crate) fn item_mut<'a>(&'a self, ticket: &'a mut Ticket) -> &'a mut Item<M::Resource> {
        let item = self.slots.open_mut(ticket).as_mut();
        item.expect("only vacant slots are empty, and their tickets stay in the roster")
    }

    pub(crate) fn status(&self) -> Status {
        let mut status = Status {
            max_size: self.gauges.len(),
            waiting: self.exchange.waiting(),
            ..Status::default()
        };
        for gauge in &self.gauges {
            match gauge.stage() {
                Stage::Vacant => {}
                Stage::Connecting => status.connecting += 1,
                Stage::Idle => status.idle += 1,
                Stage::InUse => status.in_use += 1,
                Stage::Checking | Stage::Suspect => status.checking += 1,
                Stage::Closing => status.closing += 1,
            }
        }
        status
    }

    /// How many slots are at `stage`.
    pub(crate) fn count(&self, stage: Stage) -> usize {
        self.gauges
            .iter()
            .filter(|gauge| gauge.stage() == stage)
            .count()
    }

    pub(crate) fn acquired(&self) -> u64 {
        self.gauges.iter().map(Gauge::served).sum()
    }

    /// Drops what the caller has found useless. A destructor that panics is contained.
    pub(crate) fn destroy(&self, ticket: &mut Ticket, reason: CloseReason) {
        let item = self.slots.open_mut(ticket).take();
        self.counters.count_closed(reason);
        let _contained = catch_unwind(AssertUnwindSafe(|| drop(item)));
    }

    /// The manager's word, where a panic counts as "broken": this runs in a guard's drop.
    fn is_broken(&self, resource: &mut M::Resource) -> bool {
        catch_unwind(AssertUnwindSafe(|| self.manager.is_broken(resource))).unwrap_or(true)
    }
}

impl<M: Manager> Drop for Shared<M> {
    /// Drops what is left one by one: this may run in a guard's drop, which a destructor's panic must
    /// not leave, and two panics at once would end the process.
    fn drop(&mut self) {
        let idle = self.exchange.drain();
        let left = self.roster.get_mut().chores.drain(..);
        for mut ticket in idle.into_iter().chain(left.map(|(ticket, _)| ticket)) {
            let item = self.slots.open_mut(&mut ticket).take();
            let _contained = catch_unwind(AssertUnwindSafe(|| drop(item)));
        }
    }
}

impl<E: std::error::Error> From<Refusal<E>> for PoolError<E> {
    fn from(refusal: Refusal<E>) -> Self {
        match refusal {
            Refusal::Create(error) => Self::Create(error),
            Refusal::Closed => Self::Closed,
            Refusal::Panicked => Self::Panicked,
        }
    }
}
