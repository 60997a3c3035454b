//! Where tasks are kept.
//!
//! A backend supplies transitions between states, each atomic, and reads no clock: every call says what
//! time it is. Retries, time limits, schedules and dead letters are built above it.
//!
//! | from | by | to |
//! |---|---|---|
//! | | `enqueue` | scheduled, or waiting if due |
//! | scheduled | `promote`, once due | waiting |
//! | waiting | `exchange` claims it under a new token | running |
//! | running | `exchange` settles it under that token | succeeded, dead, scheduled, waiting |
//! | running | `promote`, once its lease has ended | waiting |
//! | scheduled, waiting, running | `cancel` | cancelled |
//! | dead | `revive` | waiting |

pub(super) mod memory;
#[cfg(feature = "postgres")]
pub(super) mod postgres;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod sql;
#[cfg(feature = "sqlite")]
pub(super) mod sqlite;

use super::TaskId;
use crate::error::TaskError;
use crate::wall::later;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// Keeps the tasks of any number of queues, told apart by name.
///
/// # Cancel safety
///
/// Each call happens wholly or not at all. Dropped midway, it may still happen.
#[async_trait]
pub trait QueueBackend: fmt::Debug + Send + Sync + 'static {
    /// Adds tasks, all or none; their ids in order. A task whose key is known is not added, and the id of
    /// the one that has it stands in its place.
    async fn enqueue(
        &self,
        queue: &str,
        tasks: &[NewTask],
        now: SystemTime,
    ) -> Result<Vec<TaskId>, TaskError>;

    /// Settles tasks and claims others, in one transaction.
    async fn exchange(
        &self,
        queue: &str,
        settlements: &[Settlement],
        claim: &Claim,
    ) -> Result<Exchange, TaskError>;

    /// Lets tasks wait that are due, and those whose lease has ended.
    async fn promote(&self, queue: &str, now: SystemTime) -> Result<Promotion, TaskError>;

    /// Prolongs leases; the tasks whose lease is lost.
    async fn renew(
        &self,
        queue: &str,
        leases: &[Lease],
        until: SystemTime,
    ) -> Result<Vec<TaskId>, TaskError>;

    /// What is known of a task.
    async fn find(&self, queue: &str, id: TaskId) -> Result<Option<TaskRecord>, TaskError>;

    /// Cancels a task that is not finished; whether it was one. A worker that runs it learns so when it
    /// renews its lease.
    async fn cancel(&self, queue: &str, id: TaskId, now: SystemTime) -> Result<bool, TaskError>;

    /// Gives a dead task all its attempts again; whether it was one.
    async fn revive(&self, queue: &str, id: TaskId, now: SystemTime) -> Result<bool, TaskError>;

    /// The oldest dead tasks.
    async fn dead(&self, queue: &str, limit: usize) -> Result<Vec<TaskId>, TaskError>;

    /// How many tasks there are in each state.
    async fn counts(&self, queue: &str) -> Result<Counts, TaskError>;

    /// Forgets tasks that succeeded or were cancelled before `finished`, and their keys; how many.
    async fn purge(&self, queue: &str, finished: SystemTime) -> Result<u64, TaskError>;

    /// Changes when tasks may have arrived, in this process at least.
    fn arrivals(&self) -> watch::Receiver<()>;
}

/// A task to be added.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NewTask {
    /// Its id.
    pub id: TaskId,
    /// Which kind it is of.
    pub name: String,
    /// Its arguments, in JSON.
    pub args: String,
    /// Greater ones run first; default 0.
    pub priority: i16,
    /// What makes it unique in its queue, until it is forgotten.
    pub key: Option<String>,
    /// When it is due; `None` at once.
    pub run_at: Option<SystemTime>,
    /// How often it may be tried.
    pub max_attempts: u32,
    /// How long a run of it may take.
    pub time_limit: Option<Duration>,
}

/// What a worker asks for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Claim {
    /// The worker's name, for those who look.
    pub worker: String,
    /// The most tasks it takes; 0 for none.
    pub limit: usize,
    /// What time it is.
    pub now: SystemTime,
    /// Until when it takes them.
    pub until: SystemTime,
}

