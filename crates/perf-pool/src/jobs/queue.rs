use crate::error::JobError;
use parking_lot::Mutex;
use perf_core::{Clock, Moment, Sample};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// Jobs that wait for a worker. `R` is what starting one gives: nothing, or a future to be awaited.
pub(super) struct Queue<R> {
    state: Mutex<State<R>>,
    limits: Limits,
    clock: Arc<dyn Clock>,
    counters: Counters,
    /// Tells those who drain the queue that a worker has ended.
    ended: Notify,
}

/// How much may run and wait at a time, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) workers: usize,
    pub(super) max_waiting: usize,
    pub(super) queue_timeout: Duration,
}

struct State<R> {
    waiting: VecDeque<Job<R>>,
    workers: usize,
    is_closed: bool,
}

struct Job<R> {
    start: Box<dyn FnOnce() -> R + Send>,
    progress: Arc<Progress>,
    deadline: Moment,
}

#[derive(Debug, Default)]
struct Counters {
    completed: AtomicU64,
    expired: AtomicU64,
    abandoned: AtomicU64,
    refused: AtomicU64,
}

/// What a pool of workers does and has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobFigures {
    /// Jobs in the queue, those included whose caller has gone.
    pub waiting: usize,
    /// Workers that run a job.
    pub running: usize,
    /// Jobs that ran to their end, panics included.
    pub completed: u64,
    /// Jobs that were not started in time, and never were.
    pub expired: u64,
    /// Jobs whose caller had gone before they were started, and that never were.
    pub abandoned: u64,
    /// Jobs turned away because the queue was full or closed.
    pub refused: u64,
}

/// Whether a job is still to be started: decided once, by whoever is first.
#[derive(Debug, Default)]
struct Progress(AtomicU8);

const WAITING: u8 = 0;
const STARTED: u8 = 1;
const GIVEN_UP: u8 = 2;

impl Progress {
    fn advance(&self, to: u8) -> bool {
        let (waiting, order) = (WAITING, Ordering::AcqRel);
        self.0
            .compare_exchange(waiting, to, order, Ordering::Acquire)
            .is_ok()
    }
}

/// A caller's side of a job. Dropping it gives the job up, unless it has started.
pub(super) struct Ticket<'q, R, T> {
    queue: &'q Queue<R>,
    progress: Arc<Progress>,
    deadline: Moment,
    reply: oneshot::Receiver<T>,
}

