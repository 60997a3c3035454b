//! What is tested under a subscriber of one thread, or while paused, in a process of its own.
//!
//! While any thread of a process has such a subscriber, `tracing` refuses to close a span from within the
//! recording of an event. A span that another thread released meanwhile then never ends, nor does the
//! request around it, so these tests would hold up those that wait for their requests.

mod lost;
mod memory;
mod on_demand;
mod paused;
mod report;
mod support;
