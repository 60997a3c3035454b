use std::fmt;

/// What a breaker does with calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Every call passes and is counted.
    Closed,
    /// No call passes until the open time is over.
    Open,
    /// A bounded number of calls passes as probes.
    HalfOpen,
    /// Someone decided by hand; calls change nothing.
    Held(Hold),
}

/// What [`CircuitBreaker::hold`](super::CircuitBreaker::hold) can hold a breaker in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hold {
    /// No call passes.
    Open,
    /// Every call passes and is counted; no rule is judged.
    Closed,
    /// Every call passes and is counted; when a rule would open the breaker, it says so in an event and
    /// counts afresh. For trying out rules on live traffic.
    MetricsOnly,
    /// Every call passes and is not counted.
    Disabled,
}

impl Hold {
    pub(super) const fn to_payload(self) -> u64 {
        match self {
            Self::Open => 0,
            Self::Closed => 1,
            Self::MetricsOnly => 2,
            Self::Disabled => 3,
        }
    }

    pub(super) const fn from_payload(payload: u64) -> Self {
        match payload {
            0 => Self::Open,
            1 => Self::Closed,
            2 => Self::MetricsOnly,
            _ => Self::Disabled,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
            Self::Held(Hold::Open) => "held open",
            Self::Held(Hold::Closed) => "held closed",
            Self::Held(Hold::MetricsOnly) => "held to metrics only",
            Self::Held(Hold::Disabled) => "disabled",
        })
    }
}
