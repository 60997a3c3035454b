use crate::exchange::Ticket;
use crate::health::CloseReason;
use crate::manager::Manager;
use crate::roster::Chore;
use crate::shared::{Item, Shared};
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

/// A resource on loan. Dropping it gives it back.
///
/// The drop never blocks, panics, spawns or performs I/O, and needs no runtime. What a returned
/// resource needs beyond that, a reset or a close, is left to the pool's own task.
///
/// Everything but the resource is reached by associated functions, such as `Pooled::meta(&guard)`, so
/// that no method hides one of the resource's.
pub struct Pooled<M: Manager> {
    pool: Arc<Shared<M>>,
    /// `None` only while the guard is being consumed.
    ticket: Option<Ticket>,
    /// A guard may be shared between threads only if the resource may.
    _lends: PhantomData<M::Resource>,
}

/// What the pool knows of one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Meta {
    /// The time since its creation.
    pub age: Duration,
    /// How many holders it had before.
    pub uses: u64,
    /// Whether it will be reset before somebody else gets it.
    pub tainted: bool,
}

impl<M: Manager> Pooled<M> {
    #[inline]
    pub(crate) fn new(
        pool: &Arc<Shared<M>>,
        ticket: Ticket,
        location: &'static Location<'static>,
    ) -> Self {
        pool.lend(&ticket, location);
        Self {
            pool: Arc::clone(pool),
            ticket: Some(ticket),
            _lends: PhantomData,
        }
    }

    /// Takes the resource out of the pool, which may create another in its place.
    pub fn detach(mut guard: Self) -> M::Resource {
        let mut ticket = guard.take_ticket();
        guard.pool.end_hold(&ticket);
        let item = guard.pool.slots.open_mut(&mut ticket).take();
        guard.pool.counters.count_closed(CloseReason::Detached);
        guard.pool.vacate(ticket);
        Self::lent(item).resource
    }

    /// Gives up the resource instead of returning it, because the holder knows that it is useless.
    pub fn discard(mut guard: Self) {
        let ticket = guard.take_ticket();
        guard.pool.end_hold(&ticket);
        guard
            .pool
            .assign(ticket, Chore::Retire(CloseReason::Broken));
    }

    /// Marks the resource as unclean: the pool resets it before anybody else gets it.
    pub fn taint(guard: &mut Self) {
        guard.item_mut().record.tainted = true;
    }

    /// Takes the mark of [`Pooled::taint`] off, because the holder has cleaned up.
    pub fn clear_taint(guard: &mut Self) {
        guard.item_mut().record.tainted = false;
    }

    /// What the pool knows of the resource.
    #[must_use]
    pub fn meta(guard: &Self) -> Meta {
        let record = &guard.item().record;
        Meta {
            age: guard.pool.settings.stamps.now().since(record.created),
            uses: record.uses,
            tainted: record.tainted,
        }
    }

    /// The resource, for code that vouches for the state it leaves it in.
    #[cfg_attr(
        not(any(
            feature = "postgres",
            feature = "mysql",
            feature = "redis",
            feature = "sqlite"
        )),
        allow(dead_code, reason = "only the managers of connections vouch")
    )]
    pub(crate) fn vouched(guard: &mut Self) -> &mut M::Resource {
        &mut guard.item_mut().resource
    }

    fn take_ticket(&mut self) -> Ticket {
        let ticket = self.ticket.take();
        ticket.expect("a guard is consumed once, by value")
    }

    fn lent<T>(lent: Option<T>) -> T {
        lent.expect("a guard that can be named has not been consumed")
    }

    #[inline]
    fn item(&self) -> &Item<M::Resource> {
        self.pool.item(Self::lent(self.ticket.as_ref()))
    }

    #[inline]
    fn item_mut(&mut self) -> &mut Item<M::Resource> {
        self.pool.item_mut(Self::lent(self.ticket.as_mut()))
    }
}

impl<M: Manager> Deref for Pooled<M> {
    type Target = M::Resource;

    #[inline]
    fn deref(&self) -> &M::Resource {
        &self.item().resource
    }
}

impl<M: Manager> DerefMut for Pooled<M> {
    #[inline]
    fn deref_mut(&mut self) -> &mut M::Resource {
        let item = self.item_mut();
        if !M::CLEAN_AFTER_ACCESS {
            item.record.tainted = true;
        }
        &mut item.resource
    }
}

impl<M: Manager> Drop for Pooled<M> {
    #[inline]
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.pool.give_back(ticket);
        }
    }
}

impl<M: Manager<Resource: fmt::Debug>> fmt::Debug for Pooled<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pooled")
            .field("pool", &self.pool.settings.name)
            .field("resource", &**self)
            .finish()
    }
}
