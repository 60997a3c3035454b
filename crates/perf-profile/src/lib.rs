//! Function, memory and query profiling tied to the request.
//!
//! One attribute times functions, one `tracing` layer watches sqlx's statements, and both tell which
//! request was behind it. Findings name what to write instead.
//!
//! | to see | use |
//! |---|---|
//! | functions, sync and async | `#[profile]` (feature `macros`), [`span!`], [`profiled`] |
//! | queries | [`Profiler::sql_layer`] in the subscriber |
//! | the request behind them | [`RequestScope`] |
//! | figures and findings | [`Profiler::snapshot`], its `Display`, [`perf_core::Inspect`] |
//!
//! Function spans cost two clock readings and a few additions, on the thread that runs them and
//! nowhere else: no events, no collector thread, nothing lost. They are one relaxed load while
//! [paused](Profiler::pause).
//!
//! ```
//! use perf_profile::{Profiler, span};
//!
//! let profiler = Profiler::builder().build();
//! {
//!     let _span = span!("load");
//!     for _ in 0..10 {
//!         let _span = span!("decode");
//!     }
//! }
//! let snapshot = profiler.snapshot();
//! let calls = |name| snapshot.functions().iter().find(|f| f.name == name).map(|f| f.calls);
//! assert_eq!((calls("load"), calls("decode")), (Some(1), Some(10)));
//! println!("{}", snapshot.top_functions(20));
//! ```

mod builder;
mod error;
mod finding;
mod functions;
mod inspect;
mod n_plus_one;
mod profiler;
mod queries;
mod report;
mod snapshot;
mod sql;
mod ticks;

pub use builder::ProfilerBuilder;
pub use error::ProfileError;
pub use finding::{Cause, Cure, Finding, Rule};
pub use functions::{CallPath, FunctionStats, Profiled, Span, profiled};
#[cfg(feature = "macros")]
pub use perf_macros::profile;
pub use profiler::Profiler;
pub use queries::{
    QueryEvents, QueryRecorder, QueryStats, RequestScope, RequestStats, SlowQuery, SqlLayer,
    Wrapped,
};
pub use snapshot::Snapshot;
pub use sql::{Fingerprint, Shape, Statement, Verb};

/// What the macros expand to; not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use crate::functions::{Callsite, Node, Slot, enter, profiled};
}
