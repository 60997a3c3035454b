#![doc = include_str!("../README.md")]

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
