use crate::name::Name;
use std::fmt;
use std::time::Duration;

/// The refusal of a part that bounds how much is under way at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} refuses the call, {cause}, and asks to wait {retry_after:?}")]
#[non_exhaustive]
pub struct Overload {
    /// The part.
    pub name: Name,
    /// What it has too much of.
    pub cause: OverloadCause,
    /// After what time asking again makes sense: an estimate, as nobody knows when the calls under way end.
    pub retry_after: Duration,
}

/// What a part has too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OverloadCause {
    /// All places and the whole queue of a bulkhead are taken.
    QueueFull,
    /// No place became free while the call waited as long as it may.
    WaitedTooLong,
    /// As many calls as an adaptive limit allows are under way.
    LimitReached,
    /// The callee has lately refused too much of what it was asked.
    Throttled,
}

impl fmt::Display for OverloadCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::QueueFull => "its queue is full",
            Self::WaitedTooLong => "no place became free in time",
            Self::LimitReached => "its limit is reached",
            Self::Throttled => "the callee refuses too much",
        })
    }
}
