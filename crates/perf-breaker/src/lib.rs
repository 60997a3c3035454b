//! Circuit breaker and rate limiter whose accounting is exact.
//!
//! A [`CircuitBreaker`] stands before something that may fail. While it works, a call costs a few
//! nanoseconds more than none. Once too much of it fails, the breaker opens: calls are refused at once,
//! each with the time after which asking again makes sense, and after a pause a bounded number of
//! probes decides whether it closes again.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use perf_breaker::{CircuitBreaker, GuardError};
//!
//! let breaker = CircuitBreaker::builder("billing").consecutive_failures(2).build()?;
//! for _ in 0..2 {
//!     let reply = breaker.call(async { Err::<(), _>("connection refused") }).await;
//!     assert_eq!(reply, Err(GuardError::Inner("connection refused")));
//! }
//! let reply = breaker.call(async { Ok::<_, &str>("never asked") }).await;
//! let error = reply.unwrap_err();
//! assert!(error.is_rejection());
//! assert!(error.retry_after().is_some());
//! # Ok(())
//! # }
//! ```
//!
//! # What "exact" means
//!
//! - A permit carries the generation in which it was given. A result that arrives after the state has
//!   moved on changes nothing.
//! - A permit is a value: dropping it in any way, a panic included, gives it back and judges the call.
//! - A half-open breaker gives out its configured number of probes, whoever asks, and no more.
//! - Window counts equal the sum of what the window holds as soon as no call is being recorded.
//!
//! # Features
//!
//! - `redis`, `postgres`, `mysql`, `sqlite`: a [`RateLimitStore`] on that server. `mysql` serves MariaDB too,
//!   and `redis` the breakers of a fleet.
//! - `conformance`: the suite that every store must pass.
//! - `tower`: `CircuitBreakerLayer`, `RateLimitLayer`, `BulkheadLayer` and `GuardLayer`, the same before a tower
//!   service.
//! - `http`: a limiter before an HTTP service, with its headers, problem documents and keys.
//! - `axum`: peer addresses and responses as axum has them.
//! - `serde`: a `…Settings` for each part, to be read from a file.
//!
//! # Limits
//!
//! A [`RateLimiter`] admits what a [`Quota`] such as `"100/minute; 10/second"` allows, a [`KeyedLimiter`]
//! does so for each of many keys, and a [`SharedLimiter`] for each key over all processes of a fleet. A
//! [`RetryBudget`] bounds how much retries add to a failing server's load.

mod adaptive;
mod breaker;
mod budget;
mod bulkhead;
mod check;
#[cfg(feature = "serde")]
mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
mod counter_clock;
mod deadline;
mod error;
mod fleet;
mod guard;
mod hedge;
mod holder;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "tower")]
mod judged;
#[cfg(feature = "tower")]
mod layer;
#[cfg(feature = "tower")]
mod limit_layer;
mod limiter;
mod name;
mod overload;
mod quota;
mod registry;
mod retry;
mod seats;
mod shared;
mod store;
mod sync;
mod throttle;
mod timeline;
mod timeout;
mod window;

pub use adaptive::{AdaptiveLimit, Aimd, CallSample, Gradient, LimitPolicy, Slot, Vegas};
pub use breaker::{
    AnyError, BreakerBuilder, BreakerSnapshot, Call, CircuitBreaker, Classify, GuardedStream, Hold,
    Outcome, Permit, Reason, State,
};
pub use budget::RetryBudget;
pub use bulkhead::{Bulkhead, BulkheadBuilder, BulkheadCall, Place};
#[cfg(feature = "serde")]
pub use config::{
    AdaptiveSettings, BreakerSettings, BudgetSettings, BulkheadSettings, GuardSettings,
    HedgeSettings, LimiterSettings, RetrySettings, ThrottleSettings,
};
pub use counter_clock::CounterClock;
pub use deadline::Deadline;
pub use error::{ConfigError, GuardError, Rejection, StoreError};
#[cfg(feature = "redis")]
pub use fleet::RedisFleet;
pub use fleet::{FleetMember, FleetReport, FleetStore, FleetView, MemoryFleet, Vote};
pub use guard::{Fallback, Guard, GuardBuilder, GuardCall, MakeCall, NoFallback};
pub use hedge::{Hedge, HedgeBuilder, HedgeCall};
#[cfg(feature = "tower")]
pub use judged::JudgedCall;
#[cfg(feature = "tower")]
pub use layer::{
    AdaptiveLimitLayer, AdaptiveLimitService, BulkheadLayer, BulkheadService, CircuitBreakerLayer,
    CircuitBreakerService, CloneRequest, GuardLayer, GuardService, HedgeLayer, HedgeService,
    Oneshot, Replay, Replayed, ResponseFuture, ThrottleLayer, ThrottleService,
};
#[cfg(feature = "tower")]
pub use limit_layer::{RateLimitFuture, RateLimitLayer, RateLimitService};
pub use limiter::{Decision, KeyedLimiter, RateLimiter};
pub use name::Name;
pub use overload::{Overload, OverloadCause};
pub use quota::{Limit, Quota};
pub use registry::BreakerRegistry;
pub use retry::{Retry, RetryBuilder};
pub use shared::{SharedLimiter, SharedLimiterBuilder, StorePolicy};
#[cfg(feature = "mysql")]
pub use store::MySqlStore;
#[cfg(feature = "postgres")]
pub use store::PostgresStore;
#[cfg(feature = "redis")]
pub use store::RedisStore;
#[cfg(feature = "sqlite")]
pub use store::SqliteStore;
pub use store::{Charge, LONGEST_KEY, MemoryStore, RateLimitStore, Verdict};
pub use throttle::{Allowance, Throttle, ThrottleBuilder};
pub use timeout::{TimedCall, Timeout};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/breaker.md")]
struct Guide;
