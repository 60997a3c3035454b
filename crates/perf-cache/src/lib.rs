#![doc = include_str!("../README.md")]

mod administer;
pub mod backplane;
mod batch;
mod bounds;
mod builder;
mod cache;
mod coherence;
#[cfg(feature = "conformance")]
pub mod conformance;
mod entry;
pub mod envelope;
mod error;
mod expiry;
mod far;
mod fence;
mod flight;
#[cfg(feature = "http")]
pub mod http;
pub mod journal;
mod load;
mod lookup;
#[cfg(feature = "macros")]
mod macros;
#[cfg(loom)]
pub mod model;
mod near;
mod pattern;
mod policy;
mod prewarm;
mod receipt;
mod shared;
mod stats;
pub mod store;
mod stripes;
mod sync;
mod tags;
#[cfg(feature = "macros")]
mod template;
mod time;
mod versions;
mod write;
mod write_behind;
mod write_through;

pub use batch::Batch;
pub use bounds::{Key, Value};
pub use builder::{CacheBuilder, CancelPolicy};
pub use cache::Cache;
pub use coherence::Coherence;
pub use entry::Entry;
pub use error::{CacheError, LoadError};
pub use far::FarTier;
pub use lookup::{Lookup, Source};
#[cfg(feature = "macros")]
#[doc(inline)]
pub use macros::{cached, invalidates};
pub use policy::EntryPolicy;
pub use prewarm::Prewarmed;
pub use receipt::Receipt;
pub use stats::CacheStats;
pub use write_behind::{Change, WriteBehind, WriteBehindBuilder, WriteBehindStats};
pub use write_through::WriteError;

/// What the macros expand to; not for use by hand.
#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod __private {
    pub use crate::load::{compute, once, try_compute};
    pub use crate::template::{key, pattern};
}
