//! Callers that wait for a limiter, first come first served.
//!
//! Nothing is taken from the quota for a caller that waits. Only the first in line asks the limiter, sleeps
//! as long as it says and asks again; the others wait for their turn. So a caller that gives up gives back
//! nothing and shifts nobody: those behind it simply move up. The alternative, to take every caller's share
//! when it arrives and to let it sleep until then, must hand a share that was given back to whoever came
//! next, and admits two calls in the place of one if it hands it to whoever comes last.
//!
//! Who does not wait may pass only if there is enough for the whole line before it.

use crate::sync::{AtomicU64, Ordering::AcqRel, Ordering::Acquire};
use tokio::sync::{Semaphore, SemaphorePermit};

#[derive(Debug)]
pub(super) struct Line {
    /// Held by the first in line. Tokio's semaphore hands its permit on in order of arrival.
    first: Semaphore,
    /// What all in line together want to take.
    cost: AtomicU64,
}

/// A place in the line; leaving it in any way makes room.
#[derive(Debug)]
pub(super) struct Place<'l> {
    line: &'l Line,
    cost: u32,
    /// What those before it wanted when it joined.
    before: u64,
}

impl Line {
    pub(super) fn new() -> Self {
        Self {
            first: Semaphore::new(1),
            cost: AtomicU64::new(0),
        }
    }

    /// What those in line want to take.
    #[inline]
    pub(super) fn cost(&self) -> u32 {
        u32::try_from(self.cost.load(Acquire)).unwrap_or(u32::MAX)
    }

    /// Joins the line's end.
    pub(super) fn join(&self, cost: u32) -> Place<'_> {
        let before = self.cost.fetch_add(u64::from(cost), AcqRel);
        Place {
            line: self,
            cost,
            before,
        }
    }
}

impl<'l> Place<'l> {
    /// What those before it and itself want to take.
    pub(super) fn cost_up_to_here(&self) -> u32 {
        u32::try_from(self.before.saturating_add(self.cost.into())).unwrap_or(u32::MAX)
    }

    /// Waits until everyone before has left; `None` never happens, as the semaphore is never closed.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'l>> {
        self.line.first.acquire().await.ok()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.line.cost.fetch_sub(u64::from(self.cost), AcqRel);
    }
}
