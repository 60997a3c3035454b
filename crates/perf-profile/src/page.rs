use crate::report;
use crate::snapshot::Snapshot;
use std::fmt;

impl Snapshot {
    /// The report as one page of HTML that refers to nothing outside: the parts of
    /// [`Snapshot::markdown`], latencies as pictures, and a flame graph of the functions.
    ///
    /// ```
    /// use perf_profile::{Profiler, span};
    ///
    /// let profiler = Profiler::builder().build();
    /// drop(span!("served"));
    /// let page = profiler.snapshot().html().to_string();
    /// assert!(page.starts_with("<!doctype html>") && page.contains("<h2>Expected Impact</h2>"));
    /// ```
    #[must_use]
    pub fn html(&self) -> impl fmt::Display + '_ {
        report::html(self)
    }
}
