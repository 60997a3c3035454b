/// Why the profiler cannot see what it was asked to profile.
///
/// Recording never fails; these come from checking the installation and from asking the system.
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
    /// The program's allocations do not pass through a
    /// [`ProfilingAllocator`](crate::ProfilingAllocator): none is its `#[global_allocator]`.
    #[error("the profiling allocator is not the program's global allocator")]
    AllocatorNotInstalled,
    /// The system does not tell what a process uses: only Linux has `/proc`.
    #[error("this system does not tell what a process uses")]
    Unsupported,
}

impl ProfileError {
    /// Whether trying again may help: never, since the subscriber of a process stays.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        false
    }
}
