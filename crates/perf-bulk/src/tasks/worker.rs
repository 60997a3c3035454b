//! Who runs the tasks.
//!
//! One coordinator per worker talks to the backend; handlers run in tasks of their own. It exchanges as
//! soon as that is worth it: when none is running, when half its handlers are free and none has something to
//! report, or 1 ms after the first. A durable commit costs as much for one task as for all of them.

mod agenda;
mod builder;
mod coordinator;
mod figures;
mod handlers;
mod job;
mod run;

use crate::error::TaskError;
use coordinator::Order;
use figures::Figures;
use perf_core::{Inspect, Registry, Sample};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use builder::WorkerBuilder;
pub use handlers::Permanent;
pub use job::Job;

/// A worker that runs the tasks of one queue until it is drained or dropped.
///
/// Dropped, it stops its handlers where they are and gives their tasks back.
pub struct Worker {
    figures: Arc<Figures>,
    orders: watch::Sender<Order>,
    coordinator: Option<JoinHandle<()>>,
    clock: Arc<dyn perf_core::Clock>,
}

impl Worker {
    /// A worker to be set up.
    pub fn builder(queue: &super::TaskQueue) -> WorkerBuilder {
        WorkerBuilder::new(queue.clone())
    }

    /// Claims no more tasks and waits until those that run have ended and are reported, at most for
    /// `grace`. Handlers that take longer are stopped where they are; their tasks are given back, and the
    /// attempt does not count. A backend that does not answer then is waited for another second, and the
    /// leases end by themselves.
    ///
    /// # Errors
    ///
    /// [`TaskError::Stopped`] when the worker had died or its runtime ends.
    ///
    /// # Cancel safety
    ///
    /// Dropped midway, the worker stops at once, as if dropped itself.
    pub async fn drain(mut self, grace: Duration) -> Result<(), TaskError> {
        let by = self.clock.now().saturating_add(grace);
        self.orders.send_replace(Order::Drain { by });
        let Some(coordinator) = &mut self.coordinator else {
            return Err(TaskError::Stopped);
        };
        let ended = coordinator.await;
        self.coordinator = None;
        ended.map_err(|_| TaskError::Stopped)
    }

    /// Shows the worker in `registry` for as long as it lives.
    pub fn register(&self, registry: &Registry) {
        registry.register(&self.figures);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let by = self.clock.now();
        self.orders.send_replace(Order::Drain { by });
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("name", &self.figures.name())
            .finish_non_exhaustive()
    }
}

impl Inspect for Worker {
    fn name(&self) -> Cow<'_, str> {
        self.figures.name()
    }

    fn kind(&self) -> &'static str {
        self.figures.kind()
    }

    fn samples(&self, samples: &mut Vec<Sample>) {
        self.figures.samples(samples);
    }
}
