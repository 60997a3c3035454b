use super::{Task, TaskId, TaskQueue, TaskRecord, TaskStatus};
use crate::error::TaskError;
use std::fmt;
use std::marker::PhantomData;
use std::pin::pin;
use std::time::Duration;

/// A task that was enqueued, to be waited for, looked at or cancelled.
///
/// Dropping it changes nothing. [`TaskQueue::handle`] makes another from the task's id, in this process or
/// any.
pub struct TaskHandle<T> {
    queue: TaskQueue,
    id: TaskId,
    task: PhantomData<fn() -> T>,
}

/// How often a result is looked for while it is awaited: at first, and at last.
const FIRST_LOOK: Duration = Duration::from_millis(5);
const LAST_LOOK: Duration = Duration::from_millis(500);

impl<T: Task> TaskHandle<T> {
    pub(crate) const fn new(queue: TaskQueue, id: TaskId) -> Self {
        Self {
            queue,
            id,
            task: PhantomData,
        }
    }

    /// The task's id.
    #[must_use]
    pub const fn id(&self) -> TaskId {
        self.id
    }

    /// Where the task stands.
    ///
    /// # Errors
    ///
    /// [`TaskError::Unknown`] when it is forgotten, [`TaskError::Backend`].
    ///
    /// # Cancel safety
    ///
    /// Looking changes nothing.
    pub async fn status(&self) -> Result<TaskStatus, TaskError> {
        Ok(self.record().await?.status)
    }

    /// What is known of the task.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status).
    ///
    /// # Cancel safety
    ///
    /// Looking changes nothing.
    pub async fn record(&self) -> Result<TaskRecord, TaskError> {
        let record = self
            .queue
            .backend()
            .find(self.queue.name(), self.id)
            .await?;
        record.ok_or(TaskError::Unknown(self.id))
    }

    /// Waits for the task's result.
    ///
    /// A worker of this process wakes the wait; for others it looks, ever less often, at most every half
    /// second. The result is kept for the time that [`retention`](super::TaskQueueBuilder::retention)
    /// says.
    ///
    /// # Errors
    ///
    /// [`TaskError::Dead`] and [`TaskError::Cancelled`] when there will be none,
    /// [`TaskError::Codec`] when it is not of this type, and those of [`status`](Self::status).
    ///
    /// # Cancel safety
    ///
    /// Dropping the wait does not cancel the task.
    pub async fn result(&self) -> Result<T::Output, TaskError> {
        let mut pause = FIRST_LOOK;
        loop {
            let mut finished = pin!(self.queue.finished());
            // Enrol before the look: what finishes between the two must not be missed.
            finished.as_mut().enable();
            if let Some(result) = self.try_result().await? {
                return Ok(result);
            }
            tokio::select! {
                () = finished => {}
                () = self.queue.clock().sleep(pause) => pause = (pause * 2).min(LAST_LOOK),
            }
        }
    }

    /// The task's result, if it is there.
    ///
    /// # Errors
    ///
    /// As [`result`](Self::result).
    ///
    /// # Cancel safety
    ///
    /// Looking changes nothing.
    pub async fn try_result(&self) -> Result<Option<T::Output>, TaskError> {
        let record = self.record().await?;
        match record.status {
            TaskStatus::Succeeded => {
                let output = record.output.unwrap_or_default();
                let output = serde_json::from_str(&output);
                output
                    .map(Some)
                    .map_err(|error| TaskError::codec(T::NAME, error))
            }
            TaskStatus::Dead => Err(TaskError::Dead {
                id: self.id,
                attempts: record.attempts,
                error: record.error.unwrap_or_default(),
            }),
            TaskStatus::Cancelled => Err(TaskError::Cancelled(self.id)),
            _ => Ok(None),
        }
    }

    /// Cancels the task if it is not finished; whether it was not. One that runs is stopped when its worker
    /// next renews its lease, and what it reports until then is refused.
    ///
    /// # Errors
    ///
    /// [`TaskError::Backend`].
    ///
    /// # Cancel safety
    ///
    /// Dropped midway, the task is cancelled or not.
    pub async fn cancel(&self) -> Result<bool, TaskError> {
        self.queue.cancel(self.id).await
    }
}

impl<T> Clone for TaskHandle<T> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
            id: self.id,
            task: PhantomData,
        }
    }
}

impl<T> fmt::Debug for TaskHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskHandle({})", self.id)
    }
}
