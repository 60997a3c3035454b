//! Settings as they stand in a file.
//!
//! Each part has one struct whose fields are its builder's settings, with the same defaults. Durations are
//! written as people write them, `"250ms"` or `"1m 30s"`, quotas likewise, `"100/minute; 10/second"`. What is
//! unknown or no duration is an error when the file is read; what cannot work is the builder's
//! [`ConfigError`](crate::ConfigError) when the part is built.

mod breaker;
mod guard;
mod human;
mod limiter;
mod policies;
mod quota;

pub use breaker::BreakerSettings;
pub use guard::GuardSettings;
pub use limiter::LimiterSettings;
pub use policies::{
    AdaptiveSettings, BudgetSettings, BulkheadSettings, HedgeSettings, RetrySettings,
    ThrottleSettings,
};