impl Claim {
    /// A claim of at most `limit` tasks.
    #[must_use]
    pub fn new(worker: &str, limit: usize, now: SystemTime, lease: Duration) -> Self {
        Self {
            worker: worker.to_owned(),
            limit,
            now,
            until: later(now, lease),
        }
    }
}

/// The right to run a task and to report on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Lease {
    /// The task.
    pub id: TaskId,
    /// The number of the claim: whoever reports under another is refused.
    pub token: i64,
}

impl Lease {
    /// The lease that claim number `token` gave.
    #[must_use]
    pub const fn new(id: TaskId, token: i64) -> Self {
        Self { id, token }
    }
}

/// A task that was claimed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Claimed {
    /// The right to run it.
    pub lease: Lease,
    /// Which kind it is of.
    pub name: String,
    /// Its arguments, in JSON.
    pub args: String,
    /// Which attempt this is, from 1. One above the maximum says that the last attempt left no report.
    pub attempt: u32,
    /// How often it may be tried.
    pub max_attempts: u32,
    /// How long a run of it may take.
    pub time_limit: Option<Duration>,
    /// When it was due.
    pub run_at: SystemTime,
}

/// A worker's report on a task.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Settlement {
    /// The lease that it worked under.
    pub lease: Lease,
    /// What became of the task.
    pub outcome: Outcome,
}

impl Settlement {
    /// A report under `lease`.
    #[must_use]
    pub const fn new(lease: Lease, outcome: Outcome) -> Self {
        Self { lease, outcome }
    }
}

/// What became of a task.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// It succeeded; its output, in JSON, is kept.
    Succeeded(String),
    /// It succeeded, and nobody will ask.
    Forgotten,
    /// It failed and is tried again.
    Retry {
        /// When.
        at: SystemTime,
        /// What it failed for.
        error: String,
    },
    /// It failed for good.
    Dead(String),
    /// It was not run, and the attempt does not count.
    Released,
}

/// The result of [`QueueBackend::exchange`].
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Exchange {
    /// Tasks claimed, in the order in which they should run.
    pub claimed: Vec<Claimed>,
    /// Tasks whose report was refused: the lease was lost.
    pub refused: Vec<TaskId>,
}

/// The result of [`QueueBackend::promote`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Promotion {
    /// Tasks that were due.
    pub due: u64,
    /// Tasks whose lease had ended.
    pub expired: u64,
    /// When the next one will be due.
    pub next: Option<SystemTime>,
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskStatus {
    /// It is not due yet: scheduled, or between two attempts.
    Scheduled,
    /// It waits for a worker.
    Waiting,
    /// A worker has a lease on it.
    Running,
    /// It succeeded.
    Succeeded,
    /// It failed for good.
    Dead,
    /// It was cancelled.
    Cancelled,
}

/// What is known of a task.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TaskRecord {
    /// Which kind it is of.
    pub name: String,
    /// Where it stands.
    pub status: TaskStatus,
    /// How often it was claimed.
    pub attempts: u32,
    /// Its output in JSON, once it succeeded.
    pub output: Option<String>,
    /// What it failed for last.
    pub error: Option<String>,
}

/// How many tasks there are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Not due yet.
    pub scheduled: u64,
    /// Waiting for a worker.
    pub waiting: u64,
    /// Under a lease.
    pub running: u64,
    /// Succeeded and kept.
    pub succeeded: u64,
    /// Failed for good.
    pub dead: u64,
    /// Cancelled and kept.
    pub cancelled: u64,
}

impl TaskStatus {
    /// Whether nothing will happen to the task any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Dead | Self::Cancelled)
    }
}

impl Counts {
    /// The count of one state.
    pub(super) const fn of(&mut self, status: TaskStatus) -> &mut u64 {
        match status {
            TaskStatus::Scheduled => &mut self.scheduled,
            TaskStatus::Waiting => &mut self.waiting,
            TaskStatus::Running => &mut self.running,
            TaskStatus::Succeeded => &mut self.succeeded,
            TaskStatus::Dead => &mut self.dead,
            TaskStatus::Cancelled => &mut self.cancelled,
        }
    }
}
