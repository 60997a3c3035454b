//! What most services use of each chosen crate, for `use perfkit::prelude::*`.
//!
//! Names that several crates have, such as `Loader`, `Limits` and the builders, stay in their crates. Macros
//! are not here either: through the umbrella each is told where its crate is, as in
//! `#[profile(crate = perfkit::profile)]`.

pub use perf_core::{Clock, Health, Inspect, Registry};

#[cfg(feature = "axum")]
pub use crate::endpoints::Endpoints;
#[cfg(feature = "settings")]
pub use crate::settings::Settings;
#[cfg(feature = "breaker")]
pub use perf_breaker::{CircuitBreaker, Guard, GuardError, KeyedLimiter, Quota, RateLimiter};
#[cfg(feature = "bulk")]
pub use perf_bulk::{BatchLoader, Batcher, TaskQueue};
#[cfg(all(
    feature = "bulk",
    any(feature = "mysql", feature = "postgres", feature = "sqlite")
))]
pub use perf_bulk::{BulkInsert, BulkUpsert};
#[cfg(feature = "cache")]
pub use perf_cache::{Cache, FarTier};
#[cfg(feature = "paginate")]
pub use perf_paginate::{Page, PageQuery, Paginator, Schema};
#[cfg(feature = "pool")]
pub use perf_pool::{Pool, Pooled, SharedPool};
#[cfg(feature = "profile")]
pub use perf_profile::{Profiler, RequestScope, SloMonitor};
