use crate::error::TaskError;
use crate::tasks::{Claimed, Lease, Outcome, Settlement, TaskId};
use perf_core::Clock;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

/// A run of a task, as its handler sees it.
#[derive(Clone)]
pub struct Job {
    lease: Lease,
    name: Arc<str>,
    attempt: u32,
    max_attempts: u32,
    clock: Arc<dyn Clock>,
    acknowledged: Arc<AtomicBool>,
}

impl Job {
    pub(super) fn new(claimed: &Claimed, clock: Arc<dyn Clock>) -> Self {
        Self {
            lease: claimed.lease,
            name: claimed.name.as_str().into(),
            attempt: claimed.attempt,
            max_attempts: claimed.max_attempts,
            clock,
            acknowledged: Arc::default(),
        }
    }

    /// The task's id, the same at every attempt: an idempotency key for what the handler calls.
    #[must_use]
    pub const fn id(&self) -> TaskId {
        self.lease.id
    }

    /// The right under which the handler runs. Its token grows with every claim, so a store that keeps the
    /// greatest one it has seen can refuse writes of handlers that have lost theirs.
    #[must_use]
    pub const fn lease(&self) -> Lease {
        self.lease
    }

    /// Which attempt this is, from 1.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Whether the task is dead if this attempt fails.
    #[must_use]
    pub const fn is_last_attempt(&self) -> bool {
        self.attempt >= self.max_attempts
    }

    /// The report that this run succeeded.
    pub(crate) fn success<O: Serialize>(&self, output: &O) -> Result<Settlement, TaskError> {
        let output = serde_json::to_string(output);
        let output = output.map_err(|error| TaskError::codec(&self.name, error))?;
        Ok(Settlement::new(self.lease, Outcome::Succeeded(output)))
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.clock.wall()
    }

    /// Notes that the report is part of the handler's transaction.
    pub(crate) fn set_acknowledged(&self) {
        self.acknowledged.store(true, Ordering::Release);
    }

    pub(super) fn is_acknowledged(&self) -> bool {
        self.acknowledged.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("name", &self.name)
            .field("lease", &self.lease)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}