impl<R, T> Drop for Ticket<'_, R, T> {
    fn drop(&mut self) {
        if self.progress.advance(GIVEN_UP) {
            self.queue
                .counters
                .abandoned
                .fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<R, T> Ticket<'_, R, T> {
    /// What the job came to. It waits for its start at most until the deadline; once started, to its end.
    pub(super) async fn outcome(mut self) -> Result<T, JobError> {
        let start_by = self.queue.clock.sleep_until(self.deadline);
        tokio::select! {
            biased;
            outcome = &mut self.reply => return outcome.map_err(|_| self.loss()),
            () = start_by => {}
        }
        if self.progress.advance(GIVEN_UP) {
            self.queue.counters.expired.fetch_add(1, Ordering::Relaxed);
            return Err(JobError::Expired);
        }
        let outcome = (&mut self.reply).await;
        outcome.map_err(|_| self.loss())
    }

    /// Why a job was dropped without an outcome.
    fn loss(&self) -> JobError {
        match self.progress.0.load(Ordering::Acquire) {
            STARTED => JobError::Panicked,
            _ if self.queue.clock.now() >= self.deadline => JobError::Expired,
            _ => JobError::Closed,
        }
    }
}

impl<R: 'static> Queue<R> {
    pub(super) fn new(limits: Limits, clock: Arc<dyn Clock>) -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                workers: 0,
                is_closed: false,
            }),
            limits,
            clock,
            counters: Counters::default(),
            ended: Notify::new(),
        }
    }

    /// Queues what `job` makes of the place for its outcome. Also says whether the caller has to start one
    /// more worker.
    pub(super) fn push<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<T>) -> R + Send + 'static,
    ) -> Result<(Ticket<'_, R, T>, bool), JobError>
    where
        T: Send + 'static,
    {
        let (sender, reply) = oneshot::channel();
        let progress = Arc::new(Progress::default());
        let deadline = self.clock.now().saturating_add(self.limits.queue_timeout);
        let job = Job {
            start: Box::new(move || job(sender)),
            progress: Arc::clone(&progress),
            deadline,
        };
        let needs_worker = self.enqueue(job).inspect_err(|_| {
            self.counters.refused.fetch_add(1, Ordering::Relaxed);
        })?;
        let ticket = Ticket {
            queue: self,
            progress,
            deadline,
            reply,
        };
        Ok((ticket, needs_worker))
    }

    fn enqueue(&self, job: Job<R>) -> Result<bool, JobError> {
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(JobError::Closed);
        }
        let needs_worker = state.workers < self.limits.workers;
        if !needs_worker && state.waiting.len() >= self.limits.max_waiting {
            let given_up = state.forget_given_up();
            let is_full = state.waiting.len() >= self.limits.max_waiting;
            if !is_full {
                state.waiting.push_back(job);
            }
            drop(state);
            discard(given_up);
            return if is_full {
                Err(JobError::Full)
            } else {
                Ok(false)
            };
        }
        state.waiting.push_back(job);
        state.workers += usize::from(needs_worker);
        Ok(needs_worker)
    }

    /// Starts the next job that is still wanted. `None` when there is none, and the worker has to end.
    pub(super) fn start_next(&self) -> Option<R> {
        loop {
            let mut state = self.state.lock();
            let Some(job) = state.waiting.pop_front() else {
                state.workers -= 1;
                drop(state);
                self.ended.notify_waiters();
                return None;
            };
            drop(state);
            if self.clock.now() >= job.deadline {
                if job.progress.advance(GIVEN_UP) {
                    self.counters.expired.fetch_add(1, Ordering::Relaxed);
                }
            } else if job.progress.advance(STARTED) {
                return Some((job.start)());
            }
            discard([job]);
        }
    }

    /// Counts a job that `start_next` gave out and that has ended.
    pub(super) fn note_completed(&self) {
        self.counters.completed.fetch_add(1, Ordering::Relaxed);
    }

    /// A worker that was promised by `push` could not be started or was dropped.
    pub(super) fn lose_worker(&self) {
        let mut state = self.state.lock();
        state.workers -= 1;
        let orphans = if state.workers == 0 {
            std::mem::take(&mut state.waiting)
        } else {
            VecDeque::new()
        };
        drop(state);
        // Their callers learn of it by the loss of the place for the outcome.
        discard(orphans);
        self.ended.notify_waiters();
    }

    /// Refuses new jobs, and waits up to `grace` for those that there are; what has not started by then
    /// never does. Returns how many were given up or still ran.
    pub(super) async fn drain(&self, grace: Duration) -> usize {
        self.state.lock().is_closed = true;
        let limit = self.clock.sleep(grace);
        tokio::pin!(limit);
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            // Enrol before the count: a worker that ends between the two must not be missed.
            ended.as_mut().enable();
            if self.state.lock().workers == 0 {
                return 0;
            }
            tokio::select! {
                () = ended => {}
                () = &mut limit => break,
            }
        }
        let mut state = self.state.lock();
        let forgotten = state.forget_given_up();
        let given_up = std::mem::take(&mut state.waiting);
        let left = given_up.len() + state.workers;
        drop(state);
        discard(forgotten.into_iter().chain(given_up));
        left
    }

    pub(super) fn figures(&self) -> JobFigures {
        let (waiting, running) = {
            let state = self.state.lock();
            (state.waiting.len(), state.workers)
        };
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        JobFigures {
            waiting,
            running,
            completed: count(&self.counters.completed),
            expired: count(&self.counters.expired),
            abandoned: count(&self.counters.abandoned),
            refused: count(&self.counters.refused),
        }
    }

    pub(super) fn samples(&self, samples: &mut Vec<Sample>) {
        let figures = self.figures();
        samples.extend([
            Sample::gauge("waiting", figures.waiting as f64),
            Sample::gauge("running", figures.running as f64),
            Sample::gauge("max_running", self.limits.workers as f64),
            Sample::counter("completed", figures.completed),
            Sample::counter("expired", figures.expired),
            Sample::counter("abandoned", figures.abandoned),
            Sample::counter("refused", figures.refused),
        ]);
    }
}

impl<R> State<R> {
    /// Takes out what nobody waits for any more.
    fn forget_given_up(&mut self) -> VecDeque<Job<R>> {
        let all = std::mem::take(&mut self.waiting);
        let (waiting, given_up) = all
            .into_iter()
            .partition(|job| job.progress.0.load(Ordering::Acquire) == WAITING);
        self.waiting = waiting;
        given_up
    }
}

/// Drops jobs unstarted. Their destructors are somebody's code: no lock is held, and a panic ends no worker.
fn discard<R>(jobs: impl IntoIterator<Item = Job<R>>) {
    for job in jobs {
        let _contained = catch_unwind(AssertUnwindSafe(|| drop(job)));
    }
}

/// A worker's place, given up when the worker is dropped instead of ending by itself.
pub(super) struct Place<R: 'static> {
    queue: Option<Arc<Queue<R>>>,
}

impl<R> Place<R> {
    pub(super) fn new(queue: &Arc<Queue<R>>) -> Self {
        Self {
            queue: Some(Arc::clone(queue)),
        }
    }

    pub(super) fn start_next(&mut self) -> Option<R> {
        let started = self.queue.as_ref()?.start_next();
        if started.is_none() {
            self.queue = None;
        }
        started
    }

    pub(super) fn note_completed(&self) {
        if let Some(queue) = &self.queue {
            queue.note_completed();
        }
    }
}

impl<R> Drop for Place<R> {
    fn drop(&mut self) {
        if let Some(queue) = &self.queue {
            queue.lose_worker();
        }
    }
}

/// Runs jobs until there are none left, each contained if it panics.
pub(super) fn work(mut place: Place<()>) {
    loop {
        let started = catch_unwind(AssertUnwindSafe(|| place.start_next()));
        match started {
            Ok(None) => return,
            Ok(Some(())) | Err(_) => place.note_completed(),
        }
    }
}
