use super::reader::{DAY, Section};
use std::num::NonZero;
use std::thread;
use std::time::Duration;

/// Thresholds, bulk writes and workers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PerformanceSettings {
    /// From when on a query is slow. Default: 100 ms.
    pub query_slow_threshold: Duration,
    /// From when on a request is slow. Default: 1 s.
    pub request_slow_threshold: Duration,
    /// How often one request must repeat a query for that to be a finding. Default: 5.
    pub n_plus_one_threshold: NonZero<u32>,
    /// How many rows a bulk write holds and commits at a time. Default: 50,000.
    pub bulk_insert_chunk_size: usize,
    /// How many jobs run at a time. Default: as many as there are processors.
    pub async_worker_count: usize,
    /// How many jobs may wait for a worker. Default: 1,024.
    pub async_queue_size: usize,
}

impl PerformanceSettings {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        let repeats = section.count("n_plus_one_threshold", 2..=1_000_000);
        Self {
            query_slow_threshold: section
                .time("query_slow_threshold", Duration::ZERO..=DAY)
                .unwrap_or(Duration::from_millis(100)),
            request_slow_threshold: section
                .time("request_slow_threshold", Duration::ZERO..=DAY)
                .unwrap_or(Duration::from_secs(1)),
            n_plus_one_threshold: repeats.and_then(NonZero::new).unwrap_or(FIVE),
            bulk_insert_chunk_size: section
                .count("bulk_insert_chunk_size", 1..=100_000_000)
                .unwrap_or(50_000),
            async_worker_count: section
                .count("async_worker_count", 1..=10_000)
                .unwrap_or(processors),
            async_queue_size: section
                .count("async_queue_size", 0..=100_000_000)
                .unwrap_or(1_024),
        }
    }
}

const FIVE: NonZero<u32> = NonZero::<u32>::MIN.saturating_add(4);
