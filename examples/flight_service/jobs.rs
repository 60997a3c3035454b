//! Work that is done later, by whichever instance has time.

use super::database::Database;
use anyhow::Result;
use perfkit::bulk::{BoxError, Task, TaskQueue, Worker};
use perfkit::core::Registry;
use perfkit::pool::CpuPool;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// A worker that was killed is replaced after this time.
const LEASE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(500);

/// Computes how late an airline was.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DelayReport {
    pub(crate) carrier: String,
}

/// How late it was, in minutes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Delays {
    flights: usize,
    cancelled: usize,
    median: Option<i64>,
    p95: Option<i64>,
    worst: Option<i64>,
}

impl Task for DelayReport {
    const NAME: &'static str = "delay_report";
    type Output = Delays;
}

/// Starts this instance's worker.
pub(crate) fn work(
    queue: &TaskQueue,
    database: Arc<dyn Database>,
    concurrency: usize,
    registry: &Registry,
) -> Result<Worker> {
    // Sorting computes: it must not hold up the threads that serve requests.
    let cpu = CpuPool::new(1, 1_000)?;
    cpu.register(registry);
    let worker = Worker::builder(queue)
        .handle(move |report: DelayReport, _job| {
            let (database, cpu) = (Arc::clone(&database), cpu.clone());
            async move { delays(&*database, &cpu, &report.carrier).await }
        })
        .concurrency(concurrency)
        .lease(LEASE)
        .poll_every(LOOK)
        .start()?;
    worker.register(registry);
    Ok(worker)
}

async fn delays(database: &dyn Database, cpu: &CpuPool, carrier: &str) -> Result<Delays, BoxError> {
    let delays = database.delays(carrier).await?;
    Ok(cpu.run(move || summary(&delays)).await?)
}

fn summary(delays: &[Option<i64>]) -> Delays {
    let mut known: Vec<i64> = delays.iter().flatten().copied().collect();
    known.sort_unstable();
    let at = |hundredths: usize| {
        known.get((known.len() * hundredths / 100).min(known.len().saturating_sub(1)))
    };
    Delays {
        flights: delays.len(),
        cancelled: delays.len() - known.len(),
        median: at(50).copied(),
        p95: at(95).copied(),
        worst: known.last().copied(),
    }
}
