use crate::budget::{Allotment, Budget, Tenant};
use crate::builder::Settings;
use crate::error::PoolError;
use crate::exchange::{Exchange, Sighting, Slots, Ticket};
use crate::health::{CloseReason, Fitness, Record};
use crate::holder::{Holder, current_caller, task_of};
use crate::manager::Manager;
use crate::roster::{Chore, Roster};
use crate::seat::Seat;
use crate::status::{Counters, Gauge, Metrics, Stage, Status};
use parking_lot::Mutex;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::sync::Notify;

/// What a pool, its guards and its tasks share.
///
/// At any time each slot's ticket is in exactly one place: the exchange (idle, or granted to a waiter),
/// a guard, or the roster (vacant, with a chore to be done, or kept for the task that does it). Counts
/// are taken from the slots' gauges, which the holder of the ticket sets; no total is kept that could
/// disagree with them.
pub(crate) struct Shared<M: Manager> {
    pub(crate) manager: M,
    pub(crate) settings: Settings,
    pub(crate) exchange: Exchange<Refusal<M::Error>>,
    pub(crate) slots: Slots<Option<Item<M::Resource>>>,
    pub(crate) gauges: Box<[Gauge]>,
    pub(crate) roster: Mutex<Roster<M::Error>>,
    /// How many more may be created now, and how many are too many: to be read without the roster's
    /// lock.
    pub(crate) room: AtomicUsize,
    pub(crate) surplus: AtomicUsize,
    /// The most there may be, to be read without the roster's lock.
    pub(crate) limit: AtomicUsize,
    /// Counts the calls of `invalidate_all` and the runtimes lost. A resource of an earlier generation
    /// is not handed out again.
    pub(crate) generation: AtomicU64,
    /// The generation that began when a runtime was last lost: resources of earlier ones cannot be
    /// closed politely.
    pub(crate) lost_generation: AtomicU64,
    /// How many resources were handed on while other pools of the budget waited.
    pub(crate) scarce_turns: AtomicU64,
    /// The generation at which idle resources were last sorted out.
    pub(crate) sorted_generation: AtomicU64,
    pub(crate) counters: Counters,
    pub(crate) seat: Seat,
    /// Ends the pauses between failed attempts to create, because one succeeded.
    pub(crate) recovered: Notify,
    /// Tells those who close the pool that a slot has become vacant.
    pub(crate) vacated: Notify,
}

/// After how many turns a pool lets another one have a resource, if there are more pools than resources.
const SCARCE_TURNS: u64 = 32;

/// A resource and what is remembered of it.
#[derive(Debug)]
pub(crate) struct Item<R> {
    pub(crate) resource: R,
    pub(crate) record: Record,
    pub(crate) allotment: Allotment,
}

/// Why everybody who waits is turned away.
#[derive(Debug)]
pub(crate) enum Refusal<E> {
    Create(Arc<E>),
    Closed,
    Panicked,
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
    pub(crate) fn lend(&self, ticket: &Ticket, location: &'static Location<'static>) {
        // A report that came too late for the last holder is none of this one's.
        self.end_hold(ticket);
        let gauge = &self.gauges[ticket.index()];
        gauge.set_stage(Stage::InUse);
        gauge.count_served();
        gauge.set_holder(location, current_caller(), self.item(ticket).record.taken);
    }

