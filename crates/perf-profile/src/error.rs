/// Why the profiler cannot see what it was asked to profile.
///
/// Recording never fails; these come from checking the installation.
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
    /// A global `EnvFilter` must let `sqlx::query=debug` pass; a filter of one layer need not.
    #[error("a global filter discards sqlx's query events; let `sqlx::query=debug` pass it")]
    QueryEventsDisabled,
}

impl ProfileError {
    /// Whether trying again may help: never, since the subscriber of a process stays.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        false
    }
}
