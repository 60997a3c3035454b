use crate::finding::Finding;
use crate::functions::{self, CallPath, FunctionStats, Functions};
use crate::lines::{self, FunctionLines};
use crate::plans::Explanation;
use crate::profiler::Shared;
use crate::queries::{QueryStats, RequestSlice, RequestStats, RunningQuery, SlowQuery};
use crate::report;
use crate::runtime::Blocked;
use std::fmt;

/// What a [`Profiler`](crate::Profiler) knew at one time.
///
/// `Display` writes the report: findings, then the tables of functions, requests and queries, each
/// with its first 20 rows.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Snapshot {
    findings: Vec<Finding>,
    functions: Vec<FunctionStats>,
    call_paths: Vec<CallPath>,
    lines: Vec<FunctionLines>,
    truncated_calls: u64,
    requests: Vec<RequestStats>,
    timeline: Vec<RequestSlice>,
    queries: Vec<QueryStats>,
    slow_queries: Vec<SlowQuery>,
    running_queries: Vec<RunningQuery>,
    explanations: Vec<Explanation>,
    unscoped_queries: u64,
    blocked: Vec<Blocked>,
}

impl Snapshot {
    pub(crate) fn take(shared: &Shared) -> Self {
        shared.requests.sweep(&shared.settings);
        let Functions { functions, paths } = functions::collect();
        Self {
            findings: shared.requests.findings(&shared.settings),
            functions,
            call_paths: paths,
            lines: lines::collect(),
            truncated_calls: functions::truncated_calls(),
            requests: shared.requests.stats(),
            timeline: shared.requests.timeline.slices(),
            queries: shared.book.queries(),
            slow_queries: shared.book.slow(),
            running_queries: shared.book.running(shared.settings.clock.now()),
            explanations: shared.book.explanations(),
            unscoped_queries: shared.book.unscoped(),
            blocked: shared.blocks.all(),
        }
    }

    /// What to improve, the costliest first. Only requests that have ended are judged.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// All functions, the one with the longest cumulative time first.
    #[must_use]
    pub fn functions(&self) -> &[FunctionStats] {
        &self.functions
    }

    /// The first `count` functions, as a table to print.
    #[must_use]
    pub fn top_functions(&self, count: usize) -> impl fmt::Display + '_ {
        report::functions(&self.functions[..count.min(self.functions.len())])
    }

    /// All call paths, each after the one that it extends.
    #[must_use]
    pub fn call_paths(&self) -> &[CallPath] {
        &self.call_paths
    }

    /// The statements of each function with `#[profile(lines)]`, the slowest function first.
    #[must_use]
    pub fn lines(&self) -> &[FunctionLines] {
        &self.lines
    }

    /// The own time of every call path in microseconds, one path a line as `a;b;c 120`: the input of
    /// flame graph tools.
    ///
    /// ```
    /// use perf_profile::{Profiler, span};
    ///
    /// let profiler = Profiler::builder().build();
    /// {
    ///     let _outer = span!("outer");
    ///     let _inner = span!("inner");
    /// }
    /// let folded = profiler.snapshot().folded().to_string();
    /// assert!(folded.lines().any(|line| line.starts_with("outer;inner ")));
    /// ```
    #[must_use]
    pub fn folded(&self) -> impl fmt::Display + '_ {
        report::folded(&self.call_paths)
    }

    /// The report in Markdown: current metrics, identified issues, recommendations, implementation and
    /// expected impact.
    ///
    /// ```
    /// let profiler = perf_profile::Profiler::builder().build();
    /// let report = profiler.snapshot().markdown().to_string();
    /// assert!(report.contains("## Identified Issues\n\nNone were found."));
    /// ```
    #[must_use]
    pub fn markdown(&self) -> impl fmt::Display + '_ {
        report::markdown(self)
    }

    /// Calls that went deeper than 128 profiled functions, or took more than 16,384 paths on one
    /// thread: counted here alone, their time with the caller's.
    #[must_use]
    pub const fn truncated_calls(&self) -> u64 {
        self.truncated_calls
    }

    /// The requests of each name, the slowest in total first. Only those that have ended count.
    #[must_use]
    pub fn requests(&self) -> &[RequestStats] {
        &self.requests
    }

    /// Requests over time since the profiler was made, in at most 60 slices of equal length: of one second
    /// at first, of twice as much whenever they would be more.
    #[must_use]
    pub fn timeline(&self) -> &[RequestSlice] {
        &self.timeline
    }

    /// All statements, the one that took longest in total first.
    #[must_use]
    pub fn queries(&self) -> &[QueryStats] {
        &self.queries
    }

    /// The newest executions above the threshold, at most 128, oldest first.
    #[must_use]
    pub fn slow_queries(&self) -> &[SlowQuery] {
        &self.slow_queries
    }

    /// Executions through an executor of the profiler that have begun and not ended, the oldest first.
    #[must_use]
    pub fn running_queries(&self) -> &[RunningQuery] {
        &self.running_queries
    }

    /// What an [`Explainer`](crate::Explainer) found out about slow statements, the most frequent first.
    #[must_use]
    pub fn explanations(&self) -> &[Explanation] {
        &self.explanations
    }

    /// The newest polls that a [`Watchdog`](crate::Watchdog) found to block, at most 128, oldest first.
    #[must_use]
    pub fn blocked(&self) -> &[Blocked] {
        &self.blocked
    }

    /// Executions outside every request.
    #[must_use]
    pub const fn unscoped_queries(&self) -> u64 {
        self.unscoped_queries
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        report::write(self, f)
    }
}
