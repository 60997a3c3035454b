use super::Worker;
use super::agenda::Agenda;
use super::coordinator::{Coordinator, Order, Settings};
use super::figures::Figures;
use super::handlers::{Handlers, erase};
use super::job::Job;
use super::run::Bench;
use crate::error::{BoxError, TaskError};
use crate::sink::DeadLetterSink;
use crate::tasks::{Enqueue, Schedule, Task, TaskId, TaskQueue};
use perf_core::Backoff;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;

/// Sets up a [`Worker`].
///
/// ```
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct SendMail { to: String }
/// # impl perf_bulk::Task for SendMail {
/// #     const NAME: &'static str = "send_mail";
/// #     type Output = ();
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_bulk::{MemoryDeadLetters, MemoryTasks, Permanent, Schedule, TaskQueue, Worker};
/// use perf_core::Backoff;
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// let queue = TaskQueue::new(MemoryTasks::new());
/// let worker = Worker::builder(&queue)
///     .handle(|mail: SendMail, job| async move {
///         if !mail.to.contains('@') {
///             return Err(Permanent::new("no address").into());
///         }
///         println!("attempt {} to write to {}", job.attempt(), mail.to);
///         Ok(())
///     })
///     .recurring("greeting", Schedule::every(Duration::from_secs(3_600))?, || SendMail {
///         to: "all@example.org".to_owned(),
///     })
///     .concurrency(32)
///     .retry(Backoff::exponential(Duration::from_secs(5)))
///     .dead_letters(Arc::new(MemoryDeadLetters::new()))
///     .start()?;
///
/// let mail = queue.delay(SendMail { to: "nobody".to_owned() }).await?;
/// assert!(mail.result().await.unwrap_err().to_string().ends_with("no address"));
/// worker.drain(Duration::from_secs(5)).await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct WorkerBuilder {
    queue: TaskQueue,
    settings: Settings,
    handlers: Handlers,
    agenda: Agenda,
    backoff: Backoff,
    dead_letters: Option<Arc<dyn DeadLetterSink>>,
    duplicate: bool,
}

impl WorkerBuilder {
    pub(super) fn new(queue: TaskQueue) -> Self {
        let second = Duration::from_secs(1);
        Self {
            queue,
            settings: Settings {
                name: format!("worker-{}-{}", std::process::id(), TaskId::random()),
                concurrency: 16,
                lease: second * 30,
                poll: second,
            },
            handlers: Handlers::new(),
            agenda: Agenda::default(),
            backoff: Backoff::exponential(second).with_cap(second * 600),
            dead_letters: None,
            duplicate: false,
        }
    }

    /// Runs tasks of type `T`. A run fails by an error, a panic or its time limit.
    pub fn handle<T, F, A>(mut self, handler: F) -> Self
    where
        T: Task,
        F: Fn(T, Job) -> A + Send + Sync + 'static,
        A: Future<Output = Result<T::Output, BoxError>> + Send + 'static,
    {
        let earlier = self.handlers.insert(T::NAME, erase(handler));
        self.duplicate |= earlier.is_some();
        self
    }

    /// Enqueues a task by a schedule; `name` tells the schedules of one queue apart. However many workers
    /// know it, there is one task for each time. Times that pass while no worker runs are left out, except
    /// the first of them, whose task is waiting.
    pub fn recurring<T, E>(
        mut self,
        name: impl Into<String>,
        schedule: Schedule,
        task: impl Fn() -> E + Send + Sync + 'static,
    ) -> Self
    where
        T: Task,
        E: Into<Enqueue<T>>,
    {
        let make = move || task().into().into_new();
        self.agenda.add(name.into(), schedule, make);
        self
    }

    /// The name under which it claims tasks and shows its figures; default one that is unique.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = name.into();
        self
    }

    /// How many tasks it runs at a time; default 16. It never holds a task that it does not run.
    pub const fn concurrency(mut self, tasks: usize) -> Self {
        self.settings.concurrency = tasks;
        self
    }

    /// For how long it claims tasks; default 30 s, renewed at a third of it. A task whose worker was killed
    /// waits for the rest of the lease.
    pub const fn lease(mut self, duration: Duration) -> Self {
        self.settings.lease = duration;
        self
    }

    /// How often it looks for tasks that it has not heard of; default 1 s.
    pub const fn poll_every(mut self, duration: Duration) -> Self {
        self.settings.poll = duration;
        self
    }

    /// How long a failed task waits for its next attempt; default from 1 s, doubled up to 10 min, with full
    /// jitter. The number of attempts is the task's, or that of the back-off if it is smaller.
    pub const fn retry(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Keeps a letter about each task that failed for good; the task itself stays in the queue, dead.
    pub fn dead_letters(mut self, sink: Arc<dyn DeadLetterSink>) -> Self {
        self.dead_letters = Some(sink);
        self
    }

    /// Starts the worker on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// [`TaskError::Config`] for a concurrency, lease or polling interval of zero, two handlers for one
    /// name, or without a runtime.
    pub fn start(self) -> Result<Worker, TaskError> {
        let settings = &self.settings;
        if settings.concurrency == 0 {
            return Err(TaskError::Config("a worker must run at least one task"));
        }
        if settings.lease.is_zero() || settings.poll.is_zero() {
            return Err(TaskError::Config(
                "a lease and a polling interval take time",
            ));
        }
        if self.duplicate {
            return Err(TaskError::Config("two handlers for one name"));
        }
        let runtime = Handle::try_current()
            .map_err(|_| TaskError::Config("a worker needs a tokio runtime"))?;
        let figures = Figures::new(settings.name.clone(), settings.concurrency);
        let figures = Arc::new(figures);
        let clock = Arc::clone(self.queue.clock());
        let bench = Bench {
            handlers: self.handlers,
            backoff: self.backoff,
            dead_letters: self.dead_letters,
            clock: Arc::clone(&clock),
            keeps_results: !self.queue.retention().is_zero(),
            figures: Arc::clone(&figures),
        };
        let (orders, received) = watch::channel(Order::Work);
        let bench = Arc::new(bench);
        let coordinator = Coordinator::new(self.queue, self.settings, bench, self.agenda, received);
        Ok(Worker {
            figures,
            orders,
            coordinator: Some(runtime.spawn(coordinator.run())),
            clock,
        })
    }
}

impl fmt::Debug for WorkerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerBuilder")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
