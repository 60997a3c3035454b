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

/// What a pool of workers offers beside running a job, and how it shows itself.
macro_rules! job_pool {
    ($pool:ty) => {
        impl $pool {
            /// Refuses new jobs, and waits up to `grace` for those that there are. Returns how many were then
            /// given up unstarted or still ran.
            ///
            /// # Cancel safety
            ///
            /// New jobs are refused from the first poll on; dropping the future only stops waiting.
            pub async fn drain(&self, grace: ::std::time::Duration) -> usize {
                self.shared.queue.drain(grace).await
            }

            /// What the pool does and has done.
            #[must_use]
            pub fn figures(&self) -> $crate::jobs::JobFigures {
                self.shared.queue.figures()
            }

            /// Shows the pool in `registry` for as long as a handle of it lives.
            pub fn register(&self, registry: &::perf_core::Registry) {
                registry.register(&self.shared);
            }
        }

        impl ::std::fmt::Debug for $pool {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_struct(stringify!($pool))
                    .field("figures", &self.figures())
                    .finish_non_exhaustive()
            }
        }
    };
}
pub(super) use job_pool;
