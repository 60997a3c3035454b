use crate::breaker::State;
use crate::limiter::Decision;
use crate::name::Name;
use crate::overload::Overload;
use perf_core::Transience;
use std::error::Error;
use std::time::Duration;

/// Why a guarded call has no result, or the error that the call itself returned.
///
/// Everything but [`GuardError::Inner`] was decided by the guard; [`GuardError::is_rejection`] tells
/// whether the call was made at all.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError<E> {
    /// The breaker refused the call.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The limiter refused the call.
    #[error("rate limit reached, {0}")]
    RateLimited(Decision),
    /// Too much is under way already, or was lately refused.
    #[error(transparent)]
    Overloaded(#[from] Overload),
    /// The deadline was over before the call could be made.
    #[error("the deadline was over before the call")]
    Expired,
    /// The call took longer than it may.
    #[error("call exceeded its limit of {limit:?}")]
    Elapsed {
        /// The longest that the call may take.
        limit: Duration,
    },
    /// The guard could not be made as it was asked for.
    #[error(transparent)]
    Misconfigured(#[from] ConfigError),
    /// The call was made and failed.
    #[error(transparent)]
    Inner(E),
}

impl<E> GuardError<E> {
    /// Whether the call was refused and never made.
    #[must_use]
    pub const fn is_rejection(&self) -> bool {
        matches!(
            self,
            Self::Rejected(_) | Self::RateLimited(_) | Self::Overloaded(_) | Self::Expired
        )
    }

    /// After what time asking again makes sense; `Some` for every rejection.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Rejected(rejection) => Some(rejection.retry_after),
            Self::RateLimited(decision) => Some(decision.retry_after()),
            Self::Overloaded(overload) => Some(overload.retry_after),
            // Whoever comes with another deadline may ask at once.
            Self::Expired => Some(Duration::ZERO),
            Self::Elapsed { .. } | Self::Misconfigured(_) | Self::Inner(_) => None,
        }
    }

    /// The error of the call itself.
    #[must_use]
    pub fn into_inner(self) -> Option<E> {
        match self {
            Self::Inner(error) => Some(error),
            _ => None,
        }
    }

    /// Whether trying again later may help: true for all that the guard decided about a call. Of an
    /// inner error only its owner knows.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        !matches!(self, Self::Misconfigured(_) | Self::Inner(_))
    }
}

/// A breaker's refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("circuit breaker {name} is {state} and asks to wait {retry_after:?}")]
#[non_exhaustive]
pub struct Rejection {
    /// The breaker.
    pub name: Name,
    /// What it was doing: open, probing with all probes given out, held open, or closed and letting
    /// calls back in by degrees.
    pub state: State,
    /// After what time asking again makes sense. An open breaker admits probes from then on; a
    /// half-open one has judged its probes or replaces those that hang; for a breaker held open by
    /// hand it is the usual open time.
    pub retry_after: Duration,
}

/// A store of limits that could not be asked, or gave no sensible answer.
#[derive(Debug, thiserror::Error)]
#[error("the store of limits failed")]
pub struct StoreError {
    source: Box<dyn Error + Send + Sync>,
    transience: Transience,
}

impl StoreError {
    /// An error of a driver, and whether trying again may help.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>, transience: Transience) -> Self {
        Self {
            source: source.into(),
            transience,
        }
    }

    /// Whether trying again may help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        self.transience.is_transient()
    }
}

/// A setting that cannot work, reported when a part is built.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A rate outside `(0, 1]`, or not a number.
    #[error("{setting} is {value}, must be above 0 and at most 1")]
    Rate {
        /// The setting.
        setting: &'static str,
        /// What it was set to.
        value: f64,
    },
    /// A number outside its range.
    #[error("{setting} is {value}, must be {least} to {most}")]
    Range {
        /// The setting.
        setting: &'static str,
        /// What it was set to.
        value: u64,
        /// The least it can be.
        least: u64,
        /// The most it can be.
        most: u64,
    },
    /// A duration outside its range.
    #[error("{setting} is {value:?}, must be {least:?} to {most:?}")]
    Span {
        /// The setting.
        setting: &'static str,
        /// What it was set to.
        value: Duration,
        /// The least it can be.
        least: Duration,
        /// The most it can be.
        most: Duration,
    },
    /// A setting that can't change once a part is built.
    #[error("{setting} cannot change while the part lives")]
    Fixed {
        /// The setting.
        setting: &'static str,
    },
    /// A number outside its range, where fractions are allowed.
    #[error("{setting} is {value}, must be {least} to {most}")]
    Number {
        /// The setting.
        setting: &'static str,
        /// What it was set to.
        value: f64,
        /// The least it can be.
        least: f64,
        /// The most it can be.
        most: f64,
    },
    /// A text that is no time left until a deadline.
    #[error("{text:?} is no deadline, expected digits and one of H, M, S, m, u, n")]
    Deadline {
        /// The text, shortened if it is long.
        text: String,
    },
    /// No rule is left that could open the breaker.
    #[error("no rule is set that could open the breaker")]
    NoRule,
    /// A name that cannot stand before the keys of a store.
    #[error("the name {name:?} is empty, above 100 bytes, or has a ':' or '#'")]
    Name {
        /// The name, shortened if it is long.
        name: String,
    },
    /// A text that is no quota.
    #[error("{text:?} is no quota: {problem}")]
    Quota {
        /// The text, shortened if it is long.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A cost that no amount of waiting can make admissible.
    #[error("a cost of {cost} exceeds the burst of {burst}")]
    CostExceedsBurst {
        /// What the call would take.
        cost: u32,
        /// The most that can be taken at once.
        burst: u32,
    },
}

impl ConfigError {
    /// Whether trying again may help: never, the setting must change.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        false
    }
}
