//! Work that outlives the process that asked for it.
//!
//! A task is a type: its fields are the arguments, [`Task::NAME`] its name, [`Task::Output`] its result.
//! Whoever has a [`TaskQueue`] enqueues tasks; a [`Worker`] somewhere has a handler for each name and runs
//! them.
//!
//! # Leases and fencing tokens
//!
//! A worker claims tasks for a limited time and renews that lease while it works. One that was killed
//! renews no more, so its tasks are claimed again: nothing is lost. One that was merely slow, paused or cut
//! off comes back, believes that it holds the lease and reports. Knowing *who* holds a lease does not
//! help then, since a restarted worker has the same name. So every claim gives the task a new number, the
//! **fencing token**, and every report names the token it works under. A report under an old one is
//! refused, always and by the database itself.
//!
//! # What runs once
//!
//! Every queue that survives crashes runs some task twice: the worker may die between the effect and the
//! report of it. The way out is to make them one. Where the effect is in the same database, `acknowledge`
//! of [`PostgresTasks`] and [`SqliteTasks`] reports in the handler's own transaction, so that both happen or
//! neither, once. Anywhere else a handler must bear to be run again.
//!
//! # Why it is fast
//!
//! The cost of a queue on a database is its commits. A worker sends the reports of finished tasks together
//! with the claim of the next ones, in one transaction; while it is under way more tasks finish, and the
//! next exchange is larger. Like a batcher it needs no delay to fill its batches.

mod backend;
mod enqueue;
mod handle;
mod id;
mod queue;
mod recurring;
mod worker;

#[cfg(feature = "conformance")]
pub mod conformance;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use backend::memory::MemoryTasks;
#[cfg(feature = "postgres")]
pub use backend::postgres::PostgresTasks;
#[cfg(feature = "sqlite")]
pub use backend::sqlite::SqliteTasks;
pub use backend::{
    Claim, Claimed, Counts, Exchange, Lease, NewTask, Outcome, Promotion, QueueBackend, Settlement,
    TaskRecord, TaskStatus,
};
pub use enqueue::Enqueue;
pub use handle::TaskHandle;
pub use id::TaskId;
pub use queue::{TaskQueue, TaskQueueBuilder};
pub use recurring::Schedule;
pub use worker::{Job, Permanent, Worker, WorkerBuilder};

/// A kind of task: its arguments, which are the value itself, its name and its result.
///
/// ```
/// use perf_bulk::Task;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct SendMail {
///     to: String,
/// }
///
/// impl Task for SendMail {
///     const NAME: &'static str = "send_mail";
///     type Output = u64; // the message's number
/// }
/// ```
pub trait Task: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Tells the kinds of one queue apart. It is stored, so renaming the type does not change it.
    const NAME: &'static str;
    /// What a run of the task returns.
    type Output: Serialize + DeserializeOwned + Send + 'static;
}
