//! Which runtime does the pool's work.

use crate::holder::number_of;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::runtime;
use tokio::sync::Notify;

/// The place of the keeper, which one task at a time holds.
///
/// Each holder has an epoch of its own and a signal of its own: a call for a keeper must not be
/// swallowed by a predecessor whose runtime stands still.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    is_taken: AtomicBool,
    epoch: AtomicU64,
    rounds: AtomicU64,
    /// The number of the holder's runtime, 0 before the first.
    home: AtomicU64,
    signal: Mutex<Arc<Notify>>,
}

/// The right to be the keeper, until the next epoch begins.
#[derive(Debug)]
pub(crate) struct Tenure {
    pub(crate) epoch: u64,
    /// Tells the keeper that there is something to do.
    pub(crate) signal: Arc<Notify>,
}

/// How far a keeper had come at some time. It is alive if it has moved on since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heartbeat {
    epoch: u64,
    rounds: u64,
}

impl Seat {
    pub(crate) fn is_taken(&self) -> bool {
        self.is_taken.load(Ordering::Acquire)
    }

    /// The epoch of the current or last holder. Changes only under the roster's lock.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Takes the seat for the runtime `home` if it is free.
    pub(crate) fn claim(&self, home: runtime::Id) -> Option<Tenure> {
        let mut signal = self.signal.lock();
        (!self.is_taken()).then(|| self.settle(&mut signal, home))
    }

    /// Takes the seat for the runtime `home` from a holder that has done nothing since `seen`.
    pub(crate) fn seize(&self, home: runtime::Id, seen: Heartbeat) -> Option<Tenure> {
        let mut signal = self.signal.lock();
        let stands_still = self.is_taken() && self.heartbeat() == seen;
        stands_still.then(|| self.settle(&mut signal, home))
    }

    fn settle(&self, signal: &mut Arc<Notify>, home: runtime::Id) -> Tenure {
        // The predecessor, should it ever run again, finds out at once.
        std::mem::take(signal).notify_one();
        self.home.store(number_of(&home), Ordering::Release);
        self.is_taken.store(true, Ordering::Release);
        Tenure {
            epoch: self.epoch.fetch_add(1, Ordering::AcqRel) + 1,
            signal: Arc::clone(signal),
        }
    }

    /// Frees the seat of keeper `epoch`. `false` if it had lost it before.
    pub(crate) fn leave(&self, epoch: u64) -> bool {
        let _signal = self.signal.lock();
        self.epoch() == epoch && self.is_taken.swap(false, Ordering::AcqRel)
    }

    /// Whether the holder lives in another runtime than that of number `here`.
    pub(crate) fn is_outside(&self, here: u64) -> bool {
        self.home.load(Ordering::Acquire) != here
    }

    /// Tells the holder that there is something to do.
    pub(crate) fn ring(&self) {
        self.signal.lock().notify_one();
    }

    /// Shows that the holder works.
    pub(crate) fn beat(&self) {
        self.rounds.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn heartbeat(&self) -> Heartbeat {
        Heartbeat {
            epoch: self.epoch(),
            rounds: self.rounds.load(Ordering::Acquire),
        }
    }
}
