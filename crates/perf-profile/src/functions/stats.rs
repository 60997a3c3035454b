use crate::memory::MemoryStats;
use perf_core::Summary;
use std::time::Duration;

/// What one function or section has done, over all threads and call paths.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct FunctionStats {
    /// Its name.
    pub name: &'static str,
    /// The path of the module it stands in.
    pub module: &'static str,
    /// The file it stands in.
    pub file: &'static str,
    /// The line it starts at.
    pub line: u32,
    /// Completed calls.
    pub calls: u64,
    /// Time spent on a thread in it and in what it called; a recursive call's once.
    pub cumulative: Duration,
    /// Time spent on a thread in itself, profiled callees excluded.
    pub own: Duration,
    /// Time that its completed futures have waited; zero for a sync function.
    pub idle: Duration,
    /// Polls of its futures.
    pub polls: u64,
    /// Those of them that held their thread for 100 µs or as long as the builder says.
    pub slow_polls: u64,
    /// Futures dropped before completion, after their first poll.
    pub cancelled: u64,
    /// From start to end of a call: an async function's includes its idle time.
    pub latency: Summary,
    /// What it and what it called have allocated; a recursive call's once.
    pub memory: MemoryStats,
}

/// What one call path has done, over all threads.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct CallPath {
    /// The function at its end.
    pub name: &'static str,
    /// The index of the path that it extends; `None` for one that starts on a thread.
    pub parent: Option<usize>,
    /// Completed calls.
    pub calls: u64,
    /// Time spent on a thread in it and in what it called.
    pub cumulative: Duration,
    /// Time spent on a thread in itself, profiled callees excluded.
    pub own: Duration,
}
