//! Functions and sections: calls, cumulative and own time, call paths.
//!
//! Each thread owns a lane, and in it one node per call path that it has taken: `a > b` and `c > b`
//! are two nodes. Only the owner writes, so counting is a relaxed load and a relaxed store, never a
//! locked instruction; whoever reads sums over the lanes. That makes counts exact and lossless with
//! neither events, which cost memory in proportion to calls, nor a thread to collect them.
//!
//! A call site keeps the node of its last call in a thread-local word. If the thread still stands at
//! that node's parent, entering costs two comparisons; otherwise the lane's table is asked. Own time
//! is not counted at all: it is a node's time less that of its children, taken when someone looks.
//!
//! A thread that ends hands its lane on, counts included, to the next thread that starts. So memory
//! follows the largest number of threads alive at once, and nothing is ever subtracted or copied. The
//! bulk of it, the latency histograms, does not: beyond 16 lanes a function's threads share one.

mod callsite;
mod future;
mod lane;
mod span;
mod stats;
mod tree;

pub use callsite::Callsite;
pub use future::{Profiled, profiled};
pub use lane::{Node, Slot};
pub use span::{Span, enter};
pub use stats::{CallPath, FunctionStats};

pub(crate) use lane::{Polling, current, polling, table_of, truncated_calls};
pub(crate) use span::{is_recording, records_memory, set_recording, set_slow_poll};
pub(crate) use tree::{Functions, collect};
