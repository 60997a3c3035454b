use perf_core::{Clock, SystemClock, Transience};
use perf_pool::{Fate, Manager, Pool, PoolBuilder};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;

pub(crate) type TestResult<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A manager of numbered resources whose every step a test can slow down, break and count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Probe(pub(crate) Arc<Knobs>);

#[derive(Debug, Default)]
pub(crate) struct Knobs {
    pub(crate) created: AtomicU64,
    pub(crate) attempts: AtomicU64,
    pub(crate) checks: AtomicU64,
    pub(crate) resets: AtomicU64,
    pub(crate) closed: AtomicU64,
    pub(crate) alive: Arc<AtomicUsize>,
    pub(crate) creating: AtomicUsize,
    pub(crate) most_creating: AtomicUsize,
    pub(crate) create_millis: AtomicU64,
    pub(crate) check_hangs: AtomicBool,
    pub(crate) check_panics: AtomicBool,
    pub(crate) reset_hangs: AtomicBool,
    pub(crate) close_hangs: AtomicBool,
    pub(crate) refuses: AtomicBool,
    pub(crate) refuses_for_good: AtomicBool,
    pub(crate) panics: AtomicBool,
    pub(crate) resets_keep: AtomicBool,
}

#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) number: u64,
    pub(crate) broken: bool,
    pub(crate) dirty: bool,
    alive: Arc<AtomicUsize>,
}

impl Drop for Resource {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, SeqCst);
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(pub(crate) &'static str);

impl Probe {
    /// A pool of these on tokio's clock, which tests pause.
    pub(crate) fn pool(&self) -> PoolBuilder<Self> {
        Pool::builder(self.clone()).clock(SystemClock)
    }

    pub(crate) fn created(&self) -> u64 {
        self.0.created.load(SeqCst)
    }

    pub(crate) fn alive(&self) -> usize {
        self.0.alive.load(SeqCst)
    }
}

struct Creating<'a>(&'a Knobs);

impl Drop for Creating<'_> {
    fn drop(&mut self) {
        self.0.creating.fetch_sub(1, SeqCst);
    }
}

impl Manager for Probe {
    type Resource = Resource;
    type Error = Refused;

    async fn create(&self) -> Result<Resource, Refused> {
        let knobs = &self.0;
        knobs.attempts.fetch_add(1, SeqCst);
        let creating = knobs.creating.fetch_add(1, SeqCst) + 1;
        knobs.most_creating.fetch_max(creating, SeqCst);
        let _creating = Creating(knobs);
        match knobs.create_millis.load(SeqCst) {
            0 => tokio::task::yield_now().await,
            millis => SystemClock.sleep(Duration::from_millis(millis)).await,
        }
        assert!(!knobs.panics.load(SeqCst), "the manager was told to panic");
        if knobs.refuses.load(SeqCst) || knobs.refuses_for_good.load(SeqCst) {
            return Err(Refused("go away"));
        }
        knobs.alive.fetch_add(1, SeqCst);
        Ok(Resource {
            number: knobs.created.fetch_add(1, SeqCst),
            broken: false,
            dirty: false,
            alive: Arc::clone(&knobs.alive),
        })
    }

    async fn check(&self, resource: &mut Resource) -> Result<(), Refused> {
        self.0.checks.fetch_add(1, SeqCst);
        hang_if(&self.0.check_hangs).await;
        let panics = self.0.check_panics.load(SeqCst);
        assert!(!panics, "the manager was told to panic");
        if resource.broken {
            Err(Refused("dead"))
        } else {
            Ok(())
        }
    }

    async fn reset(&self, resource: &mut Resource) -> Result<Fate, Refused> {
        self.0.resets.fetch_add(1, SeqCst);
        hang_if(&self.0.reset_hangs).await;
        resource.dirty = false;
        Ok(if self.0.resets_keep.load(SeqCst) {
            Fate::Keep
        } else {
            Fate::Discard
        })
    }

    fn is_broken(&self, resource: &mut Resource) -> bool {
        resource.broken
    }

    async fn close(&self, resource: Resource) {
        hang_if(&self.0.close_hangs).await;
        drop(resource);
        self.0.closed.fetch_add(1, SeqCst);
    }

    fn classify(&self, _: &Refused) -> Transience {
        if self.0.refuses_for_good.load(SeqCst) {
            Transience::Permanent
        } else {
            Transience::Transient
        }
    }
}

async fn hang_if(hangs: &AtomicBool) {
    if hangs.load(SeqCst) {
        std::future::pending::<()>().await;
    }
    tokio::task::yield_now().await;
}

/// Polls `future` at most `polls` times and drops it right after the last. Its output, if it got that
/// far.
pub(crate) async fn poll_at_most<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Drops `future` after `limit`, unless it ends before.
pub(crate) async fn cancel_after<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        output = future => Some(output),
        () = SystemClock.sleep(limit) => None,
    }
}

/// Lets every other task of a single-threaded runtime run until it waits.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
