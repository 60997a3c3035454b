//! Random transitions, on the backend and in memory, with the same answers.

use super::{Number, at, task};
use crate::error::TaskError;
use crate::tasks::{
    Claim, Exchange, Lease, MemoryTasks, NewTask, Outcome, QueueBackend, Settlement, TaskId,
};
use fastrand::Rng;
use std::time::{Duration, SystemTime};

/// Makes `steps` random transitions on `backend` and on [`MemoryTasks`], and compares every answer, in the
/// queue `conformance-random-` with the seed, which must be empty.
///
/// # Errors
///
/// That of the backend.
///
/// # Panics
///
/// When the two disagree.
///
/// # Cancel safety
///
/// Dropped midway, tasks are left behind.
pub async fn agrees_with_memory(
    backend: &dyn QueueBackend,
    seed: u64,
    steps: usize,
) -> Result<(), TaskError> {
    let mut pair = Pair {
        backend,
        memory: MemoryTasks::new(),
        queue: format!("conformance-random-{seed}"),
        rng: Rng::with_seed(seed),
        seconds: 0,
        ids: Vec::new(),
        leases: Vec::new(),
    };
    for _ in 0..steps {
        pair.step().await?;
    }
    pair.compare_all().await
}

const LEASE: Duration = Duration::from_secs(30);

struct Pair<'b> {
    backend: &'b dyn QueueBackend,
    memory: MemoryTasks,
    queue: String,
    rng: Rng,
    seconds: u64,
    ids: Vec<TaskId>,
    /// Leases given so far, most of them ended.
    leases: Vec<Lease>,
}

/// Makes the same call on both and compares.
macro_rules! both {
    ($pair:ident, $call:ident ( $($argument:expr),* )) => {{
        let ours = $pair.backend.$call(&$pair.queue $(, $argument)*).await?;
        let model = $pair.memory.$call(&$pair.queue $(, $argument)*).await?;
        assert_eq!(ours, model, "{}", stringify!($call));
        ours
    }};
}

impl Pair<'_> {
    async fn step(&mut self) -> Result<(), TaskError> {
        self.seconds += self.rng.u64(0..8);
        let now = at(self.seconds);
        match self.rng.u8(0..12) {
            0..4 => {
                let tasks = self.new_tasks()?;
                self.ids.extend(both!(self, enqueue(&tasks, now)));
            }
            4..8 => self.exchange(now).await?,
            8 => drop(both!(self, promote(now))),
            9 => {
                let leases: Vec<_> = self.some_lease().into_iter().collect();
                both!(self, renew(&leases, now + LEASE));
            }
            10 => {
                if let Some(id) = self.some_id() {
                    both!(self, cancel(id, now));
                }
            }
            _ => {
                if let Some(id) = self.some_id() {
                    both!(self, revive(id, now));
                    both!(self, find(id));
                }
                both!(self, purge(now - Duration::from_secs(60)));
            }
        }
        Ok(())
    }

    async fn exchange(&mut self, now: SystemTime) -> Result<(), TaskError> {
        let mut reports: Vec<Settlement> = Vec::new();
        for _ in 0..self.rng.usize(0..4) {
            let Some(lease) = self.some_lease() else {
                break;
            };
            // Two reports on one task in one exchange have no order.
            if reports.iter().all(|report| report.lease.id != lease.id) {
                let outcome = self.outcome(now);
                reports.push(Settlement::new(lease, outcome));
            }
        }
        let claim = Claim::new("worker", self.rng.usize(0..4), now, LEASE);
        // Claims may see what the reports release, or not: both are right. So reports go first.
        let reported = Claim {
            limit: 0,
            ..claim.clone()
        };
        let mut ours = self
            .backend
            .exchange(&self.queue, &reports, &reported)
            .await?;
        let mut model = self
            .memory
            .exchange(&self.queue, &reports, &reported)
            .await?;
        ours.refused.sort_unstable();
        model.refused.sort_unstable();
        assert_eq!(ours, model, "exchange");
        let Exchange { claimed, .. } = both!(self, exchange(&[], &claim));
        self.leases
            .extend(claimed.iter().map(|claimed| claimed.lease));
        Ok(())
    }

    async fn compare_all(&mut self) -> Result<(), TaskError> {
        for id in std::mem::take(&mut self.ids) {
            both!(self, find(id));
        }
        both!(self, dead(1_000));
        both!(self, counts());
        Ok(())
    }

    fn new_tasks(&mut self) -> Result<Vec<NewTask>, TaskError> {
        let count = self.rng.usize(0..4);
        let mut tasks = Vec::new();
        for _ in 0..count {
            let mut task = task(self.rng.u32(..)).priority(self.rng.i16(-2..3));
            if self.rng.bool() {
                task = task.key(self.rng.u8(0..20).to_string());
            }
            if self.rng.u8(0..3) == 0 {
                task = task.run_at(at(self.seconds + self.rng.u64(0..30)));
            }
            tasks.push(task.into_new()?);
        }
        Ok(tasks)
    }

    fn outcome(&mut self, now: SystemTime) -> Outcome {
        let error = "random".to_owned();
        match self.rng.u8(0..6) {
            0 => Outcome::Forgotten,
            1 => Outcome::Released,
            2 => Outcome::Dead(error),
            3 => Outcome::Retry {
                at: now + Duration::from_secs(self.rng.u64(0..30)),
                error,
            },
            _ => Outcome::Succeeded(format!("\"{}\"", <Number as crate::Task>::NAME)),
        }
    }

    /// A lease, of the last few more often than not.
    fn some_lease(&mut self) -> Option<Lease> {
        let recent = self.leases.len().saturating_sub(6);
        let from = if self.rng.bool() { recent } else { 0 };
        let range = from..self.leases.len();
        (!range.is_empty()).then(|| self.leases[self.rng.usize(range)])
    }

    fn some_id(&mut self) -> Option<TaskId> {
        let range = 0..self.ids.len();
        (!range.is_empty()).then(|| self.ids[self.rng.usize(range)])
    }
}
