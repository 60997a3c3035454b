//! The task queue: one suite over every backend, and what workers do with it.

mod backends;
mod crash;
mod transactions;
mod worker;

use parking_lot::Mutex;
use perf_bulk::{MemoryTasks, Task, TaskQueue};
use perf_core::{Inspect, Value};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Double(pub(crate) u32);

impl Task for Double {
    const NAME: &'static str = "double";
    type Output = u32;
}

/// Longer than anything takes, however busy the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn queue() -> TaskQueue {
    TaskQueue::new(MemoryTasks::new())
}

/// How often something happened, by its number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(Arc<Mutex<HashMap<u32, u32>>>);

impl Tally {
    pub(crate) fn add(&self, number: u32) -> u32 {
        let mut counts = self.0.lock();
        let count = counts.entry(number).or_default();
        *count += 1;
        *count
    }

    pub(crate) fn of(&self, number: u32) -> u32 {
        self.0.lock().get(&number).copied().unwrap_or_default()
    }
}

pub(crate) fn counter(part: &impl Inspect, name: &str) -> u64 {
    let mut samples = Vec::new();
    part.samples(&mut samples);
    let sample = samples.iter().find(|sample| sample.name == name);
    match sample.map(|sample| &sample.value) {
        Some(Value::Counter(count)) => *count,
        other => panic!("{name} is {other:?}"),
    }
}

/// Waits until `done`, or fails.
pub(crate) async fn until(done: impl AsyncFn() -> bool) {
    let wait = async {
        while !done().await {
            tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(2)))
                .await
                .unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .expect("it never happened");
}
