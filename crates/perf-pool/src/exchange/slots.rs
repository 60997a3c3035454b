#![allow(
    unsafe_code,
    reason = "a cell per slot, opened by whoever holds the slot's only ticket"
)]

use crate::sync::UnsafeCell;
use std::num::NonZeroU32;

/// The right to one slot: whoever holds the ticket, and nobody else, may touch what lies in it.
///
/// There is exactly one ticket for each slot. It is neither `Clone` nor `Copy`; it is issued by
/// [`Slots::new`], turned into a number only by the idle stack, and back only by the one
/// party that takes the number out again. Dropping one loses the slot for good, which
/// is why it must be used.
#[derive(Debug)]
#[must_use = "a dropped ticket is a lost slot"]
pub struct Ticket(NonZeroU32);

impl Ticket {
    /// The position of the slot.
    #[inline]
    pub const fn index(&self) -> usize {
        self.0.get() as usize - 1
    }

    /// The slot's number, to be kept by the idle stack once the ticket itself is gone.
    pub(super) const fn number(&self) -> NonZeroU32 {
        self.0
    }

    /// The ticket again, for a number that the caller alone has taken out of the idle stack.
    pub(super) const fn reissue(number: NonZeroU32) -> Self {
        Self(number)
    }
}

/// A fixed row of cells, each opened by its [`Ticket`].
#[derive(Debug)]
pub struct Slots<T> {
    cells: Box<[Cell<T>]>,
}

/// Begins a line of the processor's cache: holders of neighbouring slots must not wait for each other's
/// writes.
#[derive(Debug)]
#[repr(align(64))]
struct Cell<T>(UnsafeCell<T>);

// SAFETY: a cell is reached only through its ticket, of which there is one; moving the ticket between
// threads passes through the release and acquire of the idle stack or of the waiters' queue. So values
// are sent between threads, never shared by two.
unsafe impl<T: Send> Sync for Slots<T> {}

impl<T> Slots<T> {
    /// `count` cells and the ticket of each.
    pub fn new(count: u32, vacant: impl Fn() -> T) -> (Self, Vec<Ticket>) {
        let cell = |_| Cell(UnsafeCell::new(vacant()));
        let cells = (0..count).map(cell).collect();
        // The vector is popped from its end: the first slot is used first.
        let tickets = (1..=count)
            .rev()
            .filter_map(NonZeroU32::new)
            .map(Ticket)
            .collect();
        (Self { cells }, tickets)
    }

    /// What lies in the ticket's slot.
    #[inline]
    pub fn open<'a>(&'a self, ticket: &'a Ticket) -> &'a T {
        // SAFETY: the slot's only ticket is borrowed for as long as the result lives, so `open_mut`
        // cannot be called with it meanwhile. A ticket is used only with the row that issued it: each
        // pool owns one row, and its guards carry both. A guard is `Sync` only if the resource is.
        self.cells[ticket.index()]
            .0
            .with_mut(|cell| unsafe { &*cell })
    }

    /// What lies in the ticket's slot, to be changed.
    #[inline]
    pub fn open_mut<'a>(&'a self, ticket: &'a mut Ticket) -> &'a mut T {
        // SAFETY: as for `open`; here the only ticket is borrowed exclusively.
        self.cells[ticket.index()]
            .0
            .with_mut(|cell| unsafe { &mut *cell })
    }
}
