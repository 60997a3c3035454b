use super::{NewTask, Task, TaskId};
use crate::error::TaskError;
use std::time::{Duration, SystemTime};

/// A task on its way into a queue: its arguments and how it should be run.
///
/// ```
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Report { month: u8 }
/// # impl perf_bulk::Task for Report {
/// #     const NAME: &'static str = "report";
/// #     type Output = ();
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_bulk::{Enqueue, MemoryTasks, TaskQueue};
/// use std::time::Duration;
///
/// let queue = TaskQueue::new(MemoryTasks::new());
/// let report = || Enqueue::new(Report { month: 11 })
///     .priority(-5)
///     .key("report-2026-11")
///     .max_attempts(3)
///     .time_limit(Duration::from_secs(600));
///
/// let first = queue.enqueue(report()).await?;
/// let second = queue.enqueue(report()).await?;
/// assert_eq!(first.id(), second.id()); // the key is known
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Enqueue<T> {
    task: T,
    priority: i16,
    key: Option<String>,
    run_at: Option<SystemTime>,
    max_attempts: u32,
    time_limit: Option<Duration>,
}

impl<T: Task> Enqueue<T> {
    /// The task, to be run as soon as a worker is free.
    pub const fn new(task: T) -> Self {
        Self {
            task,
            priority: 0,
            key: None,
            run_at: None,
            max_attempts: 20,
            time_limit: None,
        }
    }

    /// Greater ones run first, whatever the order of their arrival; default 0.
    pub const fn priority(mut self, priority: i16) -> Self {
        self.priority = priority;
        self
    }

    /// Not before this time.
    pub const fn run_at(mut self, time: SystemTime) -> Self {
        self.run_at = Some(time);
        self
    }

    /// Makes the task unique: enqueuing another one with the same key adds nothing and returns a handle of
    /// this one, until the queue has forgotten it.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// How often the task may be tried before it is dead; default 20. Zero counts as one.
    pub const fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = if attempts == 0 { 1 } else { attempts };
        self
    }

    /// How long one run may take; default unlimited. A run that takes longer is ended and has failed.
    pub const fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    pub(crate) fn into_new(self) -> Result<NewTask, TaskError> {
        let args = serde_json::to_string(&self.task);
        Ok(NewTask {
            id: TaskId::random(),
            name: T::NAME.to_owned(),
            args: args.map_err(|error| TaskError::codec(T::NAME, error))?,
            priority: self.priority,
            key: self.key,
            run_at: self.run_at,
            max_attempts: self.max_attempts,
            time_limit: self.time_limit,
        })
    }
}

impl<T: Task> From<T> for Enqueue<T> {
    fn from(task: T) -> Self {
        Self::new(task)
    }
}
