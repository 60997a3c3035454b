use super::queue::{Limits, Queue};
use perf_core::{Clock, Inspect, Sample};
use std::borrow::Cow;
use std::sync::Arc;

/// What the handles of a pool have in common, and what a registry shows of it.
pub(super) struct Shared<R> {
    name: &'static str,
    kind: &'static str,
    pub(super) queue: Arc<Queue<R>>,
}

impl<R: 'static> Shared<R> {
    pub(super) fn new(
        name: &'static str,
        kind: &'static str,
        limits: Limits,
        clock: impl Clock,
    ) -> Arc<Self> {
        let queue = Arc::new(Queue::new(limits, Arc::new(clock)));
        Arc::new(Self { name, kind, queue })
    }
}

impl<R: 'static> Inspect for Shared<R>
where
    Queue<R>: Send + Sync,
{
    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.name)
    }

    fn kind(&self) -> &'static str {
        self.kind
    }

    fn samples(&self, samples: &mut Vec<Sample>) {
        self.queue.samples(samples);
    }
}
