//! What every `perf-*` crate agrees on.
//!
//! A part of this crate exists because at least two siblings need it: [`clock`] to read and wait for
//! time, [`backoff`] to space attempts, [`codec`] to store values, [`inspect`] to show health and
//! figures, [`dialect`] and [`transience`] to speak to databases, [`histogram`] to record latencies.
//! Nothing here performs I/O, and no database driver is among its dependencies.
//!
//! ```
//! use perf_core::{Backoff, Histogram};
//! use std::time::Duration;
//!
//! let waits = Histogram::new();
//! let backoff = Backoff::exponential(Duration::from_millis(50)).with_max_attempts(3);
//! for delay in backoff.delays(fastrand::Rng::with_seed(7)) {
//!     waits.record_duration(delay);
//! }
//! assert_eq!(waits.snapshot().count(), 2); // three attempts, two waits between them
//! ```

pub mod backoff;
pub mod clock;
pub mod codec;
pub mod dialect;
pub mod histogram;
pub mod inspect;
pub mod transience;

pub use backoff::{Backoff, Jitter, RetryBudget};
pub use clock::{Clock, CoarseClock, ManualClock, Moment, SystemClock};
pub use codec::{Codec, CodecError, Compressed, Json, MessagePack};
pub use dialect::Dialect;
pub use histogram::{Histogram, Snapshot, Summary};
pub use inspect::{Health, Inspect, Registry, Sample, Value};
pub use transience::Transience;
