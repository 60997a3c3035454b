use super::{Counts, Enqueue, QueueBackend, Task, TaskHandle, TaskId};
use crate::error::TaskError;
use parking_lot::Mutex;
use perf_core::{Clock, Health, Inspect, Registry, Sample, SystemClock};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// A queue of tasks. Clones are the same queue; so is any other of the same name on the same table.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_bulk::{BoxError, MemoryTasks, Task, TaskQueue, Worker};
/// use serde::{Deserialize, Serialize};
/// use std::time::Duration;
///
/// #[derive(Serialize, Deserialize)]
/// struct Double(u32);
///
/// impl Task for Double {
///     const NAME: &'static str = "double";
///     type Output = u32;
/// }
///
/// let queue = TaskQueue::new(MemoryTasks::new());
/// let worker = Worker::builder(&queue)
///     .handle(|Double(number), _job| async move { Ok::<_, BoxError>(number * 2) })
///     .start()?;
///
/// let task = queue.delay(Double(21)).await?;
/// assert_eq!(task.result().await?, 42);
/// worker.drain(Duration::from_secs(5)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TaskQueue {
    shared: Arc<Shared>,
}

struct Shared {
    name: String,
    backend: Arc<dyn QueueBackend>,
    clock: Arc<dyn Clock>,
    retention: Duration,
    /// Told when a task of this process was finished.
    finished: Notify,
    enqueued: AtomicU64,
    known: AtomicU64,
    cancelled: AtomicU64,
    /// As a worker saw them last.
    counts: Mutex<Option<Counts>>,
}

impl TaskQueue {
    /// The queue `default` with all settings at their defaults.
    pub fn new(backend: impl QueueBackend) -> Self {
        Self::builder(backend).build()
    }

    /// A queue to be set up.
    pub fn builder(backend: impl QueueBackend) -> TaskQueueBuilder {
        TaskQueueBuilder {
            name: "default".to_owned(),
            backend: Arc::new(backend),
            clock: Arc::new(SystemClock),
            retention: Duration::from_secs(3_600),
        }
    }

    /// Enqueues a task, to be run as soon as a worker is free.
    ///
    /// # Errors
    ///
    /// As [`enqueue`](Self::enqueue).
    ///
    /// # Cancel safety
    ///
    /// As [`enqueue`](Self::enqueue).
    pub async fn delay<T: Task>(&self, task: T) -> Result<TaskHandle<T>, TaskError> {
        self.enqueue(Enqueue::new(task)).await
    }

    /// Enqueues a task, to be run at `time` or as soon after it as a worker is free.
    ///
    /// # Errors
    ///
    /// As [`enqueue`](Self::enqueue).
    ///
    /// # Cancel safety
    ///
    /// As [`enqueue`](Self::enqueue).
    pub async fn schedule_at<T: Task>(
        &self,
        task: T,
        time: SystemTime,
    ) -> Result<TaskHandle<T>, TaskError> {
        self.enqueue(Enqueue::new(task).run_at(time)).await
    }

    /// Enqueues a task as set up.
    ///
    /// # Errors
    ///
    /// [`TaskError::Codec`] when its arguments have no form in JSON, [`TaskError::Backend`].
    ///
    /// # Cancel safety
    ///
    /// Dropped midway, the task is enqueued or not. With a [`key`](Enqueue::key) it can be enqueued again.
    pub async fn enqueue<T: Task>(&self, task: Enqueue<T>) -> Result<TaskHandle<T>, TaskError> {
        let handles = self.enqueue_many([task]).await?;
        Ok(handles[0].clone())
    }

    /// Enqueues many tasks of one type, all or none, at the price of few statements; their handles in order.
    ///
    /// # Errors
    ///
    /// As [`enqueue`](Self::enqueue).
    ///
    /// # Cancel safety
    ///
    /// Dropped midway, all tasks are enqueued or none.
    pub async fn enqueue_many<T: Task>(
        &self,
        tasks: impl IntoIterator<Item = impl Into<Enqueue<T>>>,
    ) -> Result<Vec<TaskHandle<T>>, TaskError> {
        let tasks = tasks.into_iter().map(|task| task.into().into_new());
        let tasks: Vec<_> = tasks.collect::<Result<_, _>>()?;
        let shared = &*self.shared;
        let ids = shared
            .backend
            .enqueue(&shared.name, &tasks, self.now())
            .await?;
        let known = tasks.iter().zip(&ids).filter(|(task, id)| task.id != **id);
        let known = known.count() as u64;
        shared.known.fetch_add(known, Relaxed);
        shared.enqueued.fetch_add(ids.len() as u64 - known, Relaxed);
        Ok(ids
            .into_iter()
            .map(|id| TaskHandle::new(self.clone(), id))
            .collect())
    }

    /// A handle of a task that was enqueued before. That the task has this type is found out when its
    /// result is read.
    #[must_use]
    pub fn handle<T: Task>(&self, id: TaskId) -> TaskHandle<T> {
        TaskHandle::new(self.clone(), id)
    }

    /// Cancels a task if it is not finished; whether it was not.
    ///
    /// # Errors
    ///
    /// [`TaskError::Backend`].
    ///
    /// # Cancel safety
    ///
    /// Dropped midway, the task is cancelled or not.
    pub async fn cancel(&self, id: TaskId) -> Result<bool, TaskError> {
        let cancelled = self
            .shared
            .backend
            .cancel(self.name(), id, self.now())
            .await?;
        self.shared
            .cancelled
            .fetch_add(u64::from(cancelled), Relaxed);
        self.tell_finished();
        Ok(cancelled)
    }

