use std::error::Error;
use std::sync::Arc;

/// Why a [`Batcher`](crate::Batcher) has no answer for an item.
///
/// Items that failed together share one error, hence the [`Arc`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError<E: Error + 'static> {
    /// The handler failed, for this item or for its whole batch.
    #[error("the handler failed at attempt {attempts}")]
    Failed {
        /// How often the item was tried.
        attempts: u32,
        /// The handler's error.
        source: Arc<E>,
    },
    /// The handler gave more or fewer answers than it had items, so none can be told apart.
    #[error("the handler gave {found} answers for {expected} items")]
    Miscounted {
        /// How many items it had.
        expected: usize,
        /// How many answers it gave.
        found: usize,
    },
    /// The handler panicked. Later batches are not affected.
    #[error("the handler panicked")]
    Panicked,
    /// The queue is full; the item was not taken.
    #[error("the queue is full")]
    Full,
    /// The batcher is closed; the item was not taken.
    #[error("the batcher is closed")]
    Closed,
    /// The item was taken, and its runtime shut down before it was answered: it may have been handled.
    #[error("the runtime ended before the item was answered")]
    Abandoned,
}

impl<E: Error> BatchError<E> {
    /// Whether submitting the same item again may succeed. The handler's error is the caller's to judge.
    ///
    /// ```
    /// use perf_bulk::BatchError;
    ///
    /// let error = BatchError::<std::io::Error>::Full;
    /// assert!(error.is_transient() && !error.was_taken());
    /// ```
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Full)
    }

    /// Whether the handler may have seen the item.
    #[must_use]
    pub const fn was_taken(&self) -> bool {
        !matches!(self, Self::Full | Self::Closed)
    }
}

impl<E: Error> Clone for BatchError<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Failed { attempts, source } => Self::Failed {
                attempts: *attempts,
                source: Arc::clone(source),
            },
            Self::Miscounted { expected, found } => Self::Miscounted {
                expected: *expected,
                found: *found,
            },
            Self::Panicked => Self::Panicked,
            Self::Full => Self::Full,
            Self::Closed => Self::Closed,
            Self::Abandoned => Self::Abandoned,
        }
    }
}
