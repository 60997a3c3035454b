use parking_lot::Mutex;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A limit on the resources of several pools together, such as the connections that one server allows
/// all tenants of a service.
///
/// Who needs one beyond the limit waits until another pool closes one, in order. As long as somebody else
/// waits, a pool gives up what it has idle, on return what exceeds an equal share, and after every 32 turns
/// one of its share, so that more pools than resources still take turns.
///
/// ```
/// use perf_pool::{Budget, Pool, from_fn};
/// use std::io;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let budget = Budget::new(1);
/// let pool = || Pool::builder(from_fn(async || io::Result::Ok(0))).budget(&budget).build();
/// let (reads, writes) = (pool()?, pool()?);
/// drop(reads.acquire().await?);
/// drop(writes.acquire().await?); // the idle one of the other pool makes way
/// assert_eq!((reads.status().size(), writes.status().size()), (0, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Budget {
    shared: Arc<Shared>,
}

struct Shared {
    size: usize,
    permits: Arc<Semaphore>,
    /// How many creations wait for a permit.
    waiting: AtomicUsize,
    tenants: Mutex<Vec<Weak<dyn Tenant>>>,
}

/// A pool under a budget.
pub(crate) trait Tenant: Send + Sync {
    /// How many resources it could give up at once.
    fn spare(&self) -> usize;

    /// Closes one that is idle.
    fn give_up_one(&self);
}

/// The right to one resource, if there is a budget for it.
#[derive(Debug, Default)]
pub(crate) struct Allotment {
    _permit: Option<OwnedSemaphorePermit>,
}

/// Counts somebody who waits, for as long as they do.
struct Waiting<'b>(&'b AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Budget {
    /// A budget of `size` resources, those being created or closed included.
    #[must_use]
    pub fn new(size: usize) -> Self {
        let size = size.min(Semaphore::MAX_PERMITS);
        Self {
            shared: Arc::new(Shared {
                size,
                permits: Arc::new(Semaphore::new(size)),
                waiting: AtomicUsize::new(0),
                tenants: Mutex::new(Vec::new()),
            }),
        }
    }

    /// How many more could be created now.
    #[must_use]
    pub fn available(&self) -> usize {
        self.shared.permits.available_permits()
    }

    pub(crate) fn admit(&self, tenant: Weak<dyn Tenant>) {
        let mut tenants = self.shared.tenants.lock();
        tenants.retain(|tenant| tenant.strong_count() > 0);
        tenants.push(tenant);
    }

    /// The right to one more resource, as soon as there is one.
    pub(crate) async fn allot(&self) -> Allotment {
        let permits = || Arc::clone(&self.shared.permits);
        let permit = match permits().try_acquire_owned() {
            Ok(permit) => Ok(permit),
            Err(_) => {
                self.shared.waiting.fetch_add(1, Relaxed);
                let _waiting = Waiting(&self.shared.waiting);
                self.reclaim();
                permits().acquire_owned().await
            }
        };
        Allotment {
            _permit: permit.ok(),
        }
    }

    /// Whether somebody waits for a resource to be closed.
    pub(crate) fn is_short(&self) -> bool {
        self.shared.waiting.load(Relaxed) > 0
    }

    /// How many resources each pool may have while the budget is short.
    pub(crate) fn fair_share(&self) -> usize {
        let tenants = self.shared.tenants.lock();
        let live = tenants.iter().filter(|tenant| tenant.strong_count() > 0);
        (self.shared.size / live.count().max(1)).max(1)
    }

    /// Has the pool with most to spare give up one.
    fn reclaim(&self) {
        let tenants = self.shared.tenants.lock();
        let live: Vec<_> = tenants.iter().filter_map(Weak::upgrade).collect();
        // Released before a tenant is asked or, as its last handle, dropped: both may come back here.
        drop(tenants);
        if let Some(tenant) = live.iter().max_by_key(|tenant| tenant.spare()) {
            tenant.give_up_one();
        }
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("size", &self.shared.size)
            .field("available", &self.available())
            .finish_non_exhaustive()
    }
}
