//! What the program allocates, by function, by line and by request.
//!
//! The allocator only counts, per thread: four numbers in thread-local words, which need neither a lock nor
//! an initialisation, own no destructor and allocate nothing. So it may be called from anywhere, at any
//! depth, at a thread's very end. Whoever wants to know what a stretch of work has allocated takes the
//! difference of two readings. A span does so at its two ends, and a future at those of each poll: what
//! moves between threads is attributed like what stays.
//!
//! The alternative, a header in each block that names its function, also knows later who freed it, and costs
//! memory and a cache miss for each block.

mod allocator;
mod counters;
mod stats;

pub use allocator::ProfilingAllocator;
pub use counters::Mark;
pub use stats::MemoryStats;

pub(crate) use counters::{Delta, KeptMark, is_installed};
pub(crate) use stats::Totals;
