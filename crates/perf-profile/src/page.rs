use crate::report;
use crate::snapshot::Snapshot;
use crate::{LoadReport, StressReport};
use std::fmt;

impl Snapshot {
    /// The report as one page of HTML that refers to nothing outside: the parts of
    /// [`Snapshot::markdown`], latencies and time lines as pictures, and a flame graph of the functions.
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

impl LoadReport {
    /// Latency and throughput over time, and latency by percentile, as pictures in HTML that refer to nothing
    /// outside: a part of a page.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), perf_profile::ProfileError> {
    /// use perf_profile::{LoadTest, Stages};
    /// use std::{convert::Infallible, time::Duration};
    ///
    /// let work = |_number| async {
    ///     tokio::time::sleep(Duration::from_millis(20)).await;
    ///     Ok::<_, Infallible>(())
    /// };
    /// let stages = Stages::at(50.0).hold(Duration::from_secs(10));
    /// let report = LoadTest::open(&stages)?.run(work).await?;
    /// assert_eq!(report.charts().to_string().matches("<svg").count(), 3);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn charts(&self) -> impl fmt::Display + use<> {
        report::load(self)
    }
}

impl StressReport {
    /// Throughput and latency by the rate that was offered, as pictures in HTML that refer to nothing outside: a
    /// part of a page.
    #[must_use]
    pub fn charts(&self) -> impl fmt::Display + use<> {
        report::stress(self)
    }
}
