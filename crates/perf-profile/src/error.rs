/// Why the profiler cannot see what it was asked to profile, or a load test or comparison cannot be made.
///
/// Recording never fails; these come from checking the installation, from settings, stores and the system.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// No subscriber that the whole process uses holds this profiler's layer.
    ///
    /// A subscriber set for one thread or one scope is not enough: SQLite runs its statements on
    /// threads of its own.
    #[error("the profiler's layer is not part of the global tracing subscriber")]
    LayerNotInstalled,
    /// A filter ahead of the profiler's layer discards the events that sqlx emits for statements.
    ///
    /// A global `EnvFilter` must let `sqlx::query=debug` pass; a filter of one layer need not. Or wrap the
    /// whole subscriber with [`Profiler::wrap`](crate::Profiler::wrap).
    #[error(
        "a global filter discards sqlx's query events; let `sqlx::query=debug` pass it, or wrap the subscriber"
    )]
    QueryEventsDisabled,
    /// Nothing filters sqlx's events, yet a query led to none: its connection does not log statements
    /// (`log_statements(LevelFilter::Off)`).
    #[error("the connection does not log its statements")]
    StatementsNotLogged,
    /// A load test that makes no sense.
    #[error("invalid load: {reason}")]
    InvalidLoad {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Nobody answered the probe that precedes a load test.
    #[error("target unreachable: {reason}")]
    TargetUnreachable {
        /// What the probe said.
        reason: String,
    },
    /// An objective that nothing can meet or miss.
    #[error("invalid objective {name}: {reason}")]
    InvalidObjective {
        /// The objective.
        name: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A sample that has no ratio to others.
    #[error("{metric}: {sample} is not a positive number")]
    InvalidSample {
        /// The metric.
        metric: String,
        /// The sample.
        sample: String,
    },
    /// The store has no baseline of that name.
    #[error("no baseline {name:?}")]
    BaselineNotFound {
        /// The name.
        name: String,
    },
    /// The baseline was stored in a form of another version.
    #[error("baseline {name:?} has the unknown schema {found}")]
    BaselineSchema {
        /// The baseline's name.
        name: String,
        /// The version that was found.
        found: u32,
    },
    /// What the store holds under that name cannot be read.
    #[error("baseline {name:?} cannot be read: {reason}")]
    BaselineUnreadable {
        /// The baseline's name.
        name: String,
        /// What the store or the parser said.
        reason: String,
    },
    /// The store did not take the baseline.
    #[error("baseline {name:?} cannot be saved: {reason}")]
    BaselineNotSaved {
        /// The baseline's name.
        name: String,
        /// What the store said.
        reason: String,
    },
    /// A statement that cannot be explained: several at once, one that writes, or one that the parser does
    /// not know.
    #[error("cannot explain this statement: {reason}")]
    UnsupportedStatement {
        /// What is wrong with it.
        reason: String,
    },
    /// What a database said of its plan is nothing that the parser knows.
    #[error("unreadable plan: {reason}")]
    UnreadablePlan {
        /// What is wrong with it.
        reason: String,
    },
    /// The database refused to explain a statement.
    #[error("the planner failed: {reason}")]
    PlannerFailed {
        /// What it said.
        reason: String,
    },
    /// The database took too long to explain a statement.
    #[error("the planner timed out")]
    PlannerTimedOut,
    /// The program's allocations do not pass through a
    /// [`ProfilingAllocator`](crate::ProfilingAllocator): none is its `#[global_allocator]`.
    #[error("the profiling allocator is not the program's global allocator")]
    AllocatorNotInstalled,
    /// The system does not tell what a process uses: only Linux has `/proc`.
    #[error("this system does not tell what a process uses")]
    Unsupported,
}

impl ProfileError {
    /// Whether trying again may help: only where the network, a disk or a busy database said no.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::TargetUnreachable { .. } | Self::BaselineNotSaved { .. } | Self::PlannerTimedOut
        )
    }
}
