use super::gcra::Gcra;
use crate::error::GuardError;
use crate::quota::Limit;
use std::fmt;
use std::time::Duration;

/// What a limiter says of one call.
///
/// Of a quota with several limits it describes the one that matters: on denial the one that asks for the
/// longest wait, otherwise the one with the least left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a denied call must not be made"]
pub struct Decision {
    pub(super) limit: Limit,
    pub(super) gcra: Gcra,
    /// The time until everything taken has come back, in the algorithm's parts.
    pub(super) ahead: u64,
    /// The time to wait, likewise; zero if allowed.
    pub(super) wait: u64,
}

impl Decision {
    /// Whether the call may be made.
    #[must_use]
    pub const fn is_allowed(&self) -> bool {
        self.wait == 0
    }

    /// After what time the same call will be allowed if no other comes first; zero if it is now.
    #[must_use]
    pub const fn retry_after(&self) -> Duration {
        self.gcra.duration(self.wait)
    }

    /// How many calls may follow at once.
    #[must_use]
    pub fn remaining(&self) -> u32 {
        self.gcra.remaining(self.ahead)
    }

    /// After what time the full burst is available again.
    #[must_use]
    pub const fn reset_after(&self) -> Duration {
        self.gcra.duration(self.ahead)
    }

    /// The limit that this describes.
    #[must_use]
    pub const fn limit(&self) -> Limit {
        self.limit
    }

    /// The one of two limits' decisions that matters to the caller.
    pub(super) fn graver(self, other: Self) -> Self {
        let other_is_graver = if self.is_allowed() && other.is_allowed() {
            other.remaining() < self.remaining()
        } else {
            other.retry_after() > self.retry_after()
        };
        if other_is_graver { other } else { self }
    }

    /// The same decision as long as the call has not been made.
    pub(super) const fn before(self) -> Self {
        let ahead = if self.is_allowed() {
            self.gcra.give_back(self.ahead, 1)
        } else {
            self.ahead
        };
        Self { ahead, ..self }
    }

    /// The decision as a result, for `?`.
    ///
    /// # Errors
    ///
    /// [`GuardError::RateLimited`] if the call is denied.
    pub const fn into_result<E>(self) -> Result<Self, GuardError<E>> {
        if self.is_allowed() {
            Ok(self)
        } else {
            Err(GuardError::RateLimited(self))
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_allowed() {
            write!(f, "{} of {} left", self.remaining(), self.limit)
        } else {
            write!(
                f,
                "{} allows the call in {:?}",
                self.limit,
                self.retry_after()
            )
        }
    }
}
