use crate::settings::PerformanceSettings;
use perf_profile::{Profiler, ProfilerBuilder};

impl PerformanceSettings {
    /// A profiler with these thresholds, to be completed and built.
    pub fn profiler(&self) -> ProfilerBuilder {
        Profiler::builder()
            .slow_query(self.query_slow_threshold)
            .slow_request(self.request_slow_threshold)
            .repeats(self.n_plus_one_threshold)
    }
}