    /// The oldest tasks that failed for good, at most `limit`. They stay in the queue's table.
    ///
    /// # Errors
    ///
    /// [`TaskError::Backend`].
    ///
    /// # Cancel safety
    ///
    /// Looking changes nothing.
    pub async fn dead(&self, limit: usize) -> Result<Vec<TaskId>, TaskError> {
        self.shared.backend.dead(self.name(), limit).await
    }

    /// Gives a task that failed for good all its attempts again; whether it was one.
    ///
    /// # Errors
    ///
    /// [`TaskError::Backend`].
    ///
    /// # Cancel safety
    ///
    /// Dropped midway, the task is revived or not.
    pub async fn revive(&self, id: TaskId) -> Result<bool, TaskError> {
        self.shared
            .backend
            .revive(self.name(), id, self.now())
            .await
    }

    /// How many tasks there are in each state. On a database this reads them all.
    ///
    /// # Errors
    ///
    /// [`TaskError::Backend`].
    ///
    /// # Cancel safety
    ///
    /// Counting changes nothing.
    pub async fn counts(&self) -> Result<Counts, TaskError> {
        let counts = self.shared.backend.counts(self.name()).await?;
        *self.shared.counts.lock() = Some(counts);
        Ok(counts)
    }

    /// The queue's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Shows the queue in `registry` for as long as a handle of it lives.
    pub fn register(&self, registry: &Registry) {
        registry.register(&self.shared);
    }

    pub(crate) fn backend(&self) -> &Arc<dyn QueueBackend> {
        &self.shared.backend
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.clock
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.shared.clock.wall()
    }

    pub(crate) fn retention(&self) -> Duration {
        self.shared.retention
    }

    pub(crate) fn finished(&self) -> Notified<'_> {
        self.shared.finished.notified()
    }

    pub(crate) fn tell_finished(&self) {
        self.shared.finished.notify_waiters();
    }
}

impl fmt::Debug for TaskQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskQueue")
            .field("name", &self.shared.name)
            .field("backend", &self.shared.backend)
            .finish_non_exhaustive()
    }
}

impl Inspect for Shared {
    fn name(&self) -> Cow<'_, str> {
        self.name.as_str().into()
    }

    fn kind(&self) -> &'static str {
        "task_queue"
    }

    fn health(&self) -> Health {
        match *self.counts.lock() {
            Some(counts) if counts.dead > 0 => Health::Degraded("tasks failed for good".into()),
            _ => Health::Healthy,
        }
    }

    /// Counts of states are those that a worker or [`TaskQueue::counts`] saw last.
    fn samples(&self, samples: &mut Vec<Sample>) {
        let count = |counter: &AtomicU64| counter.load(Relaxed);
        samples.extend([
            Sample::counter("enqueued", count(&self.enqueued)),
            Sample::counter("known_keys", count(&self.known)),
            Sample::counter("cancelled", count(&self.cancelled)),
        ]);
        let Some(counts) = *self.counts.lock() else {
            return;
        };
        let states = [
            ("scheduled", counts.scheduled),
            ("waiting", counts.waiting),
            ("running", counts.running),
            ("succeeded", counts.succeeded),
            ("dead", counts.dead),
        ];
        let tasks = |(state, count): (&'static str, u64)| {
            Sample::gauge("tasks", count as f64).with_label("state", state)
        };
        samples.extend(states.map(tasks));
    }
}

impl Inspect for TaskQueue {
    fn name(&self) -> Cow<'_, str> {
        self.shared.name.as_str().into()
    }

    fn kind(&self) -> &'static str {
        self.shared.kind()
    }

    fn health(&self) -> Health {
        self.shared.health()
    }

    fn samples(&self, samples: &mut Vec<Sample>) {
        self.shared.samples(samples);
    }
}

/// Sets up a [`TaskQueue`].
#[derive(Debug)]
#[must_use]
pub struct TaskQueueBuilder {
    name: String,
    backend: Arc<dyn QueueBackend>,
    clock: Arc<dyn Clock>,
    retention: Duration,
}

impl TaskQueueBuilder {
    /// The queue's name; default `default`. A worker serves one queue, so tasks of which one kind must not
    /// hold up the other belong in two.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The clock; default [`SystemClock`]. Processes that share a queue compare their wall time: they
    /// should agree to a fraction of a lease. If they don't, tasks run early, late or twice, and reports
    /// are judged by their fencing tokens all the same.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// How long tasks that succeeded or were cancelled are kept, with their results and keys; default an
    /// hour. With zero, a worker of this handle deletes a task the moment it succeeds, which is faster, and
    /// its result cannot be read.
    pub const fn retention(mut self, duration: Duration) -> Self {
        self.retention = duration;
        self
    }

    /// The queue.
    #[must_use]
    pub fn build(self) -> TaskQueue {
        TaskQueue {
            shared: Arc::new(Shared {
                name: self.name,
                backend: self.backend,
                clock: self.clock,
                retention: self.retention,
                finished: Notify::new(),
                enqueued: AtomicU64::new(0),
                known: AtomicU64::new(0),
                cancelled: AtomicU64::new(0),
                counts: Mutex::new(None),
            }),
        }
    }
}
