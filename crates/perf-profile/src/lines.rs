//! Where within a function time goes, statement by statement.
//!
//! `#[profile(lines)]` puts a mark before each statement. A mark reads the clock once: the time since the
//! last mark belongs to the statement before, and the function's end closes the last one. So the times of
//! the statements add up to the function's, with nothing counted twice and nothing lost. Wrapping each
//! statement between two readings, the obvious way, would cost twice as much and break the scope of `let`.
//!
//! Marks know where they stand by a thread-local frame, not by a variable of the function: the future of an
//! async function stays `Send`, and its polls swap their frame in and out. What passes between two polls is
//! idle time of the statement that awaits, which also sees awaits within macros such as `join!`.

mod awaited;
mod collect;
mod frame;
mod lined;
mod site;
mod stats;
mod table;
#[cfg(all(test, feature = "macros"))]
mod tests;

pub use awaited::{Awaited, awaited};
pub use frame::{Current, Frame, LinesGuard, Memory, enter_lines, mark};
pub use lined::{Lined, lined};
pub use site::{LineSite, Lines};
pub use stats::{AwaitStats, FunctionLines, LineStats};

pub(crate) use collect::collect;
pub(crate) use table::Table;
