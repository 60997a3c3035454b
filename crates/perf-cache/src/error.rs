use crate::store::StoreError;
use perf_core::CodecError;
use std::sync::Arc;
use thiserror::Error;

/// Why the cache refused an operation.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum CacheError {
    /// A setting of the builder, or of a policy, has no meaning.
    #[error("`{setting}` {problem}")]
    Setting {
        /// The method.
        setting: &'static str,
        /// What is wrong with its argument.
        problem: &'static str,
    },
    /// An entry can carry only so many tags.
    #[error("an entry with {count} tags exceeds the limit of {limit}")]
    TooManyTags {
        /// How many it was given.
        count: usize,
        /// How many it can carry.
        limit: usize,
    },
    /// The key, as the far tier names it, is too long.
    #[error("a key of {bytes} bytes exceeds the limit of {limit}")]
    KeyTooLong {
        /// Its length in bytes, the cache's prefix included.
        bytes: usize,
        /// The longest allowed.
        limit: usize,
    },
    /// The encoded value is too large for the far tier.
    #[error("a value of {bytes} bytes exceeds the limit of {limit}")]
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
        /// The largest allowed.
        limit: usize,
    },
    /// The value has no form in the far tier's codec.
    #[error("the value has no encoded form")]
    Unencodable(#[source] Arc<CodecError>),
    /// The far tier failed. What was asked of it may or may not have happened.
    #[error("the far tier failed to {operation}")]
    Far {
        /// What was asked of it.
        operation: &'static str,
        /// Why it failed.
        source: StoreError,
    },
    /// The far tier did not answer in time. What was asked of it may or may not have happened.
    #[error("the far tier took too long to {operation}")]
    FarTimeout {
        /// What was asked of it.
        operation: &'static str,
    },
    /// The builder was given no such event.
    #[error("no event is named {event:?}")]
    UnknownEvent {
        /// What was asked for.
        event: String,
    },
    /// Too many changes are pending in a [`WriteBehind`](crate::WriteBehind).
    #[error("too many changes are pending")]
    WriteQueueFull,
    /// The journal failed. What was asked of it may or may not have happened.
    #[error("the journal cannot be used")]
    Journal {
        /// Why it failed.
        source: StoreError,
    },
    /// The journal holds what is no change of this cache.
    #[error("a record of the journal is no change of this cache")]
    StrangeRecord,
    /// [`Cache::close`](crate::Cache::close) was called.
    #[error("the cache is closed")]
    Closed,
    /// A load was asked for outside a tokio runtime, and the builder was given none.
    #[error("no tokio runtime to load on")]
    NoRuntime,
}

impl CacheError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Far { source, .. } | Self::Journal { source } => source.is_transient(),
            Self::FarTimeout { .. } | Self::WriteQueueFull => true,
            _ => false,
        }
    }
}

/// Why [`Cache::get_or_load`](crate::Cache::get_or_load) has no value.
///
/// All callers that waited for one load share its error.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError<E> {
    /// The load returned an error.
    #[error("the load failed")]
    Loader(#[source] Arc<E>),
    /// The load, or the wait for it, exceeded its limit.
    #[error("the load timed out")]
    TimedOut,
    /// The load panicked.
    #[error("the load panicked")]
    Panicked,
    /// The load was dropped before it ended: its runtime shut down.
    #[error("the load was aborted")]
    Aborted,
    /// The cache refused to load.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl<E> LoadError<E> {
    /// The load's own error, if that is what happened.
    #[must_use]
    pub const fn loader(&self) -> Option<&Arc<E>> {
        match self {
            Self::Loader(error) => Some(error),
            _ => None,
        }
    }

    /// Whether loading again may succeed. Of the load's own errors that is not known: it is taken as
    /// `false`.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::TimedOut | Self::Aborted => true,
            Self::Cache(error) => error.is_transient(),
            Self::Loader(_) | Self::Panicked => false,
        }
    }
}

impl<E> Clone for LoadError<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Loader(error) => Self::Loader(Arc::clone(error)),
            Self::TimedOut => Self::TimedOut,
            Self::Panicked => Self::Panicked,
            Self::Aborted => Self::Aborted,
            Self::Cache(error) => Self::Cache(error.clone()),
        }
    }
}
