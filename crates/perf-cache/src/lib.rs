#![doc = include_str!("../README.md")]

mod bounds;
mod builder;
mod cache;
mod entry;
mod error;
mod expiry;
mod fence;
mod flight;
mod load;
mod lookup;
mod near;
mod policy;
mod shared;
mod stats;
pub mod store;
mod stripes;
mod sync;
mod tags;
mod time;

pub use bounds::{Key, Value};
pub use builder::{CacheBuilder, CancelPolicy};
pub use cache::Cache;
pub use entry::Entry;
pub use error::{CacheError, LoadError};
pub use lookup::{Lookup, Source};
pub use policy::EntryPolicy;
pub use stats::CacheStats;
