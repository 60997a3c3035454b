//! Slots that nobody holds, and who works on them.

use crate::errand::LEAST_DELAY;
use crate::exchange::Ticket;
use crate::health::CloseReason;
use perf_core::backoff::Delays;
use perf_core::{Backoff, Moment};
use std::sync::Arc;
use std::time::Duration;

/// The tickets that are neither idle nor with a holder, and what the pool knows about creating more.
///
/// A task that works on a slot does not own its ticket: the roster keeps it for the task, which has to
/// show its [`Engagement`] to get it back. So the slots of a runtime that stands still can be taken
/// from its tasks, and what these bring in the end, if they ever run again, is dropped.
#[derive(Debug)]
pub(crate) struct Roster<E> {
    vacant: Vec<Ticket>,
    /// Slots whose resource needs work that only a task can do.
    pub(crate) chores: Vec<(Ticket, Chore)>,
    /// The tickets that tasks work for, by slot.
    engaged: Box<[Option<(Engagement, Ticket)>]>,
    engagements: u64,
    /// The most resources there may be.
    pub(crate) limit: usize,
    /// How many more there may be, each in place of one whose holder is not expected to return it.
    pub(crate) replaced: usize,
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

/// A task's claim on a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Engagement {
    pub(crate) slot: usize,
    number: u64,
    /// Which keeper the task works for.
    pub(crate) epoch: u64,
}

impl<E> Roster<E> {
    /// All slots vacant, of which `limit` may be filled.
    pub(crate) fn new(vacant: Vec<Ticket>, limit: usize, backoff: &Backoff) -> Self {
        Self {
            chores: Vec::with_capacity(vacant.len()),
            engaged: vacant.iter().map(|_| None).collect(),
            vacant,
            engagements: 0,
            limit,
            replaced: 0,
            gate: Moment::ORIGIN,
            delays: backoff.delays(fastrand::Rng::new()),
            longest: LEAST_DELAY,
            last_error: None,
            hopeless: false,
        }
    }

    /// How many more resources may be created now.
    pub(crate) fn room(&self) -> usize {
        let occupied = self.engaged.len() - self.vacant.len();
        let room = (self.limit + self.replaced).saturating_sub(occupied);
        room.min(self.vacant.len())
    }

    pub(crate) fn take_vacant(&mut self) -> Option<Ticket> {
        if self.room() == 0 {
            return None;
        }
        self.vacant.pop()
    }

    pub(crate) fn put_vacant(&mut self, ticket: Ticket) {
        self.vacant.push(ticket);
    }

    /// Keeps `ticket` for a task of the keeper `epoch`.
    pub(crate) fn engage(&mut self, ticket: Ticket, epoch: u64) -> Engagement {
        self.engagements += 1;
        let slot = ticket.index();
        let engagement = Engagement {
            slot,
            number: self.engagements,
            epoch,
        };
        self.engaged[slot] = Some((engagement, ticket));
        engagement
    }

    pub(crate) fn is_engaged(&self, engagement: Engagement) -> bool {
        matches!(&self.engaged[engagement.slot], Some((current, _)) if *current == engagement)
    }

    /// Gives the ticket to the task that it was kept for, unless it was taken away from it.
    pub(crate) fn release(&mut self, engagement: Engagement) -> Option<Ticket> {
        if !self.is_engaged(engagement) {
            return None;
        }
        self.engaged[engagement.slot]
            .take()
            .map(|(_, ticket)| ticket)
    }

    /// Takes their tickets away from all tasks. The slots are empty: a task holds the resource that it
    /// works on itself.
    pub(crate) fn dismiss_all(&mut self) -> Vec<usize> {
        let dismissed = self.engaged.iter_mut().filter_map(Option::take);
        let slots = dismissed.map(|(engagement, ticket)| {
            self.vacant.push(ticket);
            engagement.slot
        });
        slots.collect()
    }
}
