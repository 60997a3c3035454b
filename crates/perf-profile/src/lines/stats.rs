use crate::memory::MemoryStats;
use perf_core::Summary;
use std::time::Duration;

/// The statements of one function with `#[profile(lines)]`.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct FunctionLines {
    /// The function's name.
    pub name: &'static str,
    /// The path of the module it stands in.
    pub module: &'static str,
    /// The file it stands in.
    pub file: &'static str,
    /// Time on a thread over all statements.
    pub time: Duration,
    /// Its statements, in the order of the source.
    pub lines: Vec<LineStats>,
}

/// What one statement has done, over all calls.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct LineStats {
    /// The line that it starts on.
    pub line: u32,
    /// The column that it starts at.
    pub column: u32,
    /// Its first line in the source.
    pub text: &'static str,
    /// How often it began. The head of a loop begins anew before each round.
    pub hits: u64,
    /// Time on a thread, with what it called.
    pub time: Duration,
    /// Which part of the function's time that is, from 0 to 1.
    pub share: f64,
    /// Time that the function has waited in it.
    pub idle: Duration,
    /// Its awaits; those within macros are only part of `idle`.
    pub awaits: AwaitStats,
    /// What it has allocated.
    pub memory: MemoryStats,
}

/// How long the awaits of one statement took.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
#[non_exhaustive]
pub struct AwaitStats {
    /// From the first poll to the end, of those that ended.
    pub latency: Summary,
    /// Those that were dropped after their first poll and before their end.
    pub cancelled: u64,
}
