use super::BoxError;
use crate::tasks::TaskId;
use perf_core::Transience;

/// Why something about a task failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// The queue, worker or schedule as configured makes no sense.
    #[error("invalid configuration: {0}")]
    Config(&'static str),
    /// The arguments or the output of a task have no form in JSON, or not the one that its type has.
    #[error("task `{name}`: arguments or output do not fit")]
    Codec {
        /// The task's name.
        name: String,
        /// What the codec said.
        source: BoxError,
    },
    /// No task has this id, or its result is no longer kept.
    #[error("task {0} is unknown")]
    Unknown(TaskId),
    /// The worker's lease on the task has ended and another may hold one. Nothing was written: whatever
    /// stands in the same transaction must be rolled back.
    #[error("the lease on task {0} is lost")]
    LeaseLost(TaskId),
    /// The task was given up.
    #[error("task {id} was given up after {attempts} attempts: {error}")]
    Dead {
        /// The task.
        id: TaskId,
        /// How often it was tried.
        attempts: u32,
        /// What it failed for last.
        error: String,
    },
    /// The task was cancelled.
    #[error("task {0} was cancelled")]
    Cancelled(TaskId),
    /// The worker ended without draining.
    #[error("the worker ended")]
    Stopped,
    /// The backend, or the way to it, failed.
    #[error("the backend failed")]
    Backend {
        /// Whether trying again may help.
        transience: Transience,
        /// What the backend said.
        source: BoxError,
    },
}

impl TaskError {
    /// Whether the same call may succeed later.
    ///
    /// ```
    /// use perf_bulk::{TaskError, TaskId};
    ///
    /// assert!(!TaskError::LeaseLost(TaskId::random()).is_transient());
    /// ```
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Backend { transience, .. } => transience.is_transient(),
            _ => false,
        }
    }

    pub(crate) fn codec(name: &str, source: serde_json::Error) -> Self {
        Self::Codec {
            name: name.to_owned(),
            source: source.into(),
        }
    }
}
