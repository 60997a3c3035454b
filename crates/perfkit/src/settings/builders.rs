//! From settings to the builders of the crates that are there.

#[cfg(feature = "breaker")]
mod breaker;
#[cfg(all(
    feature = "bulk",
    any(feature = "mysql", feature = "postgres", feature = "sqlite")
))]
mod bulk;
#[cfg(feature = "cache")]
mod cache;
#[cfg(feature = "paginate")]
mod paginate;
#[cfg(feature = "pool")]
mod pool;
#[cfg(feature = "profile")]
mod profile;
