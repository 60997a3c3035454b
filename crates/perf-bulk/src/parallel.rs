//! One function over many inputs, several at a time.
//!
//! [`par_map`] runs futures in tasks of their own, on all of the runtime's threads, and never more of them than
//! its limit. It is a stream: what is not asked for is not started. Dropping it stops what runs, and a panic
//! in a task goes on in whoever polls the stream. Work that computes and does not wait belongs on other
//! threads: `par_map_cpu`, with the feature `rayon`.
//!
//! The limit is fixed, or found by [`Adaptive`] from how long the calls take: the number of requests that a
//! server answers without queueing changes by the hour, and a constant is either too small or too large.

mod adaptive;
mod chunks;
#[cfg(feature = "rayon")]
mod cpu;
mod map;

pub use adaptive::Adaptive;
pub use chunks::{Chunked, chunked};
#[cfg(feature = "rayon")]
pub use cpu::{ParMapCpu, par_map_cpu};
pub use map::{ParMap, par_map};
