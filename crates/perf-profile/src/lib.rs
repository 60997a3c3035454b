#![doc = include_str!("../README.md")]

mod baseline;
mod builder;
mod error;
#[cfg(feature = "sqlx")]
mod executor;
mod finding;
mod functions;
mod health;
mod inspect;
mod lines;
mod load;
mod memory;
#[cfg(feature = "html")]
mod page;
mod plans;
mod profiler;
mod queries;
mod report;
mod rules;
mod runtime;
mod snapshot;
mod sql;
mod ticks;
#[cfg(feature = "tower")]
mod timing;

pub use baseline::{
    Baseline, BaselineStore, Better, Comparison, FileBaselines, MemoryBaselines, MetricComparison,
    Verdict,
};
pub use builder::ProfilerBuilder;
pub use error::ProfileError;
#[cfg(feature = "sqlx")]
pub use executor::ProfiledExecutor;
pub use finding::{Cause, Cure, Finding};
pub use functions::{CallPath, FunctionStats, Profiled, Span, profiled};
#[cfg(feature = "http-client")]
pub use health::WebhookAlerts;
pub use health::{
    Alert, AlertSink, Level, LogAlerts, Measure, Objective, ObjectiveStatus, SloMonitor,
    SloMonitorBuilder, WindowStats,
};
pub use lines::{AwaitStats, FunctionLines, LineStats};
#[cfg(feature = "http-client")]
pub use load::{HttpTarget, HttpTargetError};
pub use load::{
    LoadReport, LoadSlice, LoadTest, Stages, StressReport, StressStep, StressTest, Target,
};
pub use memory::{MemoryStats, ProfilingAllocator};
/// Times every call of a function, sync or async.
///
/// `name = "…"` replaces the function's own name; `crate = …` is the path under which `perf_profile`
/// is reachable, `::perf_profile` unless told otherwise.
///
/// An async function is timed poll by poll, on whichever threads it runs: time on a thread, time
/// waiting, and cancellations are told apart. A `const fn` cannot be profiled.
///
/// ```
/// use perf_profile::{Profiler, profile};
///
/// #[profile]
/// fn square(x: u64) -> u64 {
///     x * x
/// }
///
/// #[profile(name = "sum of squares")]
/// async fn sum(n: u64) -> u64 {
///     (1..=n).map(square).sum()
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let profiler = Profiler::builder().build();
/// assert_eq!(sum(3).await, 14);
/// let snapshot = profiler.snapshot();
/// let calls = |name| snapshot.functions().iter().find(|f| f.name == name).map(|f| f.calls);
/// assert_eq!((calls("square"), calls("sum of squares")), (Some(3), Some(1)));
/// # }
/// ```
///
/// On an `impl` block it profiles all methods, named after their type: `Flights::load`. Those that are
/// `const`, and those that have the attribute themselves, are left as they are; `#[profile(skip)]` leaves
/// one out.
///
/// ```
/// use perf_profile::{Profiler, profile};
///
/// struct Flights(Vec<u32>);
///
/// #[profile]
/// impl Flights {
///     fn load() -> Self {
///         Self(vec![1, 2, 3])
///     }
///
///     #[profile(skip)]
///     fn count(&self) -> usize {
///         self.0.len()
///     }
/// }
///
/// let profiler = Profiler::builder().build();
/// assert_eq!(Flights::load().count(), 3);
/// let snapshot = profiler.snapshot();
/// let names: Vec<_> = snapshot.functions().iter().map(|f| f.name).collect();
/// assert_eq!(names, ["Flights::load"]);
/// ```
///
/// `lines` also times each statement: hits, time, share, waiting time and allocations, with the source
/// beside them. Closures, async blocks and macros count for the statement that they stand in.
///
/// ```
/// use perf_profile::{Profiler, profile};
///
/// #[profile(lines)]
/// fn sum(n: u64) -> u64 {
///     let mut sum = 0;
///     for number in 0..n {
///         sum += number;
///     }
///     sum
/// }
///
/// let profiler = Profiler::builder().build();
/// assert_eq!(sum(10), 45);
/// let snapshot = profiler.snapshot();
/// let lines = &snapshot.lines()[0].lines;
/// let hits: Vec<_> = lines.iter().map(|line| (line.text, line.hits)).collect();
/// assert_eq!(hits[2], ("sum += number;", 10));
/// println!("{snapshot}");
/// ```
///
/// What may run where there is no clock is refused, and so is an argument that it does not know:
///
/// ```compile_fail
/// #[perf_profile::profile]
/// const fn seven() -> u8 {
///     7
/// }
/// ```
///
/// ```compile_fail
/// #[perf_profile::profile(title = "seven")]
/// fn seven() -> u8 {
///     7
/// }
/// ```
#[cfg(feature = "macros")]
pub use perf_macros::profile;
#[cfg(feature = "mysql")]
pub use plans::MySqlPlanner;
#[cfg(feature = "postgres")]
pub use plans::PostgresPlanner;
#[cfg(feature = "sqlite")]
pub use plans::SqlitePlanner;
pub use plans::{
    Access, Advice, Advisor, Explainer, Explanation, Index, Plan, PlanFinding, Planner, Step,
};
pub use profiler::Profiler;
pub use queries::{
    QueryEvents, QueryRecorder, QueryStats, RequestScope, RequestSlice, RequestStats, RunningQuery,
    SlowQuery, SlowRequest, SqlLayer, Wrapped,
};
pub use rules::Rule;
#[cfg(feature = "usage")]
pub use runtime::Usage;
pub use runtime::{Blocked, Watchdog};
pub use snapshot::Snapshot;
pub use sql::{Fingerprint, Shape, Statement, Verb};
#[cfg(feature = "tower")]
pub use timing::{Timed, TimedBody, TimedFuture, TimingLayer};

/// What the macros expand to; not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use crate::functions::{Callsite, Node, Slot, enter, profiled};
    pub use crate::lines::{
        Awaited, Current, Frame, LineSite, Lined, Lines, LinesGuard, Memory, awaited, enter_lines,
        lined, mark,
    };
    pub use crate::memory::Mark;
}
