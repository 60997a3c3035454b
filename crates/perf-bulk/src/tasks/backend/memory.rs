use super::{
    Claim, Claimed, Counts, Exchange, Lease, NewTask, Outcome, Promotion, QueueBackend, Settlement,
    TaskRecord, TaskStatus,
};
use crate::error::TaskError;
use crate::tasks::TaskId;
use async_trait::async_trait;
use parking_lot::Mutex;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::watch;

/// Tasks in memory, for tests and for work that may end with the process. Clones share their tasks.
#[derive(Clone, Debug)]
pub struct MemoryTasks {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queues: Mutex<HashMap<String, State>>,
    arrivals: watch::Sender<()>,
}

/// One queue: its tasks, and those of each state that is searched, in the order of the search.
#[derive(Debug, Default)]
struct State {
    tasks: HashMap<TaskId, Entry>,
    keys: HashMap<String, TaskId>,
    waiting: BTreeSet<(Reverse<i16>, SystemTime, TaskId)>,
    scheduled: BTreeSet<(SystemTime, TaskId)>,
    leased: BTreeSet<(SystemTime, TaskId)>,
}

#[derive(Debug)]
struct Entry {
    task: NewTask,
    status: TaskStatus,
    run_at: SystemTime,
    attempts: u32,
    token: i64,
    until: SystemTime,
    output: Option<String>,
    error: Option<String>,
    finished_at: SystemTime,
}

impl MemoryTasks {
    /// No tasks.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                queues: Mutex::default(),
                arrivals: watch::Sender::new(()),
            }),
        }
    }

    fn with<T>(&self, queue: &str, work: impl FnOnce(&mut State) -> T) -> T {
        let mut queues = self.shared.queues.lock();
        if !queues.contains_key(queue) {
            queues.insert(queue.to_owned(), State::default());
        }
        let state = queues.entry(queue.to_owned()).or_default();
        work(state)
    }

    fn announce(&self) {
        self.shared.arrivals.send_replace(());
    }
}

impl Default for MemoryTasks {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl QueueBackend for MemoryTasks {
    async fn enqueue(
        &self,
        queue: &str,
        tasks: &[NewTask],
        now: SystemTime,
    ) -> Result<Vec<TaskId>, TaskError> {
        let ids = self.with(queue, |state| {
            tasks.iter().map(|task| state.add(task, now)).collect()
        });
        self.announce();
        Ok(ids)
    }

    async fn exchange(
        &self,
        queue: &str,
        settlements: &[Settlement],
        claim: &Claim,
    ) -> Result<Exchange, TaskError> {
        Ok(self.with(queue, |state| {
            let refused = settlements
                .iter()
                .filter(|settlement| !state.settle(settlement, claim.now))
                .map(|settlement| settlement.lease.id)
                .collect();
            let claimed = std::iter::from_fn(|| state.claim(claim))
                .take(claim.limit)
                .collect();
            Exchange { claimed, refused }
        }))
    }

    async fn promote(&self, queue: &str, now: SystemTime) -> Result<Promotion, TaskError> {
        Ok(self.with(queue, |state| {
            let due = state.scheduled.iter().take_while(|(at, _)| *at <= now);
            let due: Vec<_> = due.map(|(_, id)| *id).collect();
            let expired = state.leased.iter().take_while(|(until, _)| *until <= now);
            let expired: Vec<_> = expired.map(|(_, id)| *id).collect();
            for id in due.iter().chain(&expired) {
                state.update(*id, |entry| entry.status = TaskStatus::Waiting);
            }
            Promotion {
                due: due.len() as u64,
                expired: expired.len() as u64,
                next: state.scheduled.first().map(|(at, _)| *at),
            }
        }))
    }

    async fn renew(
        &self,
        queue: &str,
        leases: &[Lease],
        until: SystemTime,
    ) -> Result<Vec<TaskId>, TaskError> {
        Ok(self.with(queue, |state| {
            let renew = |lease: &&Lease| {
                let held = state.holds(lease);
                if held {
                    state.update(lease.id, |entry| entry.until = until);
                }
                !held
            };
            leases.iter().filter(renew).map(|lease| lease.id).collect()
        }))
    }

    async fn find(&self, queue: &str, id: TaskId) -> Result<Option<TaskRecord>, TaskError> {
        Ok(self.with(queue, |state| {
            state.tasks.get(&id).map(|entry| TaskRecord {
                name: entry.task.name.clone(),
                status: entry.status,
                attempts: entry.attempts,
                output: entry.output.clone(),
                error: entry.error.clone(),
            })
        }))
    }

    async fn cancel(&self, queue: &str, id: TaskId, now: SystemTime) -> Result<bool, TaskError> {
        Ok(self.with(queue, |state| {
            let open = state.is(id, |status| !status.is_final());
            if open {
                state.update(id, |entry| {
                    entry.status = TaskStatus::Cancelled;
                    entry.finished_at = now;
                });
            }
            open
        }))
    }

    async fn revive(&self, queue: &str, id: TaskId, now: SystemTime) -> Result<bool, TaskError> {
        let revived = self.with(queue, |state| {
            let dead = state.is(id, |status| status == TaskStatus::Dead);
            if dead {
                state.update(id, |entry| {
                    entry.status = TaskStatus::Waiting;
                    entry.attempts = 0;
                    entry.run_at = now;
                });
            }
            dead
        });
        self.announce();
        Ok(revived)
    }

