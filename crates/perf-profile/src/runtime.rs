//! What the runtime's threads do to each other.
//!
//! A worker that is stuck in one poll cannot say so, and what it holds up only waits. But a profiled
//! thread shows where it stands anyway: entering a function stores its node in the thread's lane, for any
//! thread to read. The outermost profiled poll also stores when it began. So a thread that looks at all
//! lanes a hundred times a second finds those that have been in one poll for too long, *while* they are,
//! and walks from the node to its callers to name the stack. The price for the watched is two stores a
//! poll, and none of it needs the runtime's help.
//!
//! A poll outside every profiled future is not seen.

mod watchdog;

#[cfg(feature = "usage")]
mod usage;

#[cfg(feature = "usage")]
pub use usage::Usage;
pub use watchdog::{Blocked, Watchdog};

pub(crate) use watchdog::Blocks;
