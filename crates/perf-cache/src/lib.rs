#![doc = include_str!("../README.md")]

mod administer;
mod batch;
mod bounds;
mod builder;
mod cache;
#[cfg(feature = "conformance")]
pub mod conformance;
mod entry;
pub mod envelope;
mod error;
mod expiry;
mod far;
mod fence;
mod flight;
mod load;
mod lookup;
#[cfg(loom)]
pub mod model;
mod near;
mod pattern;
mod policy;
mod prewarm;
mod shared;
mod stats;
pub mod store;
mod stripes;
mod sync;
mod tags;
mod time;
mod write;

pub use batch::Batch;
pub use bounds::{Key, Value};
pub use builder::{CacheBuilder, CancelPolicy};
pub use cache::Cache;
pub use entry::Entry;
pub use error::{CacheError, LoadError};
pub use far::FarTier;
pub use lookup::{Lookup, Source};
pub use policy::EntryPolicy;
pub use prewarm::Prewarmed;
pub use stats::CacheStats;