    async fn dead(&self, queue: &str, limit: usize) -> Result<Vec<TaskId>, TaskError> {
        Ok(self.with(queue, |state| {
            let tasks = state.tasks.iter();
            let dead = tasks.filter(|(_, entry)| entry.status == TaskStatus::Dead);
            let mut dead: Vec<_> = dead.map(|(id, entry)| (entry.finished_at, *id)).collect();
            dead.sort_unstable();
            dead.into_iter().take(limit).map(|(_, id)| id).collect()
        }))
    }

    async fn counts(&self, queue: &str) -> Result<Counts, TaskError> {
        Ok(self.with(queue, |state| {
            let mut counts = Counts::default();
            for entry in state.tasks.values() {
                *counts.of(entry.status) += 1;
            }
            counts
        }))
    }

    async fn purge(&self, queue: &str, finished: SystemTime) -> Result<u64, TaskError> {
        Ok(self.with(queue, |state| {
            let before = state.tasks.len();
            state.tasks.retain(|_, entry| {
                let keeps = !entry.status.is_final() || entry.status == TaskStatus::Dead;
                keeps || entry.finished_at >= finished
            });
            let tasks = &state.tasks;
            state.keys.retain(|_, id| tasks.contains_key(id));
            (before - state.tasks.len()) as u64
        }))
    }

    fn arrivals(&self) -> watch::Receiver<()> {
        self.shared.arrivals.subscribe()
    }
}

impl State {
    fn add(&mut self, task: &NewTask, now: SystemTime) -> TaskId {
        if let Some(key) = &task.key {
            if let Some(known) = self.keys.get(key) {
                return *known;
            }
            self.keys.insert(key.clone(), task.id);
        }
        let run_at = task.run_at.unwrap_or(now);
        let entry = Entry {
            task: task.clone(),
            status: if run_at > now {
                TaskStatus::Scheduled
            } else {
                TaskStatus::Waiting
            },
            run_at,
            attempts: 0,
            token: 0,
            until: now,
            output: None,
            error: None,
            finished_at: now,
        };
        self.list(&entry);
        self.tasks.insert(task.id, entry);
        task.id
    }

    fn holds(&self, lease: &Lease) -> bool {
        self.tasks
            .get(&lease.id)
            .is_some_and(|entry| entry.status == TaskStatus::Running && entry.token == lease.token)
    }

    fn is(&self, id: TaskId, check: impl Fn(TaskStatus) -> bool) -> bool {
        self.tasks.get(&id).is_some_and(|entry| check(entry.status))
    }

    /// Changes a task, and where it is listed.
    fn update(&mut self, id: TaskId, change: impl FnOnce(&mut Entry)) {
        if let Some(mut entry) = self.tasks.remove(&id) {
            self.strike(&entry);
            change(&mut entry);
            self.list(&entry);
            self.tasks.insert(id, entry);
        }
    }

    fn settle(&mut self, settlement: &Settlement, now: SystemTime) -> bool {
        let Settlement { lease, outcome } = settlement;
        if !self.holds(lease) {
            return false;
        }
        if *outcome == Outcome::Forgotten {
            if let Some(entry) = self.tasks.remove(&lease.id) {
                self.strike(&entry);
                entry.task.key.map(|key| self.keys.remove(&key));
            }
            return true;
        }
        self.update(lease.id, |entry| entry.settle(outcome.clone(), now));
        true
    }

    fn claim(&mut self, claim: &Claim) -> Option<Claimed> {
        let (_, _, id) = *self.waiting.first()?;
        self.update(id, |entry| {
            entry.status = TaskStatus::Running;
            entry.attempts += 1;
            entry.token += 1;
            entry.until = claim.until;
        });
        let entry = self.tasks.get(&id)?;
        Some(Claimed {
            lease: Lease::new(id, entry.token),
            name: entry.task.name.clone(),
            args: entry.task.args.clone(),
            attempt: entry.attempts,
            max_attempts: entry.task.max_attempts,
            time_limit: entry.task.time_limit,
            run_at: entry.run_at,
        })
    }

    fn list(&mut self, entry: &Entry) {
        let id = entry.task.id;
        match entry.status {
            TaskStatus::Waiting => self.waiting.insert(entry.rank()),
            TaskStatus::Scheduled => self.scheduled.insert((entry.run_at, id)),
            TaskStatus::Running => self.leased.insert((entry.until, id)),
            _ => false,
        };
    }

    fn strike(&mut self, entry: &Entry) {
        let id = entry.task.id;
        match entry.status {
            TaskStatus::Waiting => self.waiting.remove(&entry.rank()),
            TaskStatus::Scheduled => self.scheduled.remove(&(entry.run_at, id)),
            TaskStatus::Running => self.leased.remove(&(entry.until, id)),
            _ => false,
        };
    }
}

impl Entry {
    const fn rank(&self) -> (Reverse<i16>, SystemTime, TaskId) {
        (Reverse(self.task.priority), self.run_at, self.task.id)
    }

    fn settle(&mut self, outcome: Outcome, now: SystemTime) {
        self.finished_at = now;
        match outcome {
            Outcome::Succeeded(output) => {
                self.status = TaskStatus::Succeeded;
                self.output = Some(output);
                self.error = None;
            }
            Outcome::Forgotten => {}
            Outcome::Retry { at, error } => {
                self.status = TaskStatus::Scheduled;
                self.run_at = at;
                self.error = Some(error);
            }
            Outcome::Dead(error) => {
                self.status = TaskStatus::Dead;
                self.error = Some(error);
            }
            Outcome::Released => {
                self.status = TaskStatus::Waiting;
                self.attempts -= 1;
            }
        }
    }
}
