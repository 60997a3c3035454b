#![doc = include_str!("../README.md")]

mod builder;
mod error;
mod finding;
mod functions;
mod inspect;
mod profiler;
mod queries;
mod report;
mod rules;
mod snapshot;
mod sql;
mod ticks;
#[cfg(feature = "tower")]
mod timing;

pub use builder::ProfilerBuilder;
pub use error::ProfileError;
pub use finding::{Cause, Cure, Finding};
pub use functions::{CallPath, FunctionStats, Profiled, Span, profiled};
#[cfg(feature = "macros")]
pub use perf_macros::profile;
pub use profiler::Profiler;
pub use queries::{
    QueryEvents, QueryRecorder, QueryStats, RequestScope, RequestStats, SlowQuery, SlowRequest,
    SqlLayer, Wrapped,
};
pub use rules::Rule;
pub use snapshot::Snapshot;
pub use sql::{Fingerprint, Shape, Statement, Verb};
#[cfg(feature = "tower")]
pub use timing::{Timed, TimedBody, TimedFuture, TimingLayer};

/// What the macros expand to; not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use crate::functions::{Callsite, Node, Slot, enter, profiled};
}
