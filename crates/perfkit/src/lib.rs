#![doc = include_str!("../README.md")]

#[cfg(feature = "axum")]
pub mod endpoints;
pub mod prelude;
#[cfg(feature = "settings")]
pub mod settings;

#[cfg(feature = "breaker")]
pub use perf_breaker as breaker;
#[cfg(feature = "bulk")]
pub use perf_bulk as bulk;
#[cfg(feature = "cache")]
pub use perf_cache as cache;
pub use perf_core as core;
#[cfg(feature = "paginate")]
pub use perf_paginate as paginate;
#[cfg(feature = "pool")]
pub use perf_pool as pool;
#[cfg(feature = "profile")]
pub use perf_profile as profile;

/// Compiles and runs the example of the repository's front page.
#[cfg(all(doctest, feature = "cache"))]
#[doc = include_str!("../../../README.md")]
mod front_page {}

/// Compiles and runs the examples of the guide.
#[cfg(all(
    doctest,
    feature = "axum",
    feature = "breaker",
    feature = "cache",
    feature = "profile",
    feature = "settings"
))]
#[doc = include_str!("../../../docs/guide/service.md")]
mod chapter {}
