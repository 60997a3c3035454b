//! Load that does not hide what it measures.
//!
//! A generator that sends its next request when the last one was answered stops sending while the server
//! stalls, and so measures the stall once instead of once for everybody who would have come meanwhile
//! ("coordinated omission", Gil Tene, 2013). Correcting the figures afterwards guesses what was not
//! measured. Here the open model decides beforehand when each request is due, sends it whatever became
//! of the others, and counts its latency from the moment it was *due*; the time from the actual sending
//! stands beside it as service time, and how late the generator itself was as lag.
//!
//! The closed model, a fixed number of users who each wait for their answer, is right for asking how much
//! a server can do at most, and wrong for asking how long people wait.

mod closed;
#[cfg(feature = "http-client")]
mod http;
mod open;
mod recorder;
mod report;
mod schedule;
mod stress;
mod target;
mod test;

#[cfg(feature = "http-client")]
pub use http::{HttpTarget, HttpTargetError};
pub use report::{LoadReport, LoadSlice};
pub use schedule::Stages;
pub use stress::{StressReport, StressStep, StressTest};
pub use target::Target;
pub use test::LoadTest;