    /// Takes a slot back from its holder. Neither blocks on I/O nor panics nor spawns.
    #[inline]
    pub(crate) fn give_back(&self, mut ticket: Ticket) {
        self.end_hold(&ticket);
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
    pub(crate) fn hand_on(&self, mut ticket: Ticket) {
        if self.surplus.load(Ordering::Relaxed) > 0 {
            match self.retire_surplus(ticket) {
                Ok(()) => return,
                Err(needed) => ticket = needed,
            }
        }
        if let Some(budget) = &self.settings.budget
            && budget.is_short()
        {
            return self.hand_on_within(budget, ticket);
        }
        self.offer(ticket);
    }

    #[inline]
    fn offer(&self, ticket: Ticket) {
        self.gauges[ticket.index()].set_stage(Stage::Idle);
        if let Err(ticket) = self.exchange.offer(ticket, || self.settings.clock.now()) {
            self.assign(ticket, Chore::Retire(CloseReason::PoolClosed));
        }
        if let Some(max_idle) = self.settings.max_idle {
            self.trim_idle(max_idle);
        }
    }

    /// As [`Shared::hand_on`], for what was idle out of everybody's sight.
    pub(crate) fn hand_on_if_fit(&self, mut ticket: Ticket) {
        let now = self.settings.stamps.now();
        let generation = self.generation.load(Ordering::Acquire);
        let record = self.item_mut(&mut ticket).record;
        match record.fitness_to_lend(&self.settings.limits, now, generation) {
            Fitness::Ready => self.hand_on(ticket),
            Fitness::Retire(reason) => self.assign(ticket, Chore::Retire(reason)),
            Fitness::Check | Fitness::Reset => self.assign(ticket, Chore::Check),
        }
    }

    /// Leaves a slot to the keeper.
    #[cold]
    pub(crate) fn assign(&self, ticket: Ticket, chore: Chore) {
        let chore = self.informed(chore, &ticket);
        let stage = match chore {
            Chore::Check | Chore::Reset => Stage::Checking,
            Chore::Suspect => Stage::Suspect,
            Chore::Retire(_) => Stage::Closing,
        };
        let mut roster = self.roster.lock();
        self.gauges[ticket.index()].set_stage(stage);
        roster.chores.push((ticket, chore));
        self.note_occupancy(&roster);
        drop(roster);
        self.seat.ring();
    }

    /// Gives up a slot whose resource is gone already.
    pub(crate) fn vacate(&self, ticket: Ticket) {
        let mut roster = self.roster.lock();
        self.gauges[ticket.index()].set_stage(Stage::Vacant);
        roster.put_vacant(ticket);
        self.note_occupancy(&roster);
        drop(roster);
        self.seat.ring();
        self.vacated.notify_waiters();
    }

    /// Ends what is remembered of a holder, who is about to part with the slot.
    #[inline]
    pub(crate) fn end_hold(&self, ticket: &Ticket) {
        if self.gauges[ticket.index()].end_hold() {
            self.take_back_room();
        }
    }

    /// Somebody came back in whose place another resource could be created.
    #[cold]
    fn take_back_room(&self) {
        let mut roster = self.roster.lock();
        roster.replaced = roster.replaced.saturating_sub(1);
        self.note_limit(&roster);
    }

    /// Publishes how many more may be created, after a slot was filled or emptied.
    pub(crate) fn note_occupancy(&self, roster: &Roster<M::Error>) {
        self.room.store(roster.room(), Ordering::Relaxed);
        if self.surplus.load(Ordering::Relaxed) > 0 {
            self.note_limit(roster);
        }
    }

    /// Publishes how many there are too many, after the limit was changed.
    pub(crate) fn note_limit(&self, roster: &Roster<M::Error>) {
        let surplus = self.live().saturating_sub(roster.limit + roster.replaced);
        self.surplus.store(surplus, Ordering::Relaxed);
        self.limit.store(roster.limit, Ordering::Relaxed);
        self.room.store(roster.room(), Ordering::Relaxed);
    }

    /// Retires a resource because there are too many, or gives it back because there are not.
    #[cold]
    fn retire_surplus(&self, ticket: Ticket) -> Result<(), Ticket> {
        let mut roster = self.roster.lock();
        if self.surplus.load(Ordering::Relaxed) == 0 {
            return Err(ticket);
        }
        self.gauges[ticket.index()].set_stage(Stage::Closing);
        let chore = Chore::Retire(CloseReason::Surplus);
        roster.chores.push((ticket, chore));
        self.note_limit(&roster);
        drop(roster);
        self.seat.ring();
        Ok(())
    }

    /// As [`Shared::hand_on`] while other pools wait for one to be closed: a return goes if there are more
    /// than this pool's share, and now and then if not, even if somebody waits here. What would idle goes
    /// anyway.
    #[cold]
    fn hand_on_within(&self, budget: &Budget, ticket: Ticket) {
        let is_return = self.gauges[ticket.index()].stage() != Stage::Connecting;
        let turns = self.scarce_turns.fetch_add(1, Ordering::Relaxed) + 1;
        let has_its_share = self.existing() > budget.fair_share();
        if is_return && (has_its_share || turns.is_multiple_of(SCARCE_TURNS)) {
            self.assign(ticket, Chore::Retire(CloseReason::Surplus));
        } else {
            self.offer(ticket);
            self.give_up_one();
        }
    }

    /// Retires what has just been returned, or a sibling of it, if more are idle than may be.
    fn trim_idle(&self, max_idle: usize) {
        if self.count(Stage::Idle) > max_idle {
            self.give_up_one();
        }
    }

    /// The chore for the slot of `ticket`, where a resource without a runtime is no longer closed
    /// politely.
    fn informed(&self, chore: Chore, ticket: &Ticket) -> Chore {
        let lost_generation = self.lost_generation.load(Ordering::Acquire);
        match chore {
            Chore::Retire(_) if self.item(ticket).record.generation < lost_generation => {
                Chore::Retire(CloseReason::RuntimeLost)
            }
            chore => chore,
        }
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
            max_size: self.limit.load(Ordering::Relaxed),
            waiting: self.exchange.waiting(),
            suspended: self.exchange.is_suspended(),
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

    /// How many resources exist, but for those being closed.
    fn existing(&self) -> usize {
        self.live().saturating_sub(self.count(Stage::Connecting))
    }

    /// How many resources exist or are being created, but for those being closed.
    fn live(&self) -> usize {
        let is_live = |gauge: &&Gauge| !matches!(gauge.stage(), Stage::Vacant | Stage::Closing);
        self.gauges.iter().filter(is_live).count()
    }

    pub(crate) fn acquired(&self) -> u64 {
        self.gauges.iter().map(Gauge::served).sum()
    }

    pub(crate) fn metrics(&self) -> Metrics {
        let wait = self.exchange.waits().summary();
        self.counters.metrics(self.acquired(), wait)
    }

    /// Everybody who holds a resource now, whoever holds longest first.
    pub(crate) fn holders(&self) -> Vec<Holder> {
        let now = self.settings.stamps.now();
        let holder = |gauge: &Gauge| {
            let (location, caller, taken) = gauge.holder()?;
            Some(Holder {
                location,
                task: task_of(caller),
                held: now.since(taken),
            })
        };
        let mut holders: Vec<_> = self.gauges.iter().filter_map(holder).collect();
        holders.sort_by_key(|holder| std::cmp::Reverse(holder.held));
        holders
    }

    /// How many resources `caller` holds.
    pub(crate) fn held_by(&self, caller: u64) -> usize {
        let holders = self.gauges.iter().filter_map(Gauge::holder);
        holders.filter(|(_, holder, _)| *holder == caller).count()
    }

    /// Whether everybody who could return a resource would wait for one if `caller` did, and no other
    /// can come.
    pub(crate) fn closes_a_circle(&self, caller: u64) -> bool {
        if self.held_by(caller) == 0 || self.room.load(Ordering::Relaxed) > 0 {
            return false;
        }
        let waiting = self.exchange.waiting_callers();
        self.gauges.iter().all(|gauge| match gauge.holder() {
            Some((_, holder, _)) => holder == caller || waiting.contains(&holder),
            None => gauge.stage() == Stage::Vacant,
        })
    }

    /// Drops what the caller has found useless. A destructor that panics is contained.
    pub(crate) fn destroy(&self, item: Option<Item<M::Resource>>, reason: CloseReason) {
        self.counters.count_closed(reason);
        let _contained = catch_unwind(AssertUnwindSafe(|| drop(item)));
    }

    /// The manager's word, where a panic counts as "broken": this runs in a guard's drop.
    fn is_broken(&self, resource: &mut M::Resource) -> bool {
        catch_unwind(AssertUnwindSafe(|| self.manager.is_broken(resource))).unwrap_or(true)
    }
}

impl<M: Manager> Tenant for Shared<M> {
    fn spare(&self) -> usize {
        self.count(Stage::Idle)
    }

    fn give_up_one(&self) {
        if let Some((ticket, _)) = self.exchange.pop() {
            self.assign(ticket, Chore::Retire(CloseReason::Surplus));
        }
    }
}

impl<M: Manager> Drop for Shared<M> {
    /// Drops what is left one by one: this may run in a guard's drop, which a destructor's panic must
    /// not leave, and two panics at once would end the process.
    fn drop(&mut self) {
        let idle = self.exchange.drain();
        let left = std::mem::take(&mut self.roster.get_mut().chores);
        for mut ticket in idle
            .into_iter()
            .chain(left.into_iter().map(|(ticket, _)| ticket))
        {
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
