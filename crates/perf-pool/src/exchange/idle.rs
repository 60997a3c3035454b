use super::Ticket;
use crate::sync::{AtomicU32, AtomicU64};
use std::num::NonZeroU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// The stack of idle slots and the flags that decide whether it may be used, in one word.
///
/// ```text
///  63                        23    22        21      20    19                0
/// ┌───────────────────────────┬───────────┬────────┬─────────┬─────────────────┐
/// │ changes of the head (tag) │ suspended │ closed │ waiters │ top's index + 1 │
/// └───────────────────────────┴───────────┴────────┴─────────┴─────────────────┘
/// ```
///
/// Because a push fails when the `waiters` flag is up, and the flag goes up only while nothing usable is
/// idle, a returner and a waiter cannot miss each other: one of the two compare-and-swaps loses and
/// takes the other path. The tag makes a swap fail whose top was popped and pushed meanwhile; it comes
/// around after 2⁴¹ changes, hours in which one thread would have to stand still between two
/// instructions.
///
/// While suspended nothing is popped, returns go onto the stack past those who wait, and the flag
/// `waiters` says nothing of what is idle; [`IdleStack::resume`] puts that right.
#[derive(Debug)]
pub struct IdleStack {
    word: Padded,
    /// For each slot on the stack, the index + 1 of the one below it.
    below: Box<[AtomicU32]>,
}

/// What a pop saw right after it, to prove later that nothing has changed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting(u64);

/// Keeps the busiest word of the pool off its neighbours' cache line.
#[derive(Debug)]
#[repr(align(128))]
struct Padded(AtomicU64);

const HEAD: u64 = (1 << 20) - 1;
const WAITERS: u64 = 1 << 20;
const CLOSED: u64 = 1 << 21;
const SUSPENDED: u64 = 1 << 22;
const TAG: u64 = 1 << 23;

impl IdleStack {
    /// The most slots that a head of 20 bits can name.
    pub const MAX_SLOTS: u32 = (1 << 20) - 2;

    pub fn new(slots: u32) -> Self {
        Self {
            word: Padded(AtomicU64::new(0)),
            below: (0..slots).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    /// Takes the slot that was idle for the shortest time.
    #[inline]
    pub fn pop(&self) -> Option<(Ticket, Sighting)> {
        // Acquire pairs with the release of the push: what the previous holder wrote is visible.
        let mut word = self.word.0.load(Acquire);
        loop {
            if word & (CLOSED | SUSPENDED) != 0 {
                return None;
            }
            let top = NonZeroU32::new(head(word))?;
            let below = self.below[index(top)].load(Relaxed);
            let popped = with_head(word, below);
            match self
                .word
                .0
                .compare_exchange_weak(word, popped, Acquire, Acquire)
            {
                Ok(_) => return Some((Ticket::reissue(top), Sighting(popped))),
                Err(changed) => word = changed,
            }
        }
    }

    /// Puts a slot on top, unless somebody waits for it or the stack is closed.
    #[inline]
    pub fn push(&self, ticket: Ticket) -> Result<(), Ticket> {
        self.push_unless(WAITERS | CLOSED, ticket)
    }

    /// Puts a slot on top although somebody waits: the way back while suspended.
    pub fn push_past_waiters(&self, ticket: Ticket) -> Result<(), Ticket> {
        self.push_unless(CLOSED, ticket)
    }

    #[inline]
    fn push_unless(&self, flags: u64, ticket: Ticket) -> Result<(), Ticket> {
        let mut word = self.word.0.load(Relaxed);
        loop {
            if word & flags != 0 {
                return Err(ticket);
            }
            self.below[ticket.index()].store(head(word), Relaxed);
            let pushed = with_head(word, ticket.number().get());
            match self
                .word
                .0
                .compare_exchange_weak(word, pushed, Release, Relaxed)
            {
                Ok(_) => return Ok(()),
                Err(changed) => word = changed,
            }
        }
    }

    /// Raises the `waiters` flag: from here on pushes fail. `false` when something may be idle that
    /// the caller has not seen, so that it must pop again.
    ///
    /// `seen` is the caller's last pop, if what it popped was unusable: what lies below was idle even
    /// longer, so the stack counts as empty as long as it has not changed.
    pub fn raise_waiters(&self, seen: Option<Sighting>) -> bool {
        let mut word = self.word.0.load(Relaxed);
        loop {
            if word & WAITERS != 0 || word & CLOSED != 0 {
                return true;
            }
            let is_reachable = head(word) != 0 && word & SUSPENDED == 0;
            if is_reachable && seen != Some(Sighting(word)) {
                return false;
            }
            match self
                .word
                .0
                .compare_exchange_weak(word, word | WAITERS, Relaxed, Relaxed)
            {
                Ok(_) => return true,
                Err(changed) => word = changed,
            }
        }
    }

    /// Lowers the flag again, when the last waiter has gone.
    pub fn lower_waiters(&self) {
        self.word.0.fetch_and(!WAITERS, Relaxed);
    }

    /// Refuses every pop and push from now on. What is idle stays and is taken by [`IdleStack::drain`].
    pub fn close(&self) {
        self.word.0.fetch_or(CLOSED, Relaxed);
    }

    pub fn is_closed(&self) -> bool {
        self.word.0.load(Relaxed) & CLOSED != 0
    }

    /// Refuses every pop until [`IdleStack::resume`].
    pub fn suspend(&self) {
        self.word.0.fetch_or(SUSPENDED, Relaxed);
    }

    /// Allows pops again. The caller has emptied the stack since the last change of `waiters`.
    pub fn resume(&self) {
        self.word.0.fetch_and(!SUSPENDED, Relaxed);
    }

    pub fn is_suspended(&self) -> bool {
        self.word.0.load(Relaxed) & SUSPENDED != 0
    }

    /// Takes everything idle, the most recently used first, whether closed or not.
    pub fn drain(&self) -> Vec<Ticket> {
        let mut word = self.word.0.load(Acquire);
        while let Err(changed) =
            self.word
                .0
                .compare_exchange_weak(word, with_head(word, 0), Acquire, Acquire)
        {
            word = changed;
        }
        // The chain belongs to this thread now: nobody else can reach it through the head.
        let mut link = head(word);
        std::iter::from_fn(|| {
            let number = NonZeroU32::new(link)?;
            link = self.below[index(number)].load(Relaxed);
            Some(Ticket::reissue(number))
        })
        .collect()
    }
}

const fn index(number: NonZeroU32) -> usize {
    number.get() as usize - 1
}

const fn head(word: u64) -> u32 {
    (word & HEAD) as u32
}

/// The word with another head and the next tag.
const fn with_head(word: u64, head: u32) -> u64 {
    ((word & !HEAD) | head as u64).wrapping_add(TAG)
}
