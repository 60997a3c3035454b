use crate::status::Status;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Why a pool did not hand out a resource. `E` is the manager's error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError<E: Error + 'static> {
    /// The deadline passed. Says what was being waited for, for how long, and the last failure to
    /// create a resource, if any.
    #[error(transparent)]
    Timeout(Box<Elapsed<E>>),
    /// A resource could not be created, and trying again would not help.
    #[error("could not create a resource")]
    Create(#[source] Arc<E>),
    /// Nothing is idle, and the caller would not wait.
    #[error("no resource is idle ({0})")]
    Exhausted(Status),
    /// As many as may wait already do.
    #[error("the queue is full ({0})")]
    QueueFull(Status),
    /// More come than can be served, and the caller had stood in line too long when its turn came.
    #[error("turned away after {waited:.1?}: the queue does not get shorter ({status})")]
    Shed {
        /// How long the caller waited.
        waited: Duration,
        /// The pool at that time.
        status: Status,
    },
    /// Everybody who could return a resource would be waiting for one, the caller included. Told only if
    /// [`refuse_circles`](crate::PoolBuilder::refuse_circles) asks for it.
    #[error(
        "the caller holds {held} and everybody else who could return one waits, too ({status})"
    )]
    Circle {
        /// How many resources the caller's task holds.
        held: usize,
        /// The pool at that time.
        status: Status,
    },
    /// The pool is suspended, and the caller would not wait.
    #[error("the pool is suspended")]
    Suspended,
    /// The pool is closed.
    #[error("the pool is closed")]
    Closed,
    /// Resources are created by tasks, and the caller is in no tokio runtime that could run them.
    #[error("no tokio runtime runs that could create a resource")]
    NoRuntime,
    /// The pool's own task panicked, and everybody who waited is told: its runtime has no timer, or the
    /// pool's clock panicked.
    #[error("the pool's task panicked; its runtime needs a timer (`enable_time`)")]
    Panicked,
    /// A setting that makes no sense.
    #[error("{setting} {reason}")]
    Misconfigured {
        /// The builder's method.
        setting: &'static str,
        /// What is wrong with its value.
        reason: &'static str,
    },
}

/// The facts of a [`PoolError::Timeout`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Elapsed<E> {
    /// What the pool was doing about it when the deadline passed.
    pub phase: Phase,
    /// How long the caller waited.
    pub waited: Duration,
    /// The pool at that time.
    pub status: Status,
    /// How many resources the caller's own task held meanwhile. If that is all there may be, it waited for
    /// itself.
    pub held: usize,
    /// The last failure to create a resource since the last success.
    pub last_error: Option<Arc<E>>,
}

/// What an acquire waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// For a holder to return a resource.
    Queue,
    /// For a resource to be created.
    Connect,
    /// For an idle resource to be checked.
    Check,
    /// For the pool to be resumed.
    Suspension,
}

impl<E: Error + 'static> PoolError<E> {
    /// Whether the same call may succeed later without anybody's help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Timeout(_)
                | Self::Exhausted(_)
                | Self::QueueFull(_)
                | Self::Shed { .. }
                | Self::Suspended
        )
    }

    /// Whether the pool has more callers than it can serve, as opposed to a server that fails.
    #[must_use]
    pub fn is_overload(&self) -> bool {
        match self {
            Self::Timeout(elapsed) => elapsed.phase == Phase::Queue,
            Self::Exhausted(_) | Self::QueueFull(_) | Self::Shed { .. } => true,
            _ => false,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queue => "a resource to be returned",
            Self::Connect => "a resource to be created",
            Self::Check => "an idle resource to be checked",
            Self::Suspension => "the pool to be resumed",
        })
    }
}

impl<E> fmt::Display for Elapsed<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            phase,
            waited,
            status,
            held,
            ..
        } = self;
        write!(f, "waited {waited:.1?} for {phase} ({status})")?;
        if *held > 0 {
            write!(f, ", of which the caller itself holds {held}")?;
        }
        Ok(())
    }
}

impl<E: Error + 'static> Error for Elapsed<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.last_error.as_deref().map(|error| error as _)
    }
}

/// Why a job of a pool of workers has no outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// As many as may wait already do. The job was not started.
    #[error("the queue is full")]
    Full,
    /// No worker was free in time. The job was not started and never will be.
    #[error("no worker was free in time")]
    Expired,
    /// The pool is being drained. The job was not started.
    #[error("the pool takes no more jobs")]
    Closed,
    /// The job panicked, or its runtime went away while it ran.
    #[error("the job panicked or was lost")]
    Panicked,
    /// Jobs run in a tokio runtime, and the caller is in none.
    #[error("no tokio runtime runs that could run the job")]
    NoRuntime,
}

impl JobError {
    /// Whether the same call may succeed later without anybody's help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Full | Self::Expired)
    }
}
